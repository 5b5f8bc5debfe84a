"""The table of what a search gained."""
from types import SimpleNamespace

import numpy as np

from mmsart.evaluation.functional import IOU_THRS, ImageScore
from mmsart.tuning.report import format_gains
from mmsart.tuning.search import TuningResult


def test_images_are_counted_by_what_they_show():
    """The mean of all counts all of them, whatever some show; a mix of types is no type."""
    types = ['round', '', 'round', 'long', 'unknown']
    scores = [ImageScore(np.zeros(len(IOU_THRS), int), 0, 0)] * len(types)
    table = format_gains([SimpleNamespace(cell_type=each) for each in types],
                         TuningResult({}, scores, scores, [], []), ('round', 'long', 'flat'))
    rows = [line.split()[:2] for line in table.splitlines()[1:]]
    assert rows == [['mAP_round', '2'], ['mAP_long', '1'], ['mAP', '5']]
