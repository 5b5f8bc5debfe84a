"""Jitter of brightness and contrast, as torchvision's `ColorJitter` does it."""
import cv2
import numpy as np
from mmcv.transforms import BaseTransform
from mmcv.transforms.utils import cache_randomness
from mmdet.registry import TRANSFORMS


@TRANSFORMS.register_module()
class RandomBrightnessContrast(BaseTransform):
    r"""Scale brightness and contrast of an image by random factors, in random order.

    Factors are uniform in :math:`[1-x, 1+x]`: brightness :math:`v \mapsto f v`, contrast
    :math:`v \mapsto f v + (1 - f) \bar v` with the mean grey value :math:`\bar v` of the image,
    both cut to 0..255. On grey images this is all of torchvision's ``ColorJitter(x, y, z)``: its
    saturation mixes an image with its own grey version. mmdet's nearest transforms are no match:
    ``PhotoMetricDistortion`` adds up to 32 to the brightness, ``Brightness`` and ``Contrast``
    round their factors to tenths.

    Args:
        brightness: maximum relative change of brightness, in [0, 1].
        contrast: maximum relative change of contrast, in [0, 1].
    """

    def __init__(self, brightness: float = 0.2, contrast: float = 0.2) -> None:
        self.brightness = brightness
        self.contrast = contrast

    @cache_randomness
    def _draw(self) -> tuple[float, float, bool]:
        """Draw both factors and whether brightness goes first."""
        return (np.random.uniform(1 - self.brightness, 1 + self.brightness),
                np.random.uniform(1 - self.contrast, 1 + self.contrast),
                np.random.rand() < 0.5)

    def transform(self, results: dict) -> dict:
        """Change ``img`` (uint8, (H, W) or (H, W, C))."""
        brightness, contrast, brightness_first = self._draw()
        image = results['img']
        steps = [(brightness, False), (contrast, True)]
        for factor, around_mean in steps if brightness_first else steps[::-1]:
            mean = round(float(image.mean())) if around_mean else 0
            values = np.arange(256) * factor + (1 - factor) * mean
            image = cv2.LUT(image, np.clip(np.rint(values), 0, 255).astype(np.uint8))
        results['img'] = image
        return results

    def __repr__(self) -> str:
        return (f'{type(self).__name__}(brightness={self.brightness}, '
                f'contrast={self.contrast})')
