"""The metric's adapter: from data samples to the competition's score and files."""
import numpy as np
import pandas as pd
import pytest
import torch
from mmengine.evaluator import Evaluator

from mmsart.datasets.classes import CLASSES
from mmsart.evaluation.metrics import PredictionWriter, SartoriusMetric, SubmissionWriter
from mmsart.formats.predictions import load_predictions
from mmsart.postprocessing import PostProcessor
from mmsart.structures.mask.cropped_masks import CroppedMasks
from mmsart.structures.mask.rle import bitmap_to_kaggle
from mmsart.utils import UserError

SIZE = (12, 20)


def rectangle(x1, y1, x2, y2):
    mask = np.zeros(SIZE, np.uint8)
    mask[y1:y2, x1:x2] = 1
    return mask


def sample(name, found, truth, cell_type='cort', kind='cropped', **extra):
    """Make a data sample of (mask, score, label) predictions and true masks."""
    masks = np.array([mask for mask, _, _ in found]).reshape(-1, *SIZE)
    labels = torch.tensor([label for _, _, label in found], dtype=torch.long)
    return dict(
        img_id=name, ori_shape=SIZE, cell_type=cell_type, sample_id=name,
        instances=[dict(mask=bitmap_to_kaggle(mask)) for mask in truth],
        pred_instances=dict(
            scores=torch.tensor([score for _, score, _ in found]), labels=labels,
            bboxes=torch.zeros(len(found), 4),
            masks=CroppedMasks.from_bitmaps(masks) if kind == 'cropped' else
            torch.from_numpy(masks).bool()), **extra)


A, B = rectangle(0, 0, 6, 5), rectangle(10, 4, 18, 10)
A_SHIFTED = rectangle(0, 1, 6, 6)  # 24 of 36 pixels in common: IoU 0.667, four thresholds below


def evaluate(samples, postprocess=None, out=None, submission=None, classes=CLASSES):
    """Run the metric, and the writers of the files asked for, as a test does."""
    metrics = [SartoriusMetric(postprocess)]
    if out:
        metrics.append(PredictionWriter(out))
    if submission:
        metrics.append(SubmissionWriter(submission, postprocess))
    evaluator = Evaluator(metrics)
    evaluator.dataset_meta = dict(classes=classes)
    for each in samples:
        evaluator.process([dict(each)])
    return evaluator.evaluate(len(samples))


@pytest.mark.parametrize('kind', ['cropped', 'bitmaps'])
def test_the_score_is_the_one_worked_out(kind):
    scores = evaluate([
        sample('a', [(A, .9, 2), (B, .8, 2)], [A, B], kind=kind),  # 1
        sample('b', [(A_SHIFTED, .9, 1)], [A], 'astro', kind=kind),  # 0.4
        sample('c', [], [A, B], kind=kind)])  # 0
    assert scores['sartorius/mAP'] == pytest.approx(1.4 / 3)
    assert scores['sartorius/mAP_cort'] == pytest.approx(0.5)
    assert scores['sartorius/mAP_astro'] == pytest.approx(0.4)
    assert 'sartorius/mAP_shsy5y' not in scores
    assert (scores['sartorius/TP'], scores['sartorius/FP'], scores['sartorius/FN']) == (3, 0, 2)
    assert scores['sartorius/recall50'] == pytest.approx(3 / 5)


def test_labels_play_no_part():
    right = evaluate([sample('a', [(A, .9, 2)], [A])])
    wrong = evaluate([sample('a', [(A, .9, 0)], [A])])
    assert right == wrong


def test_post_processing_comes_before_the_score():
    found = [(A, .9, 2), (B, .2, 2)]
    assert evaluate([sample('a', found, [A])])['sartorius/mAP'] == pytest.approx(0.5)
    assert evaluate([sample('a', found, [A])], postprocess=dict(score_thr=0.3))[
        'sartorius/mAP'] == pytest.approx(1.0)
    # by class: only labels 2 have the high threshold
    thresholds = dict(score_thr=dict(shsy5y=.1, astro=.1, cort=.3))
    assert evaluate([sample('a', [(A, .9, 2), (B, .2, 1)], [A])], postprocess=thresholds)[
        'sartorius/mAP'] == pytest.approx(0.5)


