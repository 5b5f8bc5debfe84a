"""Convert a checkpoint of torchvision, Detectron2 or mmdet 1.x to mmdet's naming.

Example:
  python tools/model_converters/import_checkpoint.py torchvision://maskrcnn_resnet50_fpn coco.pth
"""
import argparse

from mmsart.utils import cli_main, make_parser
from mmsart.utils.quiet import import_mmdet


def parse_args(args: list[str] | None = None) -> argparse.Namespace:
    """Read the command line."""
    parser = make_parser(__doc__)
    parser.add_argument('source', help='a file, package://NAME, a URL or a name such as '
                        'torchvision://maskrcnn_resnet50_fpn')
    parser.add_argument('out', help='file to write')
    parser.add_argument('--config', help='report which weights fit the model of this config, '
                        'and write only those')
    parser.add_argument('--verbose', action='store_true', help='list every name')
    return parser.parse_args(args)


@cli_main
def main(args: list[str] | None = None) -> int:
    """Run the tool and return its exit code."""
    options = parse_args(args)
    import_mmdet()
    from mmsart.apis.checks import check_section
    from mmsart.apis.config import load_config
    from mmsart.weights.convert import convert_checkpoint

    model = None
    if options.config:
        cfg = load_config(options.config)
        check_section(cfg, 'model')
        model = cfg.model
    for line in convert_checkpoint(options.source, options.out, model, options.verbose):
        print(line)
    return 0


if __name__ == '__main__':
    raise SystemExit(main())
