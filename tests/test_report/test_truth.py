import json

import numpy as np
import pytest

from mmsart.datasets.train_csv import REQUIRED_COLUMNS
from mmsart.evaluation.functional.error_kinds import GT_KINDS
from mmsart.formats.coco import to_coco
from mmsart.report.truth import Truth, TruthIndex, compare, precision_table, read_truth
from mmsart.structures.detections import Detections
from mmsart.structures.mask.patch_masks import PatchMasks
from mmsart.structures.mask.rle import bitmap_to_kaggle
from mmsart.utils import MissingFileError, UserError
from tests.test_formats.results import CLASSES, bitmaps_of, random_result, true_coco


def bars(*spans):
    """Make masks of one row each, from a column to another."""
    bitmaps = np.zeros((len(spans), 4, 100), bool)
    for row, (begin, end) in enumerate(spans):
        bitmaps[row, row, begin:end] = True
    return PatchMasks.from_bitmaps(bitmaps)


def found(masks, label=0):
    return Detections(np.ones(len(masks)), np.full(len(masks), label), masks, masks.boxes)


def test_an_iou_of_two_thirds_counts_at_four_thresholds():
    truth = Truth(bars((0, 30), (0, 30)), ('a', 'a'))
    comparison = compare(found(bars((0, 20), (0, 30))), truth, ('a', 'b'))
    # 20 / 30 passes .50 to .65, so that both are hits there and one beyond: 1 / (1 + 1 + 1).
    np.testing.assert_allclose(comparison.score.precision, [1] * 4 + [1 / 3] * 6)
    assert comparison.mean_precision == pytest.approx(0.6)


def test_kinds():
    truth = Truth(bars((0, 30), (0, 30), (0, 30)), ('a', 'a', 'a'))
    comparison = compare(found(bars((0, 30), (0, 10)), label=1), truth, ('a', 'b'))
    assert [GT_KINDS[kind] for kind in comparison.kinds.gt] == [
        'wrong type', 'poor outline', 'missed']


def test_unknown_types_are_right():
    truth = Truth(bars((0, 30)), ('',))
    assert GT_KINDS[compare(found(bars((0, 30)), 1), truth, ('a', 'b')).kinds.gt[0]] == 'hit'


def test_the_table_averages_images_of_a_type():
    half = compare(found(bars((0, 20))), Truth(bars((0, 30)), ('a',)), ('a', 'b'))
    whole = compare(found(bars((0, 30)), 1), Truth(bars((0, 30)), ('b',)), ('a', 'b'))
    mixed = compare(found(bars((0, 30))), Truth(bars((0, 30), (0, 30)), ('a', 'b')), ('a', 'b'))
    table = precision_table([half, whole, mixed])
    assert list(table) == ['all', 'a', 'b', 'mixed']
    np.testing.assert_allclose(table['a'], [0.4] + [1] * 4 + [0] * 6)
    np.testing.assert_allclose(table['b'], [1] * 11)
    np.testing.assert_allclose(table['mixed'], [0.5] * 11)
    assert table['all'][0] == pytest.approx((0.4 + 1 + 0.5) / 3)
    assert list(precision_table([half])) == ['all']


def test_another_size_is_refused():
    other = PatchMasks.from_bitmaps(np.ones((1, 4, 90), bool))
    with pytest.raises(UserError, match='truth of 90 x 4 pixels, expected 100 x 4 as predicted'):
        compare(found(bars((0, 30))), Truth(other, ('a',)), ('a', 'b'))


def test_predictions_are_no_truth(tmp_path):
    (tmp_path / 'coco.json').write_text(json.dumps(to_coco([random_result(1)])))
    with pytest.raises(UserError, match='annotation 1: found a score, as predictions have'):
        read_truth(tmp_path / 'coco.json')


def test_coco_annotations_come_back(tmp_path):
    result = random_result(1)
    (tmp_path / 'truth.json').write_text(json.dumps(true_coco([result])))
    [(name, truth)] = read_truth(tmp_path / 'truth.json').items()
    assert name == 'scene'
    assert truth.types == tuple(CLASSES[i] for i in result.frames[0].detections.labels)
    np.testing.assert_array_equal(truth.masks.to_ndarray(), bitmaps_of(result.frames[0]))


