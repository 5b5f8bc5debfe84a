"""Cases on a line of pixels, where every share can be counted by eye."""
import json

import numpy as np
import pytest

from mmsart.datasets.classes import CLASSES
from mmsart.evaluation.error_counts import bin_names
from mmsart.evaluation.functional import match_pairs
from mmsart.evaluation.functional.error_kinds import GT_KINDS, PRED_KINDS, find_error_kinds
from mmsart.formats.predictions import save_predictions
from mmsart.structures.detections import Detections
from mmsart.structures.mask.patch_masks import PatchMasks
from mmsart.structures.predictions import Predictions
from tools.analysis_tools.error_kinds import main


def lines(*spans):
    """Masks of one row, each from begin to end."""
    masks = np.zeros((len(spans), 40), int)
    for mask, (begin, end) in zip(masks, spans, strict=True):
        mask[begin:end] = 1
    return masks


def kinds_of(preds, truths, right=None):
    preds, truths = lines(*preds), lines(*truths)
    right = np.ones(len(preds), bool) if right is None else np.array(right)
    kinds = find_error_kinds(preds @ truths.T, preds.sum(1), truths.sum(1), right)
    return [GT_KINDS[k] for k in kinds.gt], [PRED_KINDS[k] for k in kinds.pred]


@pytest.mark.parametrize(('preds', 'truths', 'gt_kinds', 'pred_kinds'), [
    ([(0, 10)], [(0, 10)], ['hit'], ['matched']),
    # IoU exactly one half is no hit
    ([(0, 5)], [(0, 10)], ['poor outline'], ['counterpart']),
    ([(9, 20)], [(0, 10)], ['missed'], ['spurious']),
    ([], [(0, 10)], ['missed'], []),
    ([(0, 10)], [], [], ['spurious']),
    # one prediction over two cells of equal size: no IoU above one half
    ([(0, 20)], [(0, 10), (10, 20)], ['merged', 'merged'], ['counterpart']),
    # over a large and a small one: the large one is hit, the small one merged into it
    ([(0, 14)], [(0, 10), (10, 14)], ['hit', 'merged'], ['matched']),
    # two halves and a gap
    ([(0, 4), (5, 9)], [(0, 10)], ['split'], ['counterpart', 'counterpart']),
    # a large part is a hit all the same
    ([(0, 6), (6, 10)], [(0, 10)], ['hit'], ['matched', 'counterpart']),
    # crumbs that cover less than half of it are no split
    ([(0, 1), (5, 6)], [(0, 20)], ['missed'], ['spurious', 'spurious']),
    ([(0, 10), (0, 9)], [(0, 10)], ['hit'], ['matched', 'duplicate']),
])
def test_kinds(preds, truths, gt_kinds, pred_kinds):
    assert kinds_of(preds, truths) == (gt_kinds, pred_kinds)


def plain_kinds(preds, truths):
    """Tell kinds one object after the other, as the definitions have it."""
    shared = preds @ truths.T
    pred_area, gt_area = preds.sum(1), truths.sum(1)
    ious = shared / (pred_area[:, None] + gt_area - shared)
    partners = dict(zip(*match_pairs(ious, 0.5), strict=True))
    held = [[2 * shared[p, g] > gt_area[g] for g in range(len(truths))] for p in range(len(preds))]
    merging = [sum(each) > 1 for each in held]
    parts = [[p for p in range(len(preds)) if 2 * shared[p, g] > pred_area[p]]
             for g in range(len(truths))]
    split = [len(parts[g]) > 1 and 2 * shared[parts[g], g].sum() > gt_area[g]
             for g in range(len(truths))]
    gt_kinds = ['hit' if g in partners.values() else
                'merged' if any(merging[p] and held[p][g] for p in range(len(preds))) else
                'split' if split[g] else
                'poor outline' if (ious[:, g] > 0.1).any() else 'missed'
                for g in range(len(truths))]
    pred_kinds = ['matched' if p in partners else
                  'duplicate' if (ious[p] > 0.5).any() else
                  'counterpart' if (ious[p] > 0.1).any() or merging[p] or any(
                      split[g] and p in parts[g] for g in range(len(truths))) else 'spurious'
                  for p in range(len(preds))]
    return gt_kinds, pred_kinds


