"""Predictions that become a table to train on."""
import numpy as np
import pytest

import mmsart.datasets.transforms  # noqa: F401  registers them
from mmsart.datasets.classes import CLASSES
from mmsart.datasets.sartorius import SartoriusDataset
from mmsart.datasets.train_csv import read_train_csv
from mmsart.evaluation.confidence import measure_confidence
from mmsart.formats.predictions import save_predictions
from mmsart.postprocessing import PostProcessor
from mmsart.structures.detections import Detections
from mmsart.structures.mask.patch_masks import PatchMasks
from mmsart.structures.predictions import Predictions
from mmsart.utils import UserError
from tests.run_tool import run_tool

CORT = CLASSES.index('cort')


def squares(count, shift=0):
    """Squares of 4 x 4 in a row; shifted by 4 they miss all others."""
    bitmaps = np.zeros((count, 8, 10 * count), np.uint8)
    for number, bitmap in enumerate(bitmaps):
        bitmap[:4, 10 * number + shift:10 * number + shift + 4] = 1
    return PatchMasks.from_bitmaps(bitmaps)


def image(name, scores, hits=None, label=CORT):
    """An image with a cell for each score; `hits` says which of them are true ones."""
    count = len(scores)
    masks = squares(count)
    truth = None
    if hits is not None:
        away = squares(count, shift=5)
        truth = PatchMasks.cat([masks[np.array(hits, bool)], away[~np.array(hits, bool)]])
    return Predictions(
        Detections(scores, np.broadcast_to(label, count), masks, masks.boxes, name), truth,
        CLASSES[label] if hits is not None else '', '')


SCORES = [0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8]
HITS = [0, 0, 1, 0, 1, 1, 1, 1]


@pytest.fixture
def files(tmp_path):
    save_predictions(tmp_path / 'val.pkl', [image('v', SCORES, HITS)], CLASSES)
    save_predictions(tmp_path / 'new.pkl', [
        image('a', [0.15, 0.35, 0.55, 0.9]), image('b', [0.05]), image('c', [0.95]),
        image('d', [0.9, 0.9], label=0)], CLASSES)
    return tmp_path


def test_the_precision_of_a_score_is_a_rising_curve():
    """The hit at .3 and the miss at .4 become one step of a half."""
    confidence = measure_confidence([image('v', SCORES, HITS)], PostProcessor(CLASSES))
    assert list(confidence) == [CORT]
    np.testing.assert_allclose(
        confidence[CORT].precision(np.array([0.0, 0.2, 0.3, 0.4, 0.5, 1.0])),
        [0, 0, 0.5, 0.5, 1, 1])
    assert confidence[CORT].describe(0.4) == (
        'score >= 0.300; on validation images 6 of 8 cells, of which 83.3% hit, and 62.5% of the '
        'true ones')
    nothing = image('n', [0.5]).detections[np.zeros(0, int)]
    empty = Predictions(nothing, squares(1)[:0], 'cort')
    assert measure_confidence([empty], PostProcessor(CLASSES)) == {}


def test_sure_cells_become_rows_with_weights(files, write_table):
    skip = write_table([dict(id='c')])
    code, out, err = run_tool(
        'pseudo_label', files / 'new.pkl', '--validation', files / 'val.pkl', '--min-precision',
        '0.4', '--skip', skip / 'train.csv', '--out', files / 'pseudo.csv')
    assert code == 0, err
    assert 'shsy5y: no cell on validation images' in out
    assert out.splitlines()[-1].endswith('pseudo.csv: 3 cells of cort on 1 images')
    table = read_train_csv(files / 'pseudo.csv')
    assert table.image_ids.tolist() == ['a']
    assert table.cell_types.tolist() == ['cort']
    assert table.sizes.tolist() == [[8, 40]]
    np.testing.assert_allclose(table.weights, [1, 1, 0.5])  # by falling score
    np.testing.assert_array_equal(table.bboxes, squares(4).boxes[[3, 2, 1]])


def test_the_data_set_hands_weights_on_or_says_what_would_lose_them(write_table):
    root = write_table([dict(weight='0.25'), dict(annotation='21 4', weight='1')])

    def dataset(pack, **options):
        return SartoriusDataset(
            data_root=str(root), data_prefix=dict(img='train/'), pipeline=[
                dict(type='LoadCachedImage'), dict(type='LoadCroppedAnnotations'),
                dict(type=pack, meta_keys=())], **options)

    sample = dataset('PackWeightedInputs')[0]['data_samples']
    assert sample.gt_instances.weights.tolist() == [0.25, 1]
    with pytest.raises(UserError, match='found a column weight, and PackDetInputs in the pipeline'):
        dataset('PackDetInputs')
    assert len(dataset('PackDetInputs', test_mode=True)) == 1


@pytest.mark.parametrize('weight', ['', 'x', '-0.1', '1.5', 'nan'])
def test_weights_that_are_none(write_table, weight):
    root = write_table([dict(weight='1'), dict(annotation='21 4', weight=weight)])
    with pytest.raises(UserError, match=r'row 3, column weight: found .*, expected a number'):
        read_train_csv(root / 'train.csv')


def test_a_hit_has_the_right_class():
    """Of four found cells on true ones two are called by another class's name."""
    seen = image('v', [0.2, 0.4, 0.6, 0.8], [1, 1, 1, 1])
    seen.detections.labels = np.array([0, CORT, 0, CORT])
    confidence = measure_confidence([seen], PostProcessor(CLASSES))
    assert confidence[CORT].hits.tolist() == [True, True]
    assert confidence[0].hits.tolist() == [False, False]
    assert (confidence[CORT].num_true, confidence[0].num_true) == (4, 0)


def test_images_of_several_classes_are_refused(files):
    mixed, truth = image('m', [0.9, 0.9]), image('w', [0.9], [1])
    mixed.detections.labels = np.array([0, CORT])
    truth.cell_type = ''
    save_predictions(files / 'mixed.pkl', [image('a', [0.9]), mixed], CLASSES)
    save_predictions(files / 'truth.pkl', [truth], CLASSES)
    for new, val, message in (
            ('mixed', 'val', 'mixed.pkl: image m: found cells of shsy5y, cort, expected one class'),
            ('new', 'truth', 'truth.pkl: image w: found true cells of several classes')):
        code, _, err = run_tool(
            'pseudo_label', files / f'{new}.pkl', '--validation', files / f'{val}.pkl', '--out',
            files / 'pseudo.csv')
        assert code == 2
        assert message in err
        assert not (files / 'pseudo.csv').exists()


@pytest.mark.parametrize(('options', 'message'), [
    (['--min-precision', '1'], '--min-precision: found 1.0, expected a number in [0, 1)'),
    (['--validation', 'new.pkl'], 'new.pkl: image a: no truth')])
def test_wrong_input_is_named(files, options, message):
    options = [str(files / each) if each.endswith('.pkl') else each for each in options]
    code, _, err = run_tool('pseudo_label', files / 'new.pkl', '--validation', files / 'val.pkl',
                            '--out', files / 'pseudo.csv', *options)
    assert code == 2
    assert message in err
    assert not (files / 'pseudo.csv').exists()
