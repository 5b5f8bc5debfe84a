"""The competition's score of a file in Kaggle's format."""
import os
from collections import defaultdict

from mmsart.datasets.classes import CLASSES
from mmsart.datasets.train_csv import read_train_csv
from mmsart.evaluation.functional import score_image, summarize
from mmsart.formats.submission import read_submission
from mmsart.formats.submission_check import check_submission
from mmsart.structures.mask.rle import parse_rles
from mmsart.utils.errors import UserError

MOST_PROBLEMS = 20  # of a refused file; the first is told


def score_submission(truth: str | os.PathLike, submission: str | os.PathLike,
                     complete: bool = False) -> dict[str, float]:
    """Score a submission against annotations.

    Args:
        truth: a ``train.csv``.
        submission: a file with the columns id and predicted.
        complete: refuse a submission that lacks an image of the truth; otherwise the score is
            over the images that it names.

    Returns:
        ``images``, how many were scored, ``of`` how many, and the keys of
        :func:`mmsart.evaluation.functional.summarize`.

    Raises:
        UserError: a file is wrong, or Kaggle would refuse the submission.
    """
    table = read_train_csv(truth, classes=None)
    found = read_submission(submission)
    problems = check_submission(
        found, table.sizes_by_id(), allow_missing=not complete, limit=MOST_PROBLEMS)
    if problems:
        capped = ' or more' if len(problems) >= MOST_PROBLEMS else ''
        more = f' (and {len(problems) - 1}{capped} others)' if len(problems) > 1 else ''
        raise UserError(f'{submission}: {problems[0].message}{more}')
    if not found.ids:
        raise UserError(f'{submission}: no rows, expected at least one image')
    predicted: dict[str, list[str]] = defaultdict(list)
    for name, text in zip(found.ids, found.predicted, strict=True):
        predicted[name] += [text] if text.strip() else []
    scores, types = [], []
    named = set(found.ids)
    for image, name in enumerate(table.image_ids.tolist()):
        if name in named:
            scores.append(score_image(parse_rles(predicted[name]), table.runs(image)))
            types.append(table.cell_types[image])
    classes = dict.fromkeys([*CLASSES, *sorted(set(types))])  # of whatever data
    return dict(images=len(scores), of=len(table), **summarize(scores, types, list(classes)))
