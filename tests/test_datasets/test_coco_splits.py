"""COCO's images parted into training and validation by the data set itself."""
import json
import re
from collections import Counter

import cv2
import numpy as np
import pytest

from mmsart.datasets.checked_coco import CheckedCocoDataset
from mmsart.structures.data_samples import image_name
from mmsart.utils import UserError

SIDE, COUNT = 32, 40
CLASSES = ('round', 'long')


@pytest.fixture(scope='module')
def root(tmp_path_factory):
    """Images in pairs of one well; a third shows long cells, one in ten none at all."""
    folder = tmp_path_factory.mktemp('coco')
    cv2.imwrite(str(folder / 'a.png'), np.zeros((SIDE, SIDE), np.uint8))
    square = [2, 2, 12, 2, 12, 12, 2, 12]
    content = dict(
        images=[dict(id=number, file_name='a.png', height=SIDE, width=SIDE, well=number // 2)
                for number in range(COUNT)],
        annotations=[
            dict(id=3 * number + each, image_id=number, iscrowd=0, segmentation=[square], area=100,
                 bbox=[2, 2, 10, 10], category_id=7 + (number // 2 % 3 == 0 and each < 2))
            for number in range(COUNT) for each in range(3) if number % 10],
        categories=[dict(id=7, name='round'), dict(id=8, name='long')])
    (folder / 'all.json').write_text(json.dumps(content))
    return folder


def build(root, **kwargs):
    return CheckedCocoDataset(**{**dict(
        ann_file='all.json', data_root=str(root), data_prefix=dict(img=''), pipeline=[],
        metainfo=dict(classes=CLASSES)), **kwargs})


def samples_of(dataset):
    return [dataset.get_data_info(index) for index in range(len(dataset))]


@pytest.mark.parametrize('split', [
    dict(type='holdout', val_fraction=0.25), dict(type='kfold', n=4, fold=3, seed=2)])
def test_each_image_is_on_one_side_and_a_group_too(root, split):
    train = samples_of(build(root, subset='train', split=split, group_key='well',
                             filter_cfg=dict(filter_empty_gt=True)))
    val = samples_of(build(root, subset='val', split=split, group_key='well', test_mode=True))
    assert len(val) == pytest.approx(COUNT / 4, abs=2)
    assert len({sample['img_id'] for sample in [*train, *val]}) == len(train) + len(val)
    empty = {number for number in range(COUNT) if number % 10 == 0}
    assert {sample['img_id'] for sample in [*train, *val]} | empty == set(range(COUNT))
    wells = [{sample['sample_id'] for sample in side} for side in (train, val)]
    assert not wells[0] & wells[1]
    kinds = Counter(sample['instances'][0]['bbox_label'] for sample in val if sample['instances'])
    assert kinds[0] > kinds[1] > 0


def test_folds_of_images_by_themselves_part_them_all(root):
    found = Counter()
    for fold in range(4):
        split = dict(type='kfold', n=4, fold=fold)
        samples = samples_of(build(root, subset='val', split=split))
        assert all('sample_id' not in sample for sample in samples)
        found.update(sample['img_id'] for sample in samples)
    assert found == Counter(range(COUNT))


def test_some_positions_are_parted_among_themselves(root):
    chosen = [number for number in range(COUNT) if number % 10][:12]
    split = dict(type='kfold', n=3, fold=0)
    sides = [{sample['img_id'] for sample in samples_of(
        build(root, subset=subset, split=split, indices=chosen))} for subset in ('train', 'val')]
    assert sides[0] | sides[1] == set(chosen)
    assert [len(side) for side in sides] == [8, 4]


@pytest.mark.parametrize(('kwargs', 'problem'), [
    (dict(subset='test'), "subset: found 'test', expected train, val or all"),
    (dict(subset='val'), 'split: found None, expected a dict with type holdout or kfold'),
    (dict(subset='val', split=dict(type='kfold', n=30), group_key='well'),
     '40 images of 20 fields of view: expected at least 30 fields for 30 folds'),
    (dict(group_key='plate'), 'all.json: image a.png: plate: found None, expected a number or')])
def test_what_cannot_part_is_named(root, kwargs, problem):
    with pytest.raises(UserError, match=re.escape(problem)):
        build(root, **kwargs)


PACK = [dict(type='LoadImageFromFile'),
        dict(type='PackDetInputs', meta_keys=('img_id', 'img_path', 'ori_shape'))]


def test_a_test_is_told_groups_by_any_pipeline_and_blanks_are_their_own(root, tmp_path):
    content = json.loads((root / 'all.json').read_text())
    wells = ['x', ' ', 'x', '', 5]
    content['images'] = [dict(image, well=well) for image, well in zip(
        content['images'][:5], wells, strict=True)]
    content['annotations'] = [each for each in content['annotations'] if each['image_id'] < 5]
    (tmp_path / 'wells.json').write_text(json.dumps(content))
    dataset = build(root, ann_file=str(tmp_path / 'wells.json'), group_key='well', test_mode=True,
                    pipeline=PACK)
    samples = [packed['data_samples'] for packed in dataset]
    assert [sample.image_name for sample in samples] == ['a', 'a-2', 'a-3', 'a-4', 'a-5']
    assert [sample.sample_id for sample in samples] == ['x', 'a-2', 'x', 'a-4', '5']
    plain = build(root, test_mode=True, pipeline=PACK)[0]['data_samples']
    assert 'sample_id' not in plain
    assert 'image_name' not in build(root, pipeline=PACK)[1]['data_samples']  # of a training


def test_an_image_has_one_name_whichever_others_are_chosen(tmp_path):
    files = ['p1/frame.png', 'p2/frame.png', 'p2/other.png']
    for file in files:
        (tmp_path / file).parent.mkdir(exist_ok=True)
        cv2.imwrite(str(tmp_path / file), np.zeros((SIDE, SIDE), np.uint8))
    (tmp_path / 'all.json').write_text(json.dumps(dict(
        images=[dict(id=number, file_name=file, height=SIDE, width=SIDE)
                for number, file in enumerate(files)], categories=[dict(id=7, name='round')])))
    names = ['p1_frame', 'p2_frame', 'other']
    for indices, expected in ((None, names), ([1], names[1:2]), ([2, 0], [names[2], names[0]])):
        dataset = build(tmp_path, indices=indices, test_mode=True, pipeline=PACK)
        assert [image_name(each['data_samples'].to_dict()) for each in dataset] == expected