def test_images_are_found_by_name_and_folder():
    truths = {name: Truth(bars((0, 30)), (name,)) for name in ('a', 'plate/a', 'plate/b', 'c/d')}

    def owner(name):
        truth = TruthIndex(truths).find(name)
        return truth and truth.types[0]

    assert owner('a.png') == 'a'
    assert owner('plate/a.ome.tif') == 'plate/a'
    assert owner('b.tif') == 'plate/b'
    assert owner('elsewhere/a.png') == 'a'
    assert owner('data/c/d.png') == 'c/d'
    assert owner('elsewhere/d.png') is None  # of another plate
    assert owner('d.png') == 'c/d'
    assert owner('bc/d.png') is None
    assert owner('data/plate/a.png') is None  # it could be either
    assert owner('e.png') is None


def test_planes_of_stacks_are_left_out(tmp_path):
    (tmp_path / 'truth.json').write_text(json.dumps(true_coco([random_result(1, num_t=2)])))
    assert read_truth(tmp_path / 'truth.json') == {}


def test_train_csv_comes_back(tmp_path):
    bitmaps = bitmaps_of(random_result(1).frames[0])
    rows = [dict(id='scene', annotation=bitmap_to_kaggle(bitmap), width=56, height=40,
                 cell_type='cort', sample_id='') for bitmap in bitmaps]
    lines = [','.join(REQUIRED_COLUMNS)] + [
        ','.join(str(row[name]) for name in REQUIRED_COLUMNS) for row in rows]
    (tmp_path / 'train.csv').write_text('\n'.join(lines) + '\n')
    [(name, truth)] = read_truth(tmp_path / 'train.csv').items()
    assert (name, truth.cell_type) == ('scene', 'cort')
    np.testing.assert_array_equal(truth.masks.to_ndarray(), bitmaps)


def test_a_table_of_other_cell_types_is_truth_too(tmp_path):
    (tmp_path / 'train.csv').write_text(','.join(REQUIRED_COLUMNS) + '\n' + ''.join(
        f'{name},1 30,100,4,{name},\n' for name in ('neuron', 'glia')))
    truths = read_truth(tmp_path / 'train.csv')
    assert {name: truth.cell_type for name, truth in truths.items()} == {
        'neuron': 'neuron', 'glia': 'glia'}
    kinds = [GT_KINDS[compare(found(bars((0, 30)), label=1), truth, ('neuron', 'glia')).kinds.gt[0]]
             for truth in truths.values()]
    assert kinds == ['hit', 'wrong type']


def test_malformed_truth_is_named(tmp_path):
    with pytest.raises(MissingFileError, match=r'none\.csv: no such file'):
        read_truth(tmp_path / 'none.csv')
    data = true_coco([random_result(1)])
    broken = {
        'text': 'no JSON', 'list': [1], 'lacking': {'images': []},
        'twice': data | {'images': data['images'] * 2},
        'category': data | {'categories': []}}
    for name, content in broken.items():
        path = tmp_path / f'{name}.json'
        path.write_text(content if name == 'text' else json.dumps(content))
        with pytest.raises(UserError, match=rf'{name}\.json: (image|line|found|categ).*expected '):
            read_truth(path)


@pytest.mark.parametrize(('changes', 'problem'), [
    (dict(segmentation=None), 'annotation 3: segmentation: found None'),
    (dict(category_id=9), 'annotation 3: category_id: found 9, expected the id of one of the 3'),
    (dict(image_id=7), 'annotation 3: image_id: found 7, expected the id of one of the 1 images'),
    (dict(id=1), 'annotation 1: id: found 1 twice'),
    (dict(bbox=None), None), (dict(area='?'), None), (dict(bbox=[9, 9, 1, 1]), None)])
def test_each_true_cell_needs_a_mask_an_image_and_a_class_but_no_box(tmp_path, changes, problem):
    data = true_coco([random_result(1)])
    data['annotations'][2] |= changes
    path = tmp_path / 'truth.json'
    path.write_text(json.dumps(data))
    if problem is None:
        assert len(read_truth(path)['scene'].masks) == len(data['annotations'])
    else:
        with pytest.raises(UserError, match=problem):
            read_truth(path)


def test_crowds_and_what_is_ignored_are_no_true_cells(tmp_path):
    data = true_coco([random_result(1)])
    data['annotations'][0]['iscrowd'] = data['annotations'][2]['ignore'] = 1
    (tmp_path / 'truth.json').write_text(json.dumps(data))
    expected = np.delete(bitmaps_of(random_result(1).frames[0]), [0, 2], axis=0)
    np.testing.assert_array_equal(
        read_truth(tmp_path / 'truth.json')['scene'].masks.to_ndarray(), expected)
