"""Resize images by a factor, whatever their size is."""
from mmcv.transforms import RandomResize
from mmdet.registry import TRANSFORMS


@TRANSFORMS.register_module()
class RandomScale(RandomResize):
    """Scale an image by a factor that is drawn anew each time.

    mmcv's `RandomResize` fits images of all sizes into one, and so changes how large cells are. A
    network that is tested on images as they are has to learn from them at about their own scale.

    Required and modified keys: those of mmdet's `Resize`.

    Args:
        ratio_range: the smallest and the largest factor; drawn uniformly.
    """

    def __init__(self, ratio_range: tuple[float, float]) -> None:
        assert 0 < ratio_range[0] <= ratio_range[1], ratio_range
        super().__init__(scale=(1, 1), ratio_range=ratio_range, keep_ratio=True)

    def transform(self, results: dict) -> dict:
        """Resize image, boxes and masks."""
        height, width = results['img_shape']
        self.scale = (width, height)
        return super().transform(results)
