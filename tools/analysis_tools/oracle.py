"""Tell where the points are: the score with one part of the model replaced by the truth at a time.

Example:
  python tools/test.py CONFIG WEIGHTS --out predictions.pkl
  python tools/test.py CONFIG WEIGHTS --out true_boxes.pkl --true-boxes
  python tools/analysis_tools/oracle.py predictions.pkl --true-boxes true_boxes.pkl \\
      --postprocess postprocess.json
"""
import argparse
import json
from typing import Any

from mmsart.utils import UserError, atomic_write, check_target, cli_main, make_parser
from mmsart.utils.quiet import import_mmdet


def parse_args(args: list[str] | None) -> argparse.Namespace:
    """Read the command line."""
    parser = make_parser(__doc__)
    parser.add_argument('predictions', help='written by mmsart test --out, with truth')
    parser.add_argument('--true-boxes', metavar='FILE.pkl',
                        help='predictions of the same images, written with --true-boxes')
    parser.add_argument('--postprocess', help='postprocess.json; by default the '
                        'settings of the test that wrote the predictions')
    parser.add_argument('--json', help='also write the table there')
    return parser.parse_args(args)


def read_true_boxes(path: str | None, predictions: str, saved: Any) -> Any:
    """Read the predictions in true boxes of the images of another file.

    Raises:
        UserError: they are of other images or classes.
    """
    from mmsart.formats.predictions import load_annotated

    if path is None:
        return None
    other = load_annotated(path)
    if other.classes != saved.classes:
        raise UserError(f'{path}: found classes {", ".join(other.classes)}, expected '
                        f'{", ".join(saved.classes)} as in {predictions}')
    names, expected = ({image.img_id for image in each.images} for each in (other, saved))
    if names != expected:
        raise UserError(f'{path}: found {len(names)} images, expected the {len(expected)} of '
                        f'{predictions}; image {min(names ^ expected)} is in one of them alone')
    return other.images


@cli_main
def main(args: list[str] | None = None) -> int:
    """Run the tool."""
    options = parse_args(args)
    import_mmdet()
    from mmsart.evaluation.oracle import format_table, oracle_table
    from mmsart.formats.predictions import load_annotated
    from mmsart.postprocessing import load_postprocess

    if options.json:
        check_target(options.json, '.json',
                     [options.predictions, options.true_boxes, options.postprocess])
    saved = load_annotated(options.predictions)
    true_boxes = read_true_boxes(options.true_boxes, options.predictions, saved)
    settings = load_postprocess(options.postprocess or saved.postprocess, saved.classes)
    table = oracle_table(saved.images, true_boxes, saved.classes, settings)
    print(format_table(table, saved.classes))
    if options.json:
        with atomic_write(options.json) as temporary:
            temporary.write_text(json.dumps(table, indent=2) + '\n')
    return 0


if __name__ == '__main__':
    raise SystemExit(main())
