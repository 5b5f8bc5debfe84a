"""From mmdet's data samples to arrays: every form of truth, on one mask."""
from pathlib import Path

import numpy as np
import pytest
import torch
from mmdet.structures import DetDataSample
from mmdet.structures.mask import BitmapMasks
from mmengine.structures import InstanceData
from pycocotools import mask as coco_mask

from mmsart.structures.data_samples import (
    distinct_names,
    to_detections,
    to_predictions,
    true_masks,
)
from mmsart.structures.mask.cropped_masks import CroppedMasks
from mmsart.structures.mask.rle import bitmap_to_kaggle
from mmsart.utils import UserError

MASK = np.zeros((6, 9), np.uint8)
MASK[1:4, 2:7] = 1
POLYGON = [[2.0, 1.0, 7.0, 1.0, 7.0, 4.0, 2.0, 4.0]]


def sample(**meta):
    """A data sample of two detections."""
    found = DetDataSample(metainfo=dict(img_id='a', ori_shape=(6, 9), **meta))
    found.pred_instances = InstanceData(
        scores=torch.tensor([.9, .5]), labels=torch.tensor([1, 0]),
        bboxes=torch.tensor([[2., 1, 7, 4], [0, 0, 1, 1]]),
        masks=CroppedMasks.from_bitmaps(np.stack([MASK, 1 - MASK])))
    return found


def instance(mask, label=1, **more):
    return dict(mask=mask, bbox_label=label, ignore_flag=0, **more)


@pytest.mark.parametrize('form', ['sample', 'dict'])
def test_detections_are_plain_arrays(form):
    given = sample()
    given.pred_instances.mask_probs = torch.full((2, 4, 4), .25)
    found = to_detections(given if form == 'sample' else given.to_dict())
    assert found.img_id == 'a'
    assert found.scores.tolist() == pytest.approx([.9, .5])
    assert found.labels.tolist() == [1, 0]
    assert found.bboxes.tolist() == [[2, 1, 7, 4], [0, 0, 1, 1]]
    assert found.mask_probs.dtype == np.float16
    assert (found.masks.to_ndarray()[0] == MASK).all()


@pytest.mark.parametrize('mask', [
    bitmap_to_kaggle(MASK), POLYGON, coco_mask.encode(np.asfortranarray(MASK)),
    dict(size=[6, 9], counts=[13, 3, 3, 3, 3, 3, 3, 3, 3, 3, 14])],
    ids=['kaggle', 'polygons', 'RLE', 'counts'])
def test_annotations_of_every_kind_are_truth(mask):
    truth = true_masks(sample(instances=[instance(mask)]))
    assert truth.to_ndarray().tolist() == [MASK.tolist()]


@pytest.mark.parametrize('kind', [CroppedMasks.from_bitmaps, lambda m: BitmapMasks(m, 6, 9)])
def test_loaded_masks_are_truth(kind):
    """As mmdet's test pipelines load them: after the resizing, in the frame of the file."""
    given = sample()
    given.gt_instances = InstanceData(masks=kind(MASK[None]), labels=torch.tensor([1]))
    assert true_masks(given).to_ndarray().tolist() == [MASK.tolist()]
    assert to_predictions(given, ('a', 'b')).cell_type == 'b'


def test_no_annotation_is_not_the_same_as_no_cells():
    assert true_masks(sample()) is None
    assert len(true_masks(sample(instances=[]))) == 0


def test_ignored_instances_are_no_truth():
    crowd = dict(instance(POLYGON), ignore_flag=1)
    assert len(true_masks(sample(instances=[crowd, instance(POLYGON)]))) == 1


def test_an_instance_without_mask_is_named():
    bare = dict(bbox_label=0, ignore_flag=0)
    with pytest.raises(UserError, match='image a: instance 1 has no mask'):
        true_masks(sample(instances=[instance(POLYGON), bare]))


@pytest.mark.parametrize(('meta', 'classes', 'cell_type'), [
    (dict(instances=[], cell_type='cort'), ('x', 'y'), 'cort'),
    (dict(instances=[instance(POLYGON), instance(POLYGON)]), ('x', 'y'), 'y'),
    (dict(instances=[instance(POLYGON), instance(POLYGON, 0)]), ('x', 'y'), ''),
    (dict(instances=[]), ('x', 'y'), ''),
    (dict(instances=[]), ('cell',), 'cell'),
])
def test_cell_type_is_named_or_shared_by_all_instances(meta, classes, cell_type):
    assert to_predictions(sample(**meta), classes).cell_type == cell_type


def test_images_that_the_dataset_counts_are_named_after_their_file():
    given = sample(img_path='/images/well_3.tif')
    given.set_metainfo(dict(img_id=17))
    assert to_detections(given).img_id == 'well_3'


@pytest.mark.parametrize(('paths', 'expected'), [
    (['/x/a.png', '/x/b.png'], ['a', 'b']),
    (['/x/task_1/a.png', '/x/task_2/a.png', '/x/b.png'], ['task_1_a', 'task_2_a', 'b']),
    (['/x/1/w/a.png', '/x/2/w/a.png', '/x/2/v/a.png'], ['1_w_a', '2_w_a', 'v_a']),
    (['/x/a.png', '/x/a.tif'], ['x_a', 'x_a-2']),  # two stems of one folder
    (['/x/a.png', '/x/b.png', '/x/a.png'], ['a', 'b', 'a-2']),  # joined data sets share an image
    (['', '', ''], ['', '-2', '-3']),
    (['1/a.png', '/y/1_a.png', '2/a.png'], ['1_a', '1_a-2', '2_a']),
    (['/x/a-2.png', '/x/a.png', '/x/a.png'], ['a-2', 'a', 'a-3'])])
def test_names_are_told_apart_by_folders_then_by_counting(paths, expected):
    found = distinct_names([Path(path).stem for path in paths], paths)
    assert found == expected
