import numpy as np
import pytest
from PIL import Image, ImageEnhance

from mmsart.datasets.transforms.random_brightness_contrast import RandomBrightnessContrast

GREY = np.random.default_rng(0).integers(0, 256, (20, 30), np.uint8)


def apply(image, *draw):
    transform = RandomBrightnessContrast()
    transform._draw = lambda: draw
    return transform(dict(img=image))['img']


@pytest.mark.parametrize('factor', [0.8, 0.93, 1.2])
def test_equals_pillow(factor):
    """torchvision's ColorJitter is Pillow's enhancement; Pillow cuts fractions, we round."""
    pillow = Image.fromarray(GREY)
    for ours, enhance in [(apply(GREY, factor, 1.0, True), ImageEnhance.Brightness),
                          (apply(GREY, 1.0, factor, True), ImageEnhance.Contrast)]:
        theirs = np.asarray(enhance(pillow).enhance(factor))
        assert np.abs(ours.astype(int) - theirs).max() <= 1


def test_order_counts():
    """Brightness first moves the mean around which the contrast changes, and cuts earlier."""
    bright = np.full((4, 4), 250, np.uint8)
    bright[0] = 50
    first = apply(bright, 1.2, 0.8, True)  # 60 and 255, mean 206.25
    assert first.tolist() == [[round(0.8 * 60 + 0.2 * 206)] * 4] + [
        [round(0.8 * 255 + 0.2 * 206)] * 4] * 3
    last = apply(bright, 1.2, 0.8, False)  # mean 200
    assert last.tolist() == [[round(1.2 * (0.8 * 50 + 0.2 * 200))] * 4] + [[255] * 4] * 3


def test_range_of_the_factors_and_three_channels():
    np.random.seed(0)
    transform = RandomBrightnessContrast(0.2, 0.1)
    draws = np.array([transform._draw() for _ in range(2000)])
    for column, bound in ((0, 0.2), (1, 0.1)):
        assert np.abs(draws[:, column] - 1).max() <= bound
        assert np.histogram(draws[:, column], 4, (1 - bound, 1 + bound))[0].min() > 400
    assert 900 < draws[:, 2].sum() < 1100
    colour = np.repeat(GREY[..., None], 3, 2)
    assert np.array_equal(apply(colour, 1.1, 0.9, True)[..., 1], apply(GREY, 1.1, 0.9, True))
