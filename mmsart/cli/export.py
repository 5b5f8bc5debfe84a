"""Write a model as an ONNX file and compare what it finds with torch.

Example:
  mmsart export cells.onnx
  mmsart export cells.onnx --weights work_dirs/my_run --size 520 704
"""
import argparse

from mmsart.utils import add_model_options, cli_main, make_parser
from mmsart.utils.quiet import import_mmdet


def parse_args(args: list[str] | None) -> argparse.Namespace:
    """Read the command line."""
    parser = make_parser(__doc__, 'mmsart export')
    parser.add_argument('out', help='the file to write, such as cells.onnx')
    add_model_options(parser)
    parser.add_argument('--size', nargs=2, type=int, metavar=('H', 'W'),
                        help='size of the images, which is fixed; by default what the test '
                        'pipeline makes of the training images')
    return parser.parse_args(args)


@cli_main
def main(args: list[str] | None = None) -> int:
    """Run the tool and return its exit code."""
    options = parse_args(args)
    import_mmdet()
    from mmsart.apis.models import find_source
    from mmsart.apis.onnx_file import export_onnx, native_size

    source = find_source(options.weights, options.config, options.cfg_options, options.postprocess)
    size = tuple(options.size or native_size(source))
    differences = export_onnx(source, options.out, size)
    print(f'{options.out}: {source.name} for images of {size[0]} x {size[1]}; greatest differences '
          'from torch: ' + ', '.join(f'{name} {value:.1e}' for name, value in differences.items()))
    return 0
