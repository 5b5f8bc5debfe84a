"""Count what is wrong with predictions, by cell type and size, and draw it.

Example:
  python tools/analysis_tools/error_kinds.py predictions.pkl --postprocess postprocess.json
"""
import argparse
import json
from pathlib import Path

from mmsart.utils import UserError, atomic_write, check_target, cli_main, make_parser
from mmsart.utils.quiet import import_mmdet

SIZES = (100, 300, 1000)


def parse_args(args: list[str] | None) -> argparse.Namespace:
    """Read the command line."""
    parser = make_parser(__doc__)
    parser.add_argument('predictions', help='written by mmsart test --out, with truth')
    parser.add_argument('--postprocess', help='postprocess.json; by default the '
                        'settings of the test that wrote the predictions')
    parser.add_argument('--sizes', type=int, nargs='+', default=list(SIZES), metavar='PX',
                        help='boundaries of the size bins, in pixels of area')
    parser.add_argument('--out', default='error_kinds.png', help='bar chart')
    parser.add_argument('--json', help='also write the counts there')
    return parser.parse_args(args)


@cli_main
def main(args: list[str] | None = None) -> int:
    """Run the tool."""
    options = parse_args(args)
    if sorted(set(options.sizes)) != options.sizes or options.sizes[0] < 1:
        raise UserError(f'--sizes: found {options.sizes}, expected increasing areas of at least 1')
    import_mmdet()
    from mmsart.evaluation.error_counts import KINDS, count_kinds, format_counts
    from mmsart.formats.predictions import load_annotated
    from mmsart.postprocessing import PostProcessor, load_postprocess
    from mmsart.visualization.error_bars import draw_error_counts

    read = [options.predictions, options.postprocess]
    check_target(options.out, others=[*read, options.json])
    if options.json:
        check_target(options.json, '.json', [*read, options.out])
    saved = load_annotated(options.predictions)
    classes = saved.classes
    process = PostProcessor(
        classes, **load_postprocess(options.postprocess or saved.postprocess, classes))
    counts = count_kinds(saved.images, process, options.sizes)
    print(format_counts(counts))
    draw_error_counts(counts, KINDS, options.out)
    if options.json:
        with atomic_write(options.json) as temporary:
            temporary.write_text(json.dumps(counts, indent=2) + '\n')
    written = [Path(name).as_posix() for name in (options.out, options.json) if name]
    print('written: ' + ', '.join(written))
    return 0


if __name__ == '__main__':
    raise SystemExit(main())
