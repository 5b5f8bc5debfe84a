"""Several views of an image: exact on a detector that sees no difference, by hand on others."""
import itertools

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from mmdet.models.detectors.base import BaseDetector
from mmdet.registry import MODELS
from mmdet.structures import DetDataSample
from mmengine.structures import InstanceData
from scipy import ndimage

from mmsart.apis.inference import CellSegmenter
from mmsart.models.caps import watch_caps
from mmsart.models.detectors.members import detectors_of, member_configs
from mmsart.models.fast_inference import fold_for_inference
from mmsart.postprocessing.fusion import fuse_detections
from mmsart.structures.data_samples import to_detections
from mmsart.structures.orientation import FLIPS, Orientation
from mmsart.utils import UserError
from tests.test_apis.tiny_model import write_checkpoint
from tests.test_models.tiny_mask_rcnn import config, pictures

EIGHT = [dict(flip=flip, turns=turns) for flip, turns in itertools.product(FLIPS, range(4))][:8]


@MODELS.register_module()
class BrightSpots(BaseDetector):
    """Finds every bright spot, wherever it lies, but those left of the middle if one-eyed."""

    def __init__(self, one_eyed=False):
        super().__init__(data_preprocessor=dict(type='DetDataPreprocessor'))
        self.one_eyed = one_eyed
        self.weight = torch.nn.Parameter(torch.ones(1))

    def predict(self, batch_inputs, batch_data_samples, rescale=True):
        for image, sample in zip(batch_inputs, batch_data_samples, strict=True):
            height, width = sample.img_shape
            spots, count = ndimage.label(image[0, :height, :width].numpy() >= 128)
            bitmaps = torch.from_numpy(spots == np.arange(1, count + 1)[:, None, None])
            bitmaps = F.interpolate(  # to the image on disk
                bitmaps[None].float(), sample.ori_shape, mode='nearest-exact')[0].bool()
            columns = bitmaps.any(1).float()
            middles = (columns * torch.arange(columns.shape[1])).sum(1) / columns.sum(1)
            if self.one_eyed:
                bitmaps = bitmaps[middles >= columns.shape[1] / 2 - 0.5]
            areas = bitmaps.sum((1, 2))
            boxes = torch.zeros(len(bitmaps), 4)
            for box, bitmap in zip(boxes, bitmaps, strict=True):
                y, x = bitmap.nonzero().T
                box[:] = torch.stack([x.min(), y.min(), x.max() + 1, y.max() + 1])
            sample.pred_instances = InstanceData(
                masks=bitmaps, bboxes=boxes, scores=0.2 + areas / 997,
                labels=areas % 3)
        return batch_data_samples

    def loss(self, *args):
        raise NotImplementedError

    def _forward(self, *args):
        raise NotImplementedError

    def extract_feat(self, *args):
        raise NotImplementedError


def spots():
    """Two images with spots of several sizes and forms."""
    images, samples = [], []
    for seed in range(2):
        rng = np.random.default_rng(seed)
        image = np.zeros((40, 56), np.uint8)
        for y, x in itertools.product(range(2, 40, 13), range(2, 56, 13)):
            h, w = rng.integers(2, 9, 2)
            image[y:y + h, x:x + w] = 255
            image[y, x] = 0 if min(h, w) > 3 else 255
        images.append(torch.from_numpy(np.repeat(image[None], 3, 0)))
        samples.append(DetDataSample(metainfo=dict(
            img_id=str(seed), ori_shape=(40, 56), img_shape=(40, 56), scale_factor=(1.0, 1.0))))
    return dict(inputs=images, data_samples=samples)


def assert_same(found, expected):
    assert len(found) == len(expected) > 5
    order = [np.lexsort((each.bboxes[:, 0], each.bboxes[:, 1])) for each in (found, expected)]
    found, expected = (each[index] for each, index in
                       zip((found, expected), order, strict=True))
    np.testing.assert_array_equal(found.scores, expected.scores)
    np.testing.assert_array_equal(found.labels, expected.labels)
    np.testing.assert_array_equal(found.bboxes, expected.bboxes)
    assert found.masks.to_rles() == expected.masks.to_rles()


