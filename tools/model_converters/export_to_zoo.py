"""Make a checkpoint a model that needs nothing else, to be put into the package or sent.

Example:
  python tools/model_converters/export_to_zoo.py work_dirs/lite mmsart/zoo/lite --facts facts.json
"""
import argparse

from mmsart.utils import add_checkpoint_config_options, cli_main, make_parser
from mmsart.utils.quiet import import_mmdet


def parse_args(args: list[str] | None = None) -> argparse.Namespace:
    """Read the command line."""
    parser = make_parser(__doc__)
    parser.add_argument('checkpoint', help='weights of a trained model, or the work dir of a run')
    parser.add_argument('out', help="the model's folder; its name is that of the model")
    parser.add_argument('--facts', required=True, metavar='FILE.json',
                        help='what the card says; docs/zoo.md lists the keys')
    add_checkpoint_config_options(parser)
    parser.add_argument('--postprocess', metavar='FILE.json',
                        help='settings; by default postprocess.json beside the checkpoint, else '
                        "the config's")
    parser.add_argument('--familiar', metavar='IMAGES',
                        help='folder of images like the training images, ideally such that '
                        'the model was not trained on: predict warns of images unlike them')
    parser.add_argument('--default', action='store_true',
                        help='use this model where none is named')
    return parser.parse_args(args)


@cli_main
def main(args: list[str] | None = None) -> int:
    """Run the tool and return its exit code."""
    options = parse_args(args)
    import_mmdet()
    from mmsart.apis.export import export_model, measure_familiar, read_facts
    from mmsart.apis.inference import CellSegmenter
    from mmsart.imaging.inputs import find_inputs

    facts = read_facts(options.facts)
    segmenter = CellSegmenter(
        options.checkpoint, config=options.config, cfg_options=options.cfg_options,
        postprocess=options.postprocess)
    if options.familiar:
        images = [image.path for image in find_inputs([options.familiar])]
        facts['training_images'] = measure_familiar(segmenter, images)
    model = export_model(segmenter.source, options.out, facts, default=options.default)
    size = model.weights.stat().st_size
    print(f'{model.folder}: {size / 1e6:.1f} MB, SHA-256 {model.settings["sha256"]}')
    return 0


if __name__ == '__main__':
    raise SystemExit(main())