def test_the_submission_scores_the_same_as_the_metric(tmp_path, write_table):
    from mmsart.evaluation.submission import score_submission

    images = {'a': ([(A, .9, 2), (A_SHIFTED, .8, 2), (B, .7, 2)], [A, B]),
              'b': ([(A_SHIFTED, .9, 1)], [A]), 'c': ([], [A])}
    samples = [sample(name, *content) for name, content in images.items()]
    scores = evaluate(samples, submission=tmp_path / 's.csv')
    root = write_table([
        dict(id=name, annotation=bitmap_to_kaggle(mask), width=SIZE[1], height=SIZE[0])
        for name, (_, truth) in images.items() for mask in truth])
    again = score_submission(root / 'train.csv', tmp_path / 's.csv')
    assert again['mAP'] == scores['sartorius/mAP']
    assert again['images'] == again['of'] == 3
    rows = pd.read_csv(tmp_path / 's.csv', keep_default_na=False)
    assert rows[rows.id == 'c'].predicted.tolist() == ['']


def test_raw_predictions_are_kept_before_post_processing(tmp_path):
    evaluate([sample('a', [(A, .9, 2), (B, .1, 2)], [A])], postprocess=dict(score_thr=0.5),
             out=tmp_path / 'p.pkl')
    image, = load_predictions(tmp_path / 'p.pkl').images
    assert image.detections.scores.tolist() == pytest.approx([.9, .1])
    assert (image.detections.masks.to_ndarray() == np.array([A, B])).all()
    assert (image.truth.to_ndarray() == A[None]).all()


def test_a_submission_needs_disjoint_masks():
    with pytest.raises(UserError, match='remove_overlap off'):
        evaluate([], dict(remove_overlap=False), submission='s.csv')


def test_images_without_truth_are_only_written(tmp_path):
    each = sample('a', [(A, .9, 2)], [])
    each.pop('instances')  # as the dataset lists a folder
    each['cell_type'] = ''
    with pytest.raises(UserError, match='image a: no instances in the meta data'):
        evaluate([each])
    writer = SubmissionWriter(tmp_path / 's.csv')
    writer.dataset_meta = dict(classes=CLASSES)
    writer.process(None, [each])
    assert writer.evaluate(1) == {}
    assert pd.read_csv(tmp_path / 's.csv').predicted.tolist() == [bitmap_to_kaggle(A)]


def test_the_order_of_the_images_does_not_change_a_bit():
    rng = np.random.default_rng(0)
    samples = [sample(f'i{i}', [(A, .9, 2)] * (i % 2) + [(A_SHIFTED, .8, 2)], [A, B][:1 + i % 2])
               for i in range(9)]
    first = evaluate(samples)
    for _ in range(3):
        rng.shuffle(samples)
        assert evaluate(samples) == first


def test_metrics_of_one_evaluator_share_the_post_processing(tmp_path, monkeypatch):
    calls = []
    process = PostProcessor.__call__
    monkeypatch.setattr(PostProcessor, '__call__', lambda self, found: (
        calls.append(found.img_id), process(self, found))[1])
    samples = [sample('a', [(A, .9, 2)], [A]), sample('b', [(A, .9, 2)], [A])]
    evaluate(samples, dict(score_thr=.5), submission=tmp_path / 's.csv')
    assert calls == ['a', 'b']


def test_each_metric_keeps_its_own_settings(tmp_path):
    metrics = [SartoriusMetric(dict(score_thr=.95)), SubmissionWriter(tmp_path / 's.csv')]
    evaluator = Evaluator(metrics)
    evaluator.dataset_meta = dict(classes=CLASSES)
    evaluator.process([sample('a', [(A, .9, 2)], [A])])
    assert evaluator.evaluate(1)['sartorius/mAP'] == 0
    assert pd.read_csv(tmp_path / 's.csv').predicted.tolist() == [bitmap_to_kaggle(A)]


def test_settings_of_other_classes_are_refused_before_the_first_image():
    with pytest.raises(UserError, match='expected a value for each of round, long'):
        evaluate([], dict(score_thr=dict(shsy5y=.1, astro=.1, cort=.3)), classes=('round', 'long'))


def test_images_of_one_name_are_told_apart(tmp_path):
    samples = [dict(sample(number, [(A, .9, 2)], [A]), img_path=f'/{number}/well.png')
               for number in (3, 4)]
    evaluate(samples, out=tmp_path / 'p.pkl', submission=tmp_path / 's.csv')
    images = load_predictions(tmp_path / 'p.pkl').images
    assert [image.img_id for image in images] == ['3_well', '4_well']
    assert pd.read_csv(tmp_path / 's.csv').id.tolist() == ['3_well', '4_well']