@torch.no_grad()
@pytest.mark.parametrize('views', [
    *([view] for view in EIGHT), EIGHT, [dict(), dict(scale=2.0)],
    [dict(scale=3.0, turns=1, weight=0.5), dict(flip='horizontal', weight=2)]], ids=str)
def test_exact_where_every_view_shows_the_same(views):
    plain = BrightSpots().eval().test_step(spots())
    tta = MODELS.build(dict(type='MaskTTA', detector=dict(type='BrightSpots'), views=views)).eval()
    for found, expected in zip(tta.test_step(spots()), plain, strict=True):
        assert_same(to_detections(found), to_detections(expected))


@torch.no_grad()
def test_what_only_some_views_show_counts_by_their_weights():
    """The right half is seen by the image as it is, the left half by its mirror image."""
    views = [dict(weight=3), dict(flip='horizontal', weight=1)]
    tta = MODELS.build(dict(
        type='MaskTTA', detector=dict(type='BrightSpots', one_eyed=True), views=views)).eval()
    expected = to_detections(BrightSpots().eval().test_step(spots())[0])
    found = to_detections(tta.test_step(spots())[0])
    assert len(found) == len(expected)
    order = [np.lexsort((each.bboxes[:, 0], each.bboxes[:, 1])) for each in (found, expected)]
    share = found.scores[order[0]] / expected.scores[order[1]]
    right = expected.bboxes[order[1]][:, [0, 2]].mean(1) > 28
    np.testing.assert_allclose(share, np.where(right, 0.75, 0.25), rtol=1e-6)


def mask_rcnn(**options):
    torch.manual_seed(0)
    model = config(ours=True)
    model.test_cfg.rcnn.mask_thr_binary = [0.4, 0.5, 0.6]
    tta = MODELS.build(dict(type='MaskTTA', detector=model, **options))
    tta.detector.init_weights()
    torch.nn.init.normal_(tta.detector.roi_head.bbox_head.fc_reg.weight, std=0.1)
    return tta.eval()


@torch.no_grad()
def test_mask_rcnn_asked_by_hand():
    views = [dict(), dict(flip='vertical', turns=3, weight=2.0)]
    tta, data = mask_rcnn(views=views, fuse_iou_thr=0.3), pictures()
    plain = [to_detections(sample) for sample in tta.detector.test_step(pictures())]
    laid = pictures()
    laid['inputs'] = [torch.rot90(image.flip(-2), 3, (-2, -1)).contiguous()
                      for image in laid['inputs']]
    for sample in laid['data_samples']:
        sample.set_metainfo(dict(ori_shape=(96, 64), img_shape=(96, 64)))
    turned = [Orientation('vertical', 3).undo(to_detections(sample))
              for sample in tta.detector.test_step(laid)]
    for sample, *members in zip(tta.test_step(data), plain, turned, strict=True):
        found = to_detections(sample)
        expected = fuse_detections(members, [1, 2], 0.3, [0.4, 0.5, 0.6])
        assert len(found) < sum(map(len, members)), 'nothing was fused'
        np.testing.assert_array_equal(found.scores, expected.scores)
        assert found.masks.to_rles() == expected.masks.to_rles()
        np.testing.assert_allclose(found.mask_probs, expected.mask_probs, atol=1e-3)


@torch.no_grad()
def test_an_ensemble_is_a_detector():
    one, other = config(ours=True), config(ours=True)
    other.data_preprocessor.mean = [150.0] * 3
    torch.manual_seed(0)
    tta = MODELS.build(dict(type='MaskTTA', views=[dict()], fuse_iou_thr=0.99, detector=dict(
        type='MaskEnsemble', members=[one, other]))).eval()
    assert detectors_of(tta) == list(tta.detector.members)
    found, plain = (to_detections(model.test_step(pictures())[0]) for model in (tta, tta.detector))
    assert len(found) > 5
    np.testing.assert_array_equal(found.scores, plain.scores)
    np.testing.assert_array_equal(found.bboxes, plain.bboxes)


