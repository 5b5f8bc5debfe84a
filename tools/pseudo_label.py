"""Write what a model finds in unlabelled images as a train.csv with weights, to train on.

How sure a cell has to be is read off validation images, which the model was not trained on.

Example:
  mmsart test CONFIG WORK_DIR --out validation.pkl
  mmsart test CONFIG WORK_DIR --images $SARTORIUS_ROOT/train_semi_supervised --out unlabelled.pkl
  python tools/pseudo_label.py unlabelled.pkl --validation validation.pkl \\
      --postprocess WORK_DIR/postprocess.json --out $SARTORIUS_ROOT/pseudo.csv
"""
import argparse

from mmsart.utils import UserError, check_target, cli_main, make_parser
from mmsart.utils.quiet import import_mmdet


def parse_args(args: list[str] | None) -> argparse.Namespace:
    """Read the command line."""
    parser = make_parser(__doc__)
    parser.add_argument('predictions', help='of unlabelled images, written by mmsart test --out')
    parser.add_argument('--validation', required=True, metavar='FILE.pkl',
                        help='predictions of the same model on annotated images that it was not '
                        'trained on')
    parser.add_argument('--out', required=True, metavar='FILE.csv', help='table to write')
    parser.add_argument('--postprocess', metavar='FILE.json',
                        help='settings; by default those of the test that wrote --validation')
    parser.add_argument('--min-precision', type=float, default=0.7,
                        help='keep cells of scores of which this share hits on validation images')
    parser.add_argument('--iou-thr', type=float, default=0.5,
                        help='IoU above which a cell is a hit')
    parser.add_argument('--skip', metavar='FILE.csv',
                        help='a train.csv whose images are left out, since they have true labels')
    return parser.parse_args(args)


@cli_main
def main(args: list[str] | None = None) -> int:
    """Run the tool and return its exit code."""
    options = parse_args(args)
    for name in ('min_precision', 'iou_thr'):
        if not 0 <= getattr(options, name) < 1:
            raise UserError(f'--{name.replace("_", "-")}: found {getattr(options, name)}, expected '
                            'a number in [0, 1)')
    import_mmdet()
    from mmsart.apis.pseudo_labels import write_pseudo_labels
    from mmsart.datasets.train_csv import read_train_csv
    from mmsart.evaluation.confidence import measure_confidence
    from mmsart.formats.predictions import load_annotated, load_predictions
    from mmsart.postprocessing import PostProcessor, load_postprocess

    check_target(options.out, '.csv', [options.predictions, options.validation,
                                       options.postprocess, options.skip])
    validation = load_annotated(options.validation)
    saved = load_predictions(options.predictions)
    classes = validation.classes
    if saved.classes != classes:
        raise UserError(
            f'{options.predictions}: found classes {", ".join(saved.classes)}, expected '
            f'{", ".join(classes)} as in {options.validation}')
    skip = read_train_csv(options.skip, None).image_ids.tolist() if options.skip else ()
    process = PostProcessor(
        classes, **load_postprocess(options.postprocess or validation.postprocess, classes))
    confidence = measure_confidence(validation.images, process, options.iou_thr,
                                    options.validation)
    for label, name in enumerate(classes):
        print(f'{name}: ' + (confidence[label].describe(options.min_precision)
                             if label in confidence else 'no cell on validation images'))
    counts = write_pseudo_labels(
        options.out, saved.images, process, confidence, options.min_precision, skip,
        options.predictions)
    found = '; '.join(f'{cells:,} cells of {name} on {images} images'
                      for name, (images, cells) in counts.items())
    print(f'{options.out}: {found or "no cell is sure enough"}')
    return 0


if __name__ == '__main__':
    raise SystemExit(main())
