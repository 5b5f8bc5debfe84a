"""Prediction by tiles with a detector that sees squares, of which all is known."""
import cv2
import numpy as np
import pytest
import torch
from mmdet.models.detectors import BaseDetector
from mmdet.structures import DetDataSample
from mmengine.structures import InstanceData

from mmsart.models.detectors.tiled_htc import TiledPrediction
from mmsart.structures.mask.cropped_masks import CroppedMasks
from mmsart.utils import UserError

SIZE, TILE = (90, 120), (40, 50)


class SquareDetector(BaseDetector):
    """Finds connected bright areas, also those that the edge of a tile cuts."""

    def __init__(self):
        super().__init__()
        self.shapes = []

    def predict(self, inputs, samples, rescale=True):
        for image, sample in zip(inputs, samples, strict=True):
            self.shapes.append(tuple(image.shape[-2:]))
            height, width = sample.ori_shape
            shown = image[0, :sample.img_shape[0], :sample.img_shape[1]].numpy()
            small = cv2.resize(shown, (width, height), interpolation=cv2.INTER_AREA) > 0.5
            count, numbers = cv2.connectedComponents(small.astype(np.uint8), connectivity=4)
            masks = CroppedMasks.from_bitmaps(numbers == np.arange(1, count)[:, None, None])
            sample.pred_instances = InstanceData(
                bboxes=masks.get_bboxes().tensor, scores=torch.ones(count - 1),
                labels=torch.zeros(count - 1, dtype=torch.long), masks=masks)
        return samples

    def loss(self, *args):
        raise NotImplementedError

    _forward = extract_feat = loss


class TiledSquares(TiledPrediction, SquareDetector):
    pass


def detect(picture, img_shape=SIZE, **kwargs):
    detector = TiledSquares(
        tile_size=TILE, tile_counts=(4, 4), tile_scale=(100, 100), **kwargs)
    sample = DetDataSample(metainfo=dict(ori_shape=SIZE, img_shape=img_shape))
    inputs = torch.from_numpy(picture).float()[None, None].expand(1, 3, -1, -1)
    inputs = torch.nn.functional.pad(inputs, (0, 8, 0, 6))  # as images are padded
    return detector, detector.predict(inputs, [sample])[0].pred_instances


@pytest.mark.parametrize('tiles_per_batch', [1, 3, 16])
def test_each_square_is_found_once_and_whole(tiles_per_batch):
    truth = np.zeros((35, *SIZE), np.uint8)
    for number, bitmap in enumerate(truth):
        y, x = number // 7 * 17 + 2, number % 7 * 17 + 1
        bitmap[y:y + 9, x:x + 11] = 1
    detector, found = detect(truth.sum(0), tiles_per_batch=tiles_per_batch)
    assert set(detector.shapes) == {(96, 128)}  # 80 x 100, padded
    assert len(found) == 35
    order = np.lexsort((found.masks.boxes[:, 0], found.masks.boxes[:, 1]))
    np.testing.assert_array_equal(found.masks[order].to_ndarray(), truth)
    np.testing.assert_array_equal(found.bboxes.numpy(), found.masks.boxes)


def test_an_image_without_cells():
    _, found = detect(np.zeros(SIZE))
    assert (len(found), found.masks.height, found.masks.width) == (0, *SIZE)


def test_a_resized_image_is_refused():
    with pytest.raises(UserError, match='found an image resized from'):
        detect(np.zeros(SIZE), img_shape=(80, 120))
