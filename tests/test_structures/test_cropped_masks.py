import pickle

import numpy as np
import pytest
import torch
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from mmdet.models.data_preprocessors import DetDataPreprocessor
from mmdet.structures import DetDataSample
from mmdet.structures.bbox import HorizontalBoxes
from mmdet.structures.mask import BitmapMasks
from mmengine.structures import InstanceData
from pycocotools import mask as coco_mask

from mmsart.structures.mask.cropped_masks import CroppedMasks, as_cropped
from mmsart.structures.mask.rle import bitmap_to_kaggle, parse_rles
from tests.test_structures.bitmap_strategies import bitmaps

sides = st.integers(1, 90)
offsets = st.integers(-60, 60)
few = settings(max_examples=60, deadline=None)


def pair(masks):
    """Hold the same masks in mmdet's way and in ours."""
    return BitmapMasks(masks, *masks.shape[1:]), CroppedMasks.from_bitmaps(masks)


def assert_same(ours, stock):
    """Compare every bit, and what is computed from them."""
    expected = stock.to_ndarray()
    found = ours.to_ndarray()
    assert isinstance(ours, CroppedMasks)
    assert (ours.height, ours.width) == (stock.height, stock.width)
    assert found.shape == expected.shape
    assert found.dtype == expected.dtype
    np.testing.assert_array_equal(found, expected)
    np.testing.assert_array_equal(ours.areas, stock.areas)
    assert torch.equal(ours.get_bboxes().tensor, stock.get_bboxes('hbox').tensor)