def test_kinds_are_those_of_the_definitions():
    rng = np.random.default_rng(0)
    seen = set()
    for _ in range(400):
        preds, truths = ([(begin, begin + rng.integers(1, 14))
                          for begin in rng.integers(0, 26, rng.integers(0, 7))] for _ in range(2))
        found = kinds_of(preds, truths)
        assert found == plain_kinds(lines(*preds), lines(*truths))
        seen.update(*found)
    assert seen == {*GT_KINDS, *PRED_KINDS} - {'wrong type'}


def test_wrong_type_is_a_hit_of_another_class():
    assert kinds_of([(0, 10)], [(0, 10)], right=[False]) == (['wrong type'], ['matched'])


def test_matching_loses_no_pair():
    """Both predictions fit the first object, but only one of them fits the second."""
    gt_kinds, _ = kinds_of([(0, 10), (1, 11)], [(0, 9), (2, 14)])
    assert gt_kinds == ['hit', 'hit']


def test_five_poor_pairs_beat_four_perfect_ones():
    """A chain: each prediction is a true object, and hits its left neighbour at an IoU of .51."""
    length, shift = 151, 49  # (151 - 49) / (151 + 49) = 0.51
    truths = np.zeros((5, 500), int)
    for i, mask in enumerate(truths):
        mask[i * shift:i * shift + length] = 1
    preds = np.zeros((5, 500), int)
    preds[:4] = truths[1:]
    preds[4, 4 * shift + shift:4 * shift + shift + length] = 1
    kinds = find_error_kinds(preds @ truths.T, preds.sum(1), truths.sum(1), np.ones(5, bool))
    assert [GT_KINDS[k] for k in kinds.gt] == ['hit'] * 5


def test_bins():
    assert bin_names([5]) == ['< 5 px', '>= 5 px']
    assert bin_names([5, 9]) == ['< 5 px', '5-9 px', '>= 9 px']


def save_image(path, truth=True):
    preds, truths = lines((0, 10), (20, 23)), lines((0, 10), (30, 40), (12, 14))
    masks = PatchMasks.from_bitmaps(preds[:, None])
    found = Detections(np.array([0.9, 0.8]), np.array([2, 2]), masks, masks.boxes, 'a')
    true_masks = PatchMasks.from_bitmaps(truths[:, None]) if truth else None
    save_predictions(path, [Predictions(found, true_masks, 'cort', 's')], CLASSES)


def test_tool_counts_by_size_and_draws(tmp_path, capsys):
    save_image(tmp_path / 'p.pkl')
    (tmp_path / 'post.json').write_text('{"score_thr": 0.85}')
    options = ['--sizes', '5', '--out', str(tmp_path / 'e.png'), '--json', str(tmp_path / 'e.json')]
    assert main([str(tmp_path / 'p.pkl'), *options]) == 0
    assert json.loads((tmp_path / 'e.json').read_text()) == {'cort': {
        '< 5 px': {'missed': 1, 'spurious': 1}, '>= 5 px': {'hit': 1, 'missed': 1}}}
    assert (tmp_path / 'e.png').read_bytes().startswith(b'\x89PNG')
    total = capsys.readouterr().out.splitlines()[3].split()
    assert total == ['cort', 'all', '1', '0', '0', '0', '0', '2', '0', '1']
    main([str(tmp_path / 'p.pkl'), *options, '--postprocess', str(tmp_path / 'post.json')])
    assert 'spurious' not in json.loads((tmp_path / 'e.json').read_text())['cort']['< 5 px']


def test_tool_refuses_bad_input(tmp_path, capsys):
    save_image(tmp_path / 'p.pkl', truth=False)
    assert main([str(tmp_path / 'p.pkl'), '--out', str(tmp_path / 'e.png')]) == 2
    assert 'image a: no truth' in capsys.readouterr().err
    assert main([str(tmp_path / 'p.pkl'), '--sizes', '9', '5']) == 2
    assert '--sizes' in capsys.readouterr().err
    assert not (tmp_path / 'e.png').exists()