@torch.no_grad()
def test_one_view_is_the_detector():
    tta = mask_rcnn(views=[dict()], fuse_iou_thr=0.99)
    for found, expected in zip(tta.test_step(pictures()), tta.detector.test_step(pictures()),
                               strict=True):
        found, expected = to_detections(found), to_detections(expected)
        np.testing.assert_array_equal(found.scores, expected.scores)
        np.testing.assert_allclose(found.bboxes, expected.bboxes)
        differing = np.abs(found.masks.areas - expected.masks.areas)
        assert differing.max() <= 1  # half precision at a threshold
        assert expected.masks.areas.sum() > 100


def test_weights_are_those_of_the_detector():
    tta, other = mask_rcnn(), mask_rcnn()
    plain = MODELS.build(config(ours=True))
    assert tta.state_dict().keys() == plain.state_dict().keys()
    torch.nn.init.ones_(plain.neck.fpn_convs[0].conv.weight)
    tta.load_state_dict(plain.state_dict())
    assert (tta.detector.neck.fpn_convs[0].conv.weight == 1).all()
    other.load_state_dict(tta.state_dict())
    assert (other.detector.neck.fpn_convs[0].conv.weight == 1).all()


@torch.no_grad()
def test_what_acts_on_a_detector_acts_on_this_one():
    tta = mask_rcnn()
    assert detectors_of(tta) == [tta.detector]
    fold_for_inference(tta)
    assert isinstance(tta.detector.backbone.bn1, torch.nn.Identity)
    with watch_caps(tta) as caps:
        tta.test_step(pictures())
    assert {cap.image for cap in caps} == {'0', '1'}
    assert 'model.detector.test_cfg.rcnn.max_per_img' in {cap.key for cap in caps}
    assert all(cap.key.startswith('model.detector.test_cfg.') for cap in caps)
    one, other = dict(type='A'), dict(type='B')
    model = dict(members=[dict(type='MaskTTA', detector=one), other])
    assert list(member_configs(model)) == [one, other]


def test_a_plain_checkpoint_is_asked_by_a_config_with_views(tmp_path):
    cfg = write_checkpoint(tmp_path / 'epoch_1.pth')
    cfg.model = dict(type='MaskTTA', detector=cfg.model, views=[dict(), dict(turns=1)])
    cfg.dump(tmp_path / 'views.py')
    image = np.random.default_rng(0).integers(0, 256, (96, 96), dtype=np.uint8)
    plain = CellSegmenter(tmp_path / 'epoch_1.pth', 'cpu')(image)
    twice, once = (CellSegmenter(
        tmp_path / 'epoch_1.pth', 'cpu', config=str(tmp_path / 'views.py'), flips=flips)(image)
        for flips in (None, False))
    assert len(once) > 5
    np.testing.assert_allclose(once.scores[:5], plain.scores[:5], rtol=1e-5)
    assert not np.allclose(twice.scores[:5], plain.scores[:5])
    [cap], [line] = once.caps, once.warnings
    assert cap == 'model.detector.test_cfg.rcnn.max_per_img=60'
    assert line == (f'{cap} was reached: cells may be missing, smaller tiles (mmsart predict '
                    '--tile) may find them')  # true on the page, too, which has no such option


def test_it_is_not_trained():
    with pytest.raises(UserError, match='the detector is trained by its own config'):
        mask_rcnn()(*pictures().values(), mode='loss')


@pytest.mark.parametrize(('options', 'message'), [
    (dict(views=[]), 'model.views: found .*, expected a list of one or more'),
    (dict(views=[dict(angle=3)]), 'expected a list of one or more dicts with some of flip, turns'),
    (dict(views=[dict(flip='up')]), "model.views: flip: found 'up', expected one of '', 'hori"),
    (dict(views=[dict(turns=4)]), 'model.views: turns: found 4, expected a whole number from 0'),
    (dict(views=[dict(scale=0)]), 'model.views: scale: found 0, expected a number above 0'),
    (dict(views=[dict(scale='2x')]), "model.views: scale: found '2x', expected a number above 0"),
    (dict(views=[dict(weight=-1)]), 'model.views: weight: found -1, expected a number above 0'),
    (dict(fuse_iou_thr=1), 'model.fuse_iou_thr: found 1, expected'),
])
def test_bad_arguments(options, message):
    with pytest.raises(UserError, match=message):
        MODELS.build(dict(type='MaskTTA', detector=dict(type='BrightSpots'), **options))
