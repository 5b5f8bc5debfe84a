"""Images and their cells, scaled by a factor whatever their size."""
import numpy as np
import pytest
from mmcv.transforms import RandomResize
from mmdet.registry import TRANSFORMS

from mmsart.apis import load_config
from mmsart.datasets.transforms import RandomScale
from mmsart.structures.mask.cropped_masks import CroppedMasks


def sample(height, width, side=16):
    bitmap = np.zeros((1, height, width), np.uint8)
    bitmap[0, 20:20 + side, 30:30 + side] = 1
    masks = CroppedMasks.from_bitmaps(bitmap)
    return dict(img=np.zeros((height, width, 3), np.uint8), img_shape=(height, width),
                gt_masks=masks, gt_bboxes=masks.get_bboxes('hbox'))


@pytest.mark.parametrize('shape', [(520, 704), (1040, 1388), (704, 520), (100, 300)])
def test_cells_are_as_large_as_the_factor_says(shape):
    np.random.seed(0)
    transform, factors = RandomScale((0.8, 1.25)), []
    for _ in range(50):
        out = transform(sample(*shape))
        assert out['img'].shape[:2] == out['img_shape'] == (
            out['gt_masks'].height, out['gt_masks'].width)
        factors.append(out['gt_bboxes'].widths.item() / 16)
        assert out['img_shape'] == pytest.approx([factors[-1] * each for each in shape], abs=1.5)
    assert 0.78 < min(factors) < 0.85
    assert 1.2 < max(factors) < 1.27


def test_on_images_of_one_size_it_is_mmcvs():
    stock = TRANSFORMS.build(dict(
        type=RandomResize, scale=(704, 520), ratio_range=(0.8, 1.25), keep_ratio=True))
    ours = RandomScale((0.8, 1.25))
    for seed in range(20):
        outs = []
        for transform in (stock, ours):
            np.random.seed(seed)
            outs.append(transform(sample(520, 704)))
        assert outs[0]['img_shape'] == outs[1]['img_shape']
        assert outs[0]['gt_bboxes'].tensor.tolist() == outs[1]['gt_bboxes'].tensor.tolist()


@pytest.mark.parametrize('name', ['finetune_mobilenetv2', 'cascade_mobilenetv2'])
def test_recipes_learn_from_large_images_at_their_own_scale(name):
    step, = [step for step in load_config(f'configs/sartorius/{name}.py').train_pipeline
             if 'Resize' in step['type'] or 'Scale' in step['type']]
    width = TRANSFORMS.build(step)(sample(1040, 1388))['gt_bboxes'].widths.item()
    assert 12 < width < 21
