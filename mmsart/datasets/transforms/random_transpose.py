"""Mirror at the diagonal, which together with flips gives all turns by 90 degrees."""
import numpy as np
from mmcv.transforms import BaseTransform
from mmcv.transforms.utils import cache_randomness
from mmdet.registry import TRANSFORMS
from mmdet.structures.bbox import autocast_box_type

from mmsart.structures.mask.patches import transpose_patches

TRANSPOSE = np.array([[0, 1, 0], [1, 0, 0], [0, 0, 1]], np.float32)


@TRANSFORMS.register_module()
class RandomTranspose(BaseTransform):
    """Swap rows and columns of an image, its boxes and masks.

    Cells in a dish have no up and no left. With horizontal and vertical flips before or after it,
    each of the eight orientations of a square is drawn.

    Required keys: ``img``, ``img_shape``. Modified keys: these and, where they are there,
    ``gt_bboxes`` and ``gt_masks`` (`CroppedMasks`). Added key: ``homography_matrix``, float32
    (3, 3), old coordinates to new ones, with that of transforms before.

    Args:
        prob: how often, in [0, 1].
    """

    def __init__(self, prob: float = 0.5) -> None:
        assert 0 <= prob <= 1, prob
        self.prob = prob

    @cache_randomness
    def _draw(self) -> bool:
        return np.random.rand() < self.prob

    @autocast_box_type()
    def transform(self, results: dict) -> dict:
        """Transpose the sample, or leave it."""
        if not self._draw():
            return results
        image = results['img']
        results['img'] = np.ascontiguousarray(image.swapaxes(0, 1))
        results['img_shape'] = results['img'].shape[:2]
        results['homography_matrix'] = TRANSPOSE @ results.get(
            'homography_matrix', np.eye(3, dtype=np.float32))
        if 'gt_bboxes' in results:
            boxes = results['gt_bboxes']
            results['gt_bboxes'] = type(boxes)(boxes.tensor[:, [1, 0, 3, 2]])
        if 'gt_masks' in results:
            masks = results['gt_masks']
            results['gt_masks'] = type(masks)(
                *transpose_patches(masks.data, masks.boxes), masks.width, masks.height)
        return results

    def __repr__(self) -> str:
        return f'{type(self).__name__}(prob={self.prob})'
