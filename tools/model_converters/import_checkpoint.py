"""Convert a checkpoint of torchvision, Detectron2 or mmdet 1.x to mmdet's naming.

python tools/model_converters/import_checkpoint.py SRC OUT.pth [--config CONFIG]
"""
import argparse

from mmsart.utils import cli_main


def parse_args(args: list[str] | None = None) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
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
    from mmsart.weights.convert import convert_checkpoint

    options = parse_args(args)
    for line in convert_checkpoint(options.source, options.out, options.config, options.verbose):
        print(line)
    return 0


if __name__ == '__main__':
    raise SystemExit(main())
