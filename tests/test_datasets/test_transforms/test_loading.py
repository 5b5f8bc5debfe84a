import numpy as np
import pytest
import torch
from mmdet.registry import TRANSFORMS
from pycocotools import mask as coco_mask

from mmsart.datasets.transforms import LoadCroppedAnnotations
from mmsart.structures.mask.rle import bitmap_to_kaggle
from mmsart.utils import UserError

SIZE = (12, 17)


def make_bitmaps():
    masks = np.zeros((3, *SIZE), np.uint8)
    masks[0, 2:5, 3:9] = 1
    masks[1, 0:2, :] = 1  # one run over the right border and on from the left one
    masks[2, 11, 16] = 1
    return masks


def make_results(masks, size=SIZE):
    boxes = [[3.0, 2.0, 9.0, 5.0], [0.0, 0.0, 17.0, 2.0], [16.0, 11.0, 17.0, 12.0]]
    instances = [dict(bbox=box, bbox_label=i, ignore_flag=0, mask=mask)
                 for i, (box, mask) in enumerate(zip(boxes, masks, strict=False))]
    return dict(img_path='cells.png', height=SIZE[0], width=SIZE[1], ori_shape=size,
                instances=instances)


def test_kaggle_runs():
    masks = make_bitmaps()
    results = LoadCroppedAnnotations().transform(make_results(map(bitmap_to_kaggle, masks)))
    np.testing.assert_array_equal(results['gt_masks'].to_ndarray(), masks)
    assert results['gt_bboxes_labels'].tolist() == [0, 1, 2]
    assert results['gt_ignore_flags'].tolist() == [False] * 3
    assert torch.equal(results['gt_masks'].get_bboxes().tensor, results['gt_bboxes'].tensor)


def test_no_instance():
    results = LoadCroppedAnnotations().transform(make_results([]))
    assert results['gt_masks'].to_ndarray().shape == (0, *SIZE)
    assert len(results['gt_bboxes']) == len(results['gt_ignore_flags']) == 0


def test_coco_annotations_as_mmdet():
    code = coco_mask.encode(np.asfortranarray(make_bitmaps()[1]))
    text = {'size': list(SIZE), 'counts': code['counts'].decode()}
    forms = [[[3.0, 2.0, 9.0, 2.0, 9.0, 5.5, 3.0, 5.0], [1.0, 1.0, 4.0, 1.0, 4.0, 4.0]], text,
             dict(size=list(SIZE), counts=[0, 3, SIZE[0] * SIZE[1] - 3])]
    stock = TRANSFORMS.build(dict(type='LoadAnnotations', with_bbox=True, with_mask=True))
    expected = stock.transform(make_results(forms))
    found = LoadCroppedAnnotations().transform(make_results(forms))
    np.testing.assert_array_equal(found['gt_masks'].to_ndarray(), expected['gt_masks'].masks)
    assert found['gt_ignore_flags'].tolist() == [False] * 3


@pytest.mark.parametrize(('mask', 'problem'), [
    ([[1.0, 1.0, 2.0, 2.0]], 'polygon 0: found 4 numbers, expected x and y of at least 3 points'),
    (dict(size=[17, 12], counts=[204]), r'found an RLE of size \[17, 12\], expected \[12, 17\]'),
    (None, 'found None, expected polygons or an RLE')])
def test_a_bad_mask_is_named_and_never_ignored(mask, problem):
    """mmdet would ignore the first and the last, and decode the second with another size."""
    good = [[3.0, 2.0, 9.0, 2.0, 9.0, 5.5]]
    with pytest.raises(UserError, match=rf'cells\.png: instance 1: mask: {problem}'):
        LoadCroppedAnnotations().transform(make_results([good, mask]))


def test_a_bad_run_is_named():
    with pytest.raises(UserError, match=r'cells\.png: instance 1: mask: run 204 2 ends past'):
        LoadCroppedAnnotations().transform(make_results(['1 1', '204 2']))


def test_counts_as_bytes_are_not_ignored():
    code = coco_mask.encode(np.asfortranarray(make_bitmaps()[1]))
    assert isinstance(code['counts'], bytes)
    results = LoadCroppedAnnotations().transform(make_results([code]))
    assert results['gt_ignore_flags'].tolist() == [False]
    np.testing.assert_array_equal(results['gt_masks'].to_ndarray()[0], make_bitmaps()[1])


def test_image_of_another_size_is_named():
    with pytest.raises(UserError, match=r'cells\.png: image of 13 x 17 .* expected 12 x 17'):
        LoadCroppedAnnotations().transform(make_results(['1 1'], size=(13, 17)))
