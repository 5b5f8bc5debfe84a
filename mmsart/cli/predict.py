"""Find the cells of pictures; summary.csv has the counts of all pictures.

Example:
  mmsart predict plate1/*.tif --out results
  mmsart predict plate1 --out results --save table,rois --resume
"""
import argparse
import os
import sys
from typing import Literal

from mmsart.formats.names import DEFAULT_FORMATS, FORMATS
from mmsart.utils import UserError, add_model_options, cli_main, make_parser
from mmsart.utils.quiet import import_mmdet


def parse_args(args: list[str] | None = None) -> argparse.Namespace:
    """Read the command line."""
    formats = '; '.join(f'{name}: {what}' for name, what in FORMATS.items())
    parser = make_parser(__doc__, 'mmsart predict')
    parser.add_argument('images', nargs='+',
                        help='files, folders, or patterns such as "plate*/*.tif"')
    parser.add_argument('--out', required=True, metavar='DIR', help='folder of the results')
    add_model_options(parser)
    parser.add_argument('--save', default=','.join(DEFAULT_FORMATS), metavar='FORMATS',
                        help=f'comma-separated formats; {formats}')
    parser.add_argument('--cellprofiler', action='store_true',
                        help="CellProfiler's column names in tables")
    parser.add_argument('--numbers', action='store_true',
                        help='number the cells in pictures')
    parser.add_argument('--recursive', action='store_true', help='search subfolders too')
    state = parser.add_mutually_exclusive_group()
    state.add_argument('--resume', action='store_true',
                       help='skip images that are done with the same settings')
    state.add_argument('--overwrite', action='store_true',
                       help='replace results that are in the folder')
    reading = parser.add_argument_group('reading (docs/imaging.md)')
    reading.add_argument('--channel', help='channel to segment, by its number (from 0) or name')
    reading.add_argument('--axes', help='axes of the files, such as TYX or ZCYX')
    reading.add_argument('--series', help='number, from 0, of the image in files that hold '
                         'several, or "all"')
    reading.add_argument('--normalize', nargs='+', metavar=('LO', 'HI'),
                         help='grey values that become black and white, or "none"; by default the '
                         'percentiles 0.1 and 99.9 of images deeper than 8 bits')
    reading.add_argument('--pixel-size', type=float, metavar='UM',
                         help='pixel size in micrometres, overriding that of the files')
    running = parser.add_argument_group('running')
    running.add_argument('--device', help='cpu, cuda, cuda:1 ...; by default a GPU if there is one')
    running.add_argument('--batch-size', type=int, default=1,
                         help='images or tiles of one size in a batch')
    running.add_argument('--no-flips', action='store_true',
                         help='look at each image once, not at its mirror images: faster by their '
                         'number, a little less exact')
    running.add_argument('--tile', type=int, metavar='PIXELS',
                         help="side of the tiles of large images, overriding the model's")
    running.add_argument('--overlap', type=int, metavar='PIXELS',
                         help='overlap of tiles; best more than the longest cell')
    running.add_argument('--quiet', action='store_true', help='print nothing but errors')
    return parser.parse_args(args)


def _read_normalize(
        values: list[str] | None) -> tuple[float, float] | Literal['none'] | None:
    """Read ``none`` or two numbers."""
    if values is None:
        return None
    if values == ['none']:
        return 'none'
    try:
        low, high = map(float, values)
    except ValueError:
        raise UserError(f'--normalize: found {" ".join(values)}, expected two numbers LO HI or '
                        'none') from None
    return low, high


def _read_series(text: str | None) -> int | None:
    if text is None or text == 'all':
        return None
    if not text.isdecimal():
        raise UserError(f'--series: found {text!r}, expected a number from 0 or all')
    return int(text)


@cli_main
def main(args: list[str] | None = None) -> int:
    """Run the tool and return its exit code: 3 if some of the files could not be read."""
    options = parse_args(args)
    import_mmdet()
    from mmsart.apis.inference import CellSegmenter
    from mmsart.apis.predict import PredictOptions, predict_files
    from mmsart.apis.processes import count_processes
    from mmsart.formats.saving import SaveOptions
    from mmsart.imaging.read_options import ReadOptions

    read = ReadOptions(
        axes=options.axes, channel=options.channel, series=_read_series(options.series),
        normalize=_read_normalize(options.normalize), pixel_size=options.pixel_size)
    device = options.device
    if device in (None, 'cuda') and count_processes() > 1:
        import torch
        count = torch.cuda.device_count()
        device = f'cuda:{int(os.environ.get("LOCAL_RANK", 0)) % count}' if count else device
    try:
        predict_files(
            lambda: CellSegmenter(
                options.weights, device, config=options.config, cfg_options=options.cfg_options,
                postprocess=options.postprocess, flips=False if options.no_flips else None,
                batch_size=options.batch_size, tile_size=options.tile,
                tile_overlap=options.overlap),
            options.images, options.out,
            PredictOptions(
                save=[name.strip() for name in options.save.split(',') if name.strip()],
                details=SaveOptions(numbers=options.numbers, cellprofiler=options.cellprofiler),
                read=read, all_series=options.series == 'all',
                recursive=options.recursive, resume=options.resume, overwrite=options.overwrite,
                quiet=options.quiet))
    except KeyboardInterrupt:
        print('stopped; --resume continues from here', file=sys.stderr)
        return 130
    return 0