@few
@given(bitmaps(), st.integers(1, 9))
def test_subsample(bits, step):
    assume(min(bits.shape[1:]) > step // 2)
    expected = bits[:, step // 2::step, step // 2::step]
    found = CroppedMasks.from_bitmaps(bits).subsample(step)
    assert_same(found, BitmapMasks(expected, *expected.shape[1:]))


@few
@given(bitmaps())
def test_bitmaps_go_in_and_come_out(masks):
    stock, ours = pair(masks)
    assert_same(ours, stock)
    assert all(np.array_equal(a, b) for a, b in zip(ours, masks, strict=True))
    dense = ours.to_tensor(torch.float32, 'cpu')
    assert torch.equal(dense, stock.to_tensor(torch.float32, 'cpu'))


@few
@given(bitmaps())
def test_patches_tile_the_data(masks):
    ours = CroppedMasks.from_bitmaps(masks)
    assert ours.data.dtype == np.uint8
    assert ours.boxes.dtype == np.int32
    for i, (mask, (x1, y1, x2, y2)) in enumerate(zip(masks, ours.boxes, strict=True)):
        assert np.array_equal(ours.patch(i), mask[y1:y2, x1:x2])
    joined = [ours.patch(i).ravel() for i in range(len(ours))] or [np.zeros(0)]
    np.testing.assert_array_equal(np.concatenate(joined), ours.data)


@few
@given(bitmaps(min_masks=1))
def test_runs_become_tight_patches(masks):
    size = masks.shape[1:]
    runs = parse_rles([bitmap_to_kaggle(mask) for mask in masks])
    ours = CroppedMasks.from_runs(runs, *size)
    np.testing.assert_array_equal(ours.to_ndarray(), masks)
    np.testing.assert_array_equal(ours.boxes, CroppedMasks.from_bitmaps(masks).boxes)
    back = ours.to_runs()
    for name in ('starts', 'lengths', 'splits'):
        np.testing.assert_array_equal(getattr(back, name), getattr(runs, name))


@few
@given(bitmaps())
def test_rle_is_that_of_pycocotools_on_the_transposed_mask(masks):
    codes = [coco_mask.encode(np.asfortranarray(mask.T)) for mask in masks]
    ours = CroppedMasks.from_bitmaps(masks)
    assert ours.to_rles() == codes
    assert_same(CroppedMasks.from_rles(codes, *masks.shape[1:]), pair(masks)[0])


@few
@given(bitmaps(), st.sampled_from(['bytes', 'text', 'list']))
def test_coco_rle(masks, form):
    codes = [coco_mask.encode(np.asfortranarray(mask)) for mask in masks]
    if form == 'text':
        codes = [{**code, 'counts': code['counts'].decode()} for code in codes]
    elif form == 'list':
        codes = []
        for mask in masks:
            edges = np.flatnonzero(np.diff(mask.T.ravel(), prepend=0, append=2))
            counts = np.diff(edges, prepend=0).tolist()
            codes.append({'size': list(mask.shape), 'counts': counts})
    assert_same(CroppedMasks.from_coco(codes, *masks.shape[1:]), pair(masks)[0])


def test_polygons_are_united():
    parts = [[2.0, 3.0, 12.5, 3.0, 12.5, 9.0, 2.0, 9.0], [10.0, 5.0, 20.0, 5.0, 15.0, 17.0]]
    codes = coco_mask.frPyObjects(parts, 20, 25)
    ours = CroppedMasks.from_coco([parts, parts[:1]], 20, 25)
    np.testing.assert_array_equal(ours.to_ndarray()[0], coco_mask.decode(coco_mask.merge(codes)))
    np.testing.assert_array_equal(ours.to_ndarray()[1], coco_mask.decode(codes[0]))


@few
@given(bitmaps(), sides, sides)
def test_resize(masks, height, width):
    stock, ours = pair(masks)
    assert_same(ours.resize((height, width)), stock.resize((height, width)))


@few
@given(bitmaps(min_masks=1, max_side=25), sides, sides, st.sampled_from(['bilinear', 'area']))
def test_resize_with_interpolation(masks, height, width, interpolation):
    stock, ours = pair(masks)
    assert_same(ours.resize((height, width), interpolation),
                stock.resize((height, width), interpolation))


@few
@given(bitmaps(), st.floats(0.05, 3) | st.tuples(sides, sides))
def test_rescale(masks, scale):
    stock, ours = pair(masks)
    assume(_scaled_side(masks, scale) >= 1)  # OpenCV refuses an image without pixels
    assert_same(ours.rescale(scale), stock.rescale(scale))


def _scaled_side(masks, scale):
    height, width = masks.shape[1:]
    if isinstance(scale, tuple):
        scale = min(max(scale) / max(height, width), min(scale) / min(height, width))
    return int(min(height, width) * scale + 0.5)


@few
@given(bitmaps(), st.sampled_from(['horizontal', 'vertical', 'diagonal']))
def test_flip(masks, direction):
    stock, ours = pair(masks)
    assert_same(ours.flip(direction), stock.flip(direction))


@few
@given(bitmaps(), st.data())
def test_crop(masks, data):
    height, width = masks.shape[1:]
    x1, y1 = data.draw(st.integers(-5, width - 1)), data.draw(st.integers(-5, height - 1))
    box = np.array([x1, y1, x1 + data.draw(sides), y1 + data.draw(sides)])
    stock, ours = pair(masks)
    assert_same(ours.crop(box), stock.crop(box))
    # Boxes of cropped masks may be wider than the masks; what follows must not mind.
    assert_same(ours.crop(box).flip().tighten(), stock.crop(box).flip())


@few
@given(bitmaps(), st.integers(0, 30), st.integers(0, 30), st.sampled_from([0, 1]))
def test_pad(masks, below, right, value):
    size = (masks.shape[1] + below, masks.shape[2] + right)
    stock, ours = pair(masks)
    assert_same(ours.pad(size, value), stock.pad(size, value))


@few
@given(bitmaps(), st.integers(0, 30), st.integers(0, 30))
def test_expand(masks, top, left):
    arguments = (masks.shape[1] + top + 3, masks.shape[2] + left + 2, top, left)
    stock, ours = pair(masks)
    assert_same(ours.expand(*arguments), stock.expand(*arguments))


@few
@given(bitmaps(), sides, sides, offsets, offsets, st.sampled_from([0.0, 0.3, -0.5]))
def test_translate(masks, height, width, right, down, part):
    arguments = ((height, width), (right + part, down), 'both')
    stock, ours = pair(masks)
    assert_same(ours.translate(*arguments), stock.translate(*arguments))


@few
@given(bitmaps(max_masks=20, min_masks=1), st.floats(-180, 180), st.floats(0.3, 2),
       st.none() | st.tuples(st.floats(-5, 50), st.floats(-5, 50)),
       st.sampled_from([0, 1]), st.sampled_from(['bilinear', 'nearest']))
def test_rotate(masks, angle, scale, center, border, interpolation):
    arguments = (masks.shape[1:], angle, center, scale, border, interpolation)
    stock, ours = pair(masks)
    assert_same(ours.rotate(*arguments), stock.rotate(*arguments))


@few
@given(bitmaps(max_masks=20, min_masks=1), st.floats(-2, 2),
       st.sampled_from(['horizontal', 'vertical']), st.sampled_from([0, 1]))
def test_shear(masks, magnitude, direction, border):
    arguments = (masks.shape[1:], magnitude, direction, border)
    stock, ours = pair(masks)
    assert_same(ours.shear(*arguments), stock.shear(*arguments))


def test_more_masks_than_opencv_has_channels_can_be_rotated():
    masks = np.zeros((600, 9, 9), np.uint8)
    masks[:, 2:5, 3:8] = 1
    stock, ours = pair(masks)
    with pytest.raises(Exception, match='warpAffine'):
        stock.rotate((9, 9), 90.0)
    expected = BitmapMasks(masks[:5], 9, 9).rotate((9, 9), 90.0)
    assert_same(ours.rotate((9, 9), 90.0)[595:], expected)


@few
@given(bitmaps(min_masks=1), st.data())
def test_crop_and_resize(masks, data):
    number = data.draw(st.integers(0, 12))
    rng = np.random.default_rng(data.draw(st.integers(0, 99)))
    limit = np.array(masks.shape[2:0:-1])
    corners = np.sort(rng.uniform(0, 1, (number, 2, 2)), axis=1) * limit
    boxes = corners.reshape(-1, 4).astype(np.float32)
    chosen = rng.integers(0, len(masks), number)
    stock, ours = pair(masks)
    for binarize in (True, False):
        expected = stock.crop_and_resize(boxes, (7, 9), chosen, 'cpu', binarize=binarize)
        found = ours.crop_and_resize(boxes, (7, 9), chosen, 'cpu', binarize=binarize)
        np.testing.assert_allclose(found.masks, expected.masks, atol=1e-6)


@pytest.mark.parametrize('index', [
    1, -1, slice(1, 3), slice(None, None, 2), [2, 0], np.array([True, False, True, True]),
    np.array([3, 3, 0]), np.array([], int), torch.tensor([2, 1]), torch.tensor([False] * 4),
])
def test_indexing(index):
    masks = np.zeros((4, 6, 8), np.uint8)
    for i in (0, 1, 3):  # mask 2 is empty
        masks[i, i:i + 2, 2 * i:2 * i + 3] = 1
    stock, ours = pair(masks)
    assert_same(ours[index], stock[index])


def test_index_out_of_range():
    with pytest.raises(IndexError):
        CroppedMasks.empty(3, 3)[0]


@few
@given(bitmaps(), st.integers(0, 99))
def test_cat_undoes_a_split(masks, at):
    _, ours = pair(masks)
    at %= len(masks) + 1
    assert_same(CroppedMasks.cat([ours[:at], ours[at:]]), pair(masks)[0])


def test_cat_refuses_nothing_and_other_sizes():
    with pytest.raises(ValueError, match='empty list'):
        CroppedMasks.cat([])
    with pytest.raises(AssertionError, match='one image size'):
        CroppedMasks.cat([CroppedMasks.empty(3, 4), CroppedMasks.empty(4, 3)])


def test_constructor_names_what_is_wrong():
    with pytest.raises(AssertionError, match='hold 4 pixels, data 3'):
        CroppedMasks(np.ones(3, np.uint8), [[0, 0, 2, 2]], 5, 5)
    with pytest.raises(AssertionError, match='leave the image'):
        CroppedMasks(np.ones(4, np.uint8), [[4, 0, 6, 2]], 5, 5)


def test_as_cropped_takes_every_kind():
    masks = np.zeros((2, 5, 7), np.uint8)
    masks[0, 1:3, 2:6] = 1
    stock, ours = pair(masks)
    assert as_cropped(ours, 5, 7) is ours
    for other in (stock, masks, torch.from_numpy(masks).bool(), ours.to_rles()):
        assert_same(as_cropped(other, 5, 7), stock)
    with pytest.raises(AssertionError, match='expected 7 x 5'):
        as_cropped(masks, 7, 5)


def test_lives_in_instance_data():
    masks = np.zeros((3, 5, 7), np.uint8)
    masks[0, 1:3, 2:6] = masks[2, 4, 4] = 1
    _, ours = pair(masks)
    data = InstanceData(masks=ours, labels=torch.tensor([5, 6, 7]))
    keep = torch.tensor([True, False, True])
    assert_same(data[keep].masks, pair(masks[[0, 2]])[0])
    assert_same(data[torch.tensor([2, 0])].masks, pair(masks[[2, 0]])[0])
    assert_same(data[keep & False].masks, pair(masks[:0])[0])
    assert_same(InstanceData.cat([data, data]).masks, pair(np.concatenate([masks, masks]))[0])


def test_pickles():
    masks = np.eye(6, dtype=np.uint8)[None]
    assert_same(pickle.loads(pickle.dumps(CroppedMasks.from_bitmaps(masks))), pair(masks)[0])


def test_boxes_of_the_wanted_type():
    boxes = CroppedMasks.from_bitmaps(np.eye(4, dtype=np.uint8)[None]).get_bboxes(HorizontalBoxes)
    assert isinstance(boxes, HorizontalBoxes)
    assert boxes.tensor.tolist() == [[0, 0, 4, 4]]


def test_padded_by_the_data_preprocessor():
    masks = np.zeros((3, 30, 40), np.uint8)
    masks[0, 3:9, 2:6] = masks[2, 20:30, 30:40] = 1
    padded = []
    for held in pair(masks):
        sample = DetDataSample(metainfo=dict(img_shape=(30, 40)))
        sample.gt_instances = InstanceData(
            masks=held, bboxes=HorizontalBoxes(torch.zeros(3, 4)), labels=torch.zeros(3))
        preprocess = DetDataPreprocessor(pad_mask=True, pad_size_divisor=32)
        data = dict(inputs=[torch.zeros(3, 30, 40, dtype=torch.uint8)], data_samples=[sample])
        out = preprocess(data, training=True)['data_samples'][0].gt_instances.masks
        padded.append(out)
    assert_same(padded[1], padded[0])
    assert (padded[1].height, padded[1].width) == (32, 64)
