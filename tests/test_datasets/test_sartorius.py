"""The dataset class: subsets, samples, and errors that name their cause."""
import os

import cv2
import numpy as np
import pytest

from mmsart.datasets.sartorius import SartoriusDataset
from mmsart.utils import MissingFileError, UserError

HOLDOUT = dict(type='holdout', val_fraction=0.2, seed=0)


def build(root, **kwargs):
    return SartoriusDataset(
        data_root=str(root), data_prefix=dict(img='train/'), pipeline=[], **kwargs)


@pytest.fixture
def root(write_table):
    return write_table([
        dict(id=f'i{number:02d}', annotation=f'{number + 1} 3', sample_id=f's{number // 2}',
             cell_type=('cort', 'astro')[number // 10]) for number in range(20)])


def test_a_sample_has_what_the_pipeline_needs(root):
    dataset = build(root)
    assert len(dataset) == 20
    sample = dataset.get_data_info(12)
    assert sample['img_path'] == str(root / 'train' / 'i12.png')
    assert (sample['img_id'], sample['cell_type'], sample['sample_id']) == ('i12', 'astro', 's6')
    assert (sample['height'], sample['width']) == (8, 10)
    # pixels 13 to 15 of a row of 10 are the third to the fifth of row 1
    assert sample['instances'] == [
        dict(bbox=[2.0, 1.0, 5.0, 2.0], bbox_label=1, ignore_flag=0, mask='13 3')]


def test_train_and_val_part_the_images(root):
    parts = {name: {build(root, subset=name, split=HOLDOUT).get_data_info(i)['img_id']
                    for i in range(len(build(root, subset=name, split=HOLDOUT)))}
             for name in ('train', 'val')}
    assert len(parts['val']) == 4
    assert not parts['train'] & parts['val']
    assert len(parts['train'] | parts['val']) == 20


def test_folds_are_a_split_too(root):
    sizes = [len(build(root, subset='val', split=dict(type='kfold', n=5, fold=fold)))
             for fold in range(5)]
    assert sum(sizes) == 20


def test_images_without_cells_come_only_on_request(write_table):
    root = write_table([dict(id='a', annotation=''), dict(id='b')])
    assert [info['img_id'] for info in build(root)] == ['b']
    kept = build(root, keep_empty=True)
    assert [info['img_id'] for info in kept] == ['a', 'b']
    assert kept.get_data_info(0)['instances'] == []


def test_a_folder_of_images_needs_no_table(root):
    (root / 'train' / 'notes.txt').write_text('no image')
    dataset = build(root, ann_file='', test_mode=True)
    assert len(dataset) == 20
    info = dataset.get_data_info(0)
    assert (info['img_id'], info['height'], info['width']) == ('i00', 8, 10)
    assert 'instances' not in info  # unknown, where an empty list would say: no cells


def test_a_missing_image_is_named(root):
    (root / 'train' / 'i07.png').unlink()
    with pytest.raises(MissingFileError, match=r'row 9, column id: image .*i07\.png is missing'):
        build(root)


def test_an_unreadable_image_is_named(root):
    (root / 'train' / 'i07.png').write_bytes(b'no png')
    with pytest.raises(UserError, match=r'i07\.png: not a readable image'):
        build(root)


def test_an_image_of_another_size_is_named(root):
    cv2.imwrite(str(root / 'train' / 'i07.png'), np.zeros((8, 11), np.uint8))
    with pytest.raises(UserError, match=r'row 9, columns width and height: found 10 x 8, expected '
                                        r'11 x 8 as in i07\.png'):
        build(root)


def test_every_bad_image_is_named_in_one_go(root):
    for name in ('i03', 'i11'):
        (root / 'train' / f'{name}.png').unlink()
    (root / 'train' / 'i05.png').write_bytes(b'no png')
    (root / 'train' / 'i06.png').unlink()
    (root / 'train' / 'i06.png').symlink_to('moved.png')
    cv2.imwrite(str(root / 'train' / 'i17.png'), np.zeros((8, 10), np.uint16))
    with pytest.raises(UserError) as caught:
        build(root)
    assert [next(name for name in ('i03', 'i05', 'i06', 'i11', 'i17') if name in line)
            for line in caught.value.problems] == ['i03', 'i05', 'i06', 'i11', 'i17']
    assert 'a symbolic link to moved.png' in caught.value.problems[2]
    with pytest.raises(UserError) as caught:
        build(root, ann_file='')
    assert len(caught.value.problems) == 3  # a folder does not know what is missing


@pytest.mark.parametrize(('kwargs', 'problem'), [
    (dict(subset='test'), "subset: found 'test'"),
    (dict(subset='train'), 'split: found None'),
    (dict(subset='train', split='all'), "split: found 'all', expected a dict"),
    (dict(subset='val', split=dict(type='random')), 'expected a dict with type holdout or kfold'),
    (dict(subset='val', split=dict(type='kfold', val_fraction=.2)),
     "split: found 'val_fraction', expected of type 'kfold' some of n, fold, seed"),
    (dict(subset='val', split=dict(type='kfold', n=40)), 'expected at least 40 fields'),
])
def test_a_bad_subset_is_refused(root, kwargs, problem):
    with pytest.raises(UserError, match=problem):
        build(root, **kwargs)


def test_an_empty_subset_is_refused(write_table):
    with pytest.raises(UserError, match='the subset all is empty'):
        build(write_table([dict(annotation='')]))


def test_missing_folders_are_named(tmp_path, root):
    with pytest.raises(MissingFileError, match='no such folder'):
        build(tmp_path / 'nowhere')
    (root / 'empty').mkdir()
    with pytest.raises(UserError, match='no image'):
        SartoriusDataset(data_root=str(root), data_prefix=dict(img='empty'), ann_file='',
                         pipeline=[])


@pytest.mark.skipif('SARTORIUS_ROOT' not in os.environ, reason='needs the real data')
def test_real_data_has_whole_fields_on_either_side():
    root = os.environ['SARTORIUS_ROOT']
    parts = [build(root, subset=name, split=HOLDOUT) for name in ('train', 'val')]
    fields = [{info['sample_id'] for info in part} for part in parts]
    assert not fields[0] & fields[1]
    assert {info['cell_type'] for info in parts[1]} == {'shsy5y', 'astro', 'cort'}


def ids_of(dataset):
    return [dataset.get_data_info(index)['img_id'] for index in range(len(dataset))]


def test_indices_are_positions_among_what_split_and_filter_leave(root):
    split = dict(type='holdout')
    val = ids_of(build(root, subset='val', split=split))
    for indices, expected in ((2, val[:2]), (-1, val[-1:]), (99, val), ([3, 0], [val[3], val[0]])):
        assert ids_of(build(root, subset='val', split=split, indices=indices)) == expected
    with pytest.raises(UserError, match=(
            rf'train\.csv: subset val: indices: found 19, expected positions from 0 to '
            rf'{len(val) - 1}, of its {len(val)} images')):
        build(root, subset='val', split=split, indices=[0, 19])
