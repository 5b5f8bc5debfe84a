"""Write the dataset and the notebook that make a submission on Kaggle, where there is no internet.

Example:
  mmsart kaggle-bundle bundle --weights work_dirs/my_run --user NAME
  kaggle datasets create -p bundle/dataset
  kaggle kernels push -p bundle/notebook
"""
import argparse
import os
from pathlib import Path

from mmsart.utils import add_model_options, cli_main, make_parser
from mmsart.utils.quiet import import_mmdet


def parse_args(args: list[str] | None) -> argparse.Namespace:
    """Read the command line."""
    parser = make_parser(__doc__, 'mmsart kaggle-bundle')
    parser.add_argument('out', type=Path, help='folder of the bundle')
    add_model_options(parser)
    parser.add_argument('--user', default=os.environ.get('KAGGLE_USERNAME'),
                        help='your name on Kaggle; by default that of KAGGLE_USERNAME, else '
                        'INSERT_USERNAME, to be replaced by hand')
    parser.add_argument('--name', default='mmsart-cells',
                        help="the dataset's name and address; a new name for each model")
    parser.add_argument('--overwrite', action='store_true', help='replace a bundle that is there')
    return parser.parse_args(args)


@cli_main
def main(args: list[str] | None = None) -> int:
    """Run the tool and return its exit code."""
    options = parse_args(args)
    import_mmdet()
    from mmsart.apis.kaggle import BundleOptions, write_bundle
    from mmsart.apis.kaggle.bundle import DATASET, NO_USER, NOTEBOOK, check_folder
    from mmsart.apis.models import find_source

    bundle = BundleOptions(options.user or NO_USER, options.name, options.overwrite)
    check_folder(options.out, options.overwrite)
    source = find_source(options.weights, options.config, options.cfg_options, options.postprocess)
    out = write_bundle(source, options.out, bundle)
    files = list((out / DATASET).iterdir())
    size = sum(path.stat().st_size for path in files) / 1e6
    print(f'{out / DATASET}: {len(files)} files, {size:.1f} MB, with the model {source.name}')
    print(f'post-processing settings: {source.postprocess_source}')
    print(f'{out / NOTEBOOK}: the notebook')
    if bundle.user == NO_USER:
        print(f'put your name on Kaggle in the place of {NO_USER} in the two *-metadata.json, or '
              'give --user')
    print(f'upload them:\n  kaggle datasets create -p {out / DATASET}\n'
          f'  kaggle kernels push -p {out / NOTEBOOK}')
    return 0
