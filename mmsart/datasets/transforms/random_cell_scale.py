"""Resize images of any magnification so that their cells get the size asked for."""
import numpy as np
from mmcv.transforms import BaseTransform
from mmcv.transforms.utils import cache_randomness
from mmdet.registry import TRANSFORMS
from mmdet.structures.bbox import autocast_box_type


@TRANSFORMS.register_module()
class RandomCellScale(BaseTransform):
    """Scale an image so that its median cell has a diameter that is drawn anew each time.

    For training on images of other microscopes: what the network sees has the sizes of the cells
    that it is meant for, whatever the magnification was. The diameter of a cell is the square
    root of its box's area. An image without cells keeps its size.

    Required keys: those of mmdet's `Resize`, and ``gt_bboxes``. Modified keys: those of `Resize`.

    Args:
        diameter: the smallest and the largest diameter in pixels; drawn uniformly in its logarithm.
        scale_range: the image's scale stays in these bounds.
    """

    def __init__(self, diameter: tuple[float, float] = (14, 40),
                 scale_range: tuple[float, float] = (0.25, 2.5)) -> None:
        assert 0 < diameter[0] <= diameter[1], diameter
        assert 0 < scale_range[0] <= scale_range[1], scale_range
        self.diameter = diameter
        self.scale_range = scale_range
        self.resize = TRANSFORMS.build(dict(type='Resize', scale_factor=1.0, keep_ratio=True))

    @cache_randomness
    def _draw(self) -> float:
        return float(np.exp(np.random.uniform(*np.log(self.diameter))))

    @autocast_box_type()
    def transform(self, results: dict) -> dict:
        """Resize image, boxes and masks."""
        wanted = self._draw()
        boxes = results['gt_bboxes']
        if not len(boxes):
            return results
        present = float(np.median(np.sqrt(boxes.areas.numpy())))
        factor = np.clip(wanted / max(present, 1.0), *self.scale_range)
        height, width = results['img'].shape[:2]
        self.resize.scale = (max(round(width * factor), 1), max(round(height * factor), 1))
        return self.resize(results)

    def __repr__(self) -> str:
        return (f'{type(self).__name__}(diameter={self.diameter}, '
                f'scale_range={self.scale_range})')
