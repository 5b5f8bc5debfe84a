"""Keys of mmdet's data sets act as in mmdet: metainfo.classes and filter_cfg."""
import numpy as np
import pytest

from mmsart.datasets.sartorius import SartoriusDataset
from mmsart.datasets.synthetic.dataset import SyntheticDataset
from mmsart.utils import UserError


def build(root, classes=None, **kwargs):
    if classes is not None:
        kwargs['metainfo'] = dict(classes=classes)
    return SartoriusDataset(
        data_root=str(root), data_prefix=dict(img='train/'), pipeline=[], **kwargs)


def labels(dataset):
    return {sample['img_id']: [each['bbox_label'] for each in sample['instances']]
            for sample in dataset}


@pytest.fixture
def root(write_table):
    return write_table([
        dict(id='a', cell_type='shsy5y'), dict(id='b', cell_type='astro'),
        dict(id='b', cell_type='astro', annotation='9 1'), dict(id='c', cell_type='cort'),
        dict(id='d', annotation='', cell_type='cort')])


def test_labels_are_numbers_of_the_classes(root):
    assert labels(build(root)) == dict(a=[0], b=[1, 1], c=[2])
    assert labels(build(root, ['cort', 'astro', 'shsy5y'])) == dict(a=[2], b=[1, 1], c=[0])


@pytest.mark.parametrize('classes', [('astro',), ('cort', 'astro')])
def test_cells_of_other_types_are_left_out_and_that_is_said(root, classes):
    with pytest.warns(UserWarning, match='left out, on .* images: metainfo.classes names'):
        dataset = build(root, classes)
    expected = dict(b=[classes.index('astro')] * 2)
    if 'cort' in classes:
        expected['c'] = [0]
    assert labels(dataset) == expected
    assert dataset.metainfo['classes'] == classes


@pytest.mark.filterwarnings('ignore:.*left out')
def test_images_without_cells_of_the_classes_come_on_request(root):
    dataset = build(root, ('astro',), keep_empty=True)
    assert labels(dataset) == dict(a=[], b=[0, 0], c=[], d=[])
    assert [sample['cell_type'] for sample in dataset] == ['', 'astro', '', '']


def test_one_class_of_ones_own_name(write_table):
    root = write_table([dict(id='a', cell_type='cell'), dict(id='b', cell_type='cell')])
    assert labels(build(root, ('cell',))) == dict(a=[0], b=[0])
    with pytest.raises(UserError, match="row 2, column cell_type: found 'cell', expected one of"):
        build(root)  # with the competition's classes another name is a slip of the pen
    with pytest.raises(UserError, match="row 3, column cell_type: found ' ', expected a name"):
        build(write_table([{}, dict(id='b', cell_type=' ')]), ('cort', 'other'))


def test_classes_that_no_cell_has_are_refused(root):
    with pytest.raises(UserError, match='column cell_type: found astro, cort, shsy5y, expected one '
                                        r'of the classes cell \(metainfo\.classes\)'):
        build(root, ('cell',))


@pytest.mark.parametrize(('metainfo', 'problem'), [
    (dict(classes='cell'), r"metainfo\.classes: found 'cell', expected a list of names or a tuple"),
    (dict(classes=()), r'metainfo\.classes: found \(\)'),
    (dict(classes=('cort', 'cort')), r'metainfo\.classes: found cort, cort, expected each name'),
    (dict(CLASSES=('cort',)), 'metainfo: found CLASSES, expected classes')])
def test_metainfo_that_would_be_misread_is_refused(root, metainfo, problem):
    with pytest.raises(UserError, match=problem):
        build(root, metainfo=metainfo)


@pytest.mark.filterwarnings('ignore:.*left out')
def test_the_split_is_the_same_for_every_choice_of_classes(write_table):
    root = write_table([dict(id=f'i{n:02d}', sample_id=f's{n}', cell_type=('cort', 'astro')[n % 2])
                        for n in range(20)])
    split = dict(type='holdout', val_fraction=0.2, seed=0)
    every = {name: set(labels(build(root, subset=name, split=split))) for name in ('train', 'val')}
    for name, ids in every.items():
        chosen = set(labels(build(root, ('astro',), subset=name, split=split)))
        assert chosen == {each for each in ids if int(each[1:]) % 2}


@pytest.mark.parametrize(('filter_cfg', 'kept'), [
    (None, 'abcd'), (dict(), 'abcd'), (dict(filter_empty_gt=True), 'abc'),
    (dict(filter_empty_gt=False, min_size=8), 'abcd'), (dict(min_size=9), 'b')])
def test_filter_cfg(write_table, filter_cfg, kept):
    root = write_table([
        dict(id='a'), dict(id='b', width='9', height='9'), dict(id='c'),
        dict(id='d', annotation='')])
    assert ''.join(labels(build(root, keep_empty=True, filter_cfg=filter_cfg))) == kept
    assert len(build(root, keep_empty=True, filter_cfg=filter_cfg, test_mode=True)) == 4


@pytest.mark.parametrize(('filter_cfg', 'problem'), [
    (dict(min_size=90), r"filter_cfg: \{'min_size': 90\} leaves no image of 3"),
    (dict(min_sise=9), 'filter_cfg: found min_sise, expected filter_empty_gt or min_size')])
def test_a_filter_that_cannot_be_meant_is_refused(root, filter_cfg, problem):
    with pytest.raises(UserError, match=problem):
        build(root, filter_cfg=filter_cfg)


def test_a_folder_without_annotations_is_not_empty(root):
    """What is in its images is not known."""
    assert len(build(root, ann_file='', filter_cfg=dict(filter_empty_gt=True))) == 4


def test_generated_images_follow_the_classes():
    dataset = SyntheticDataset(length=12, size=(64, 64), pipeline=[],
                               metainfo=dict(classes=('cort', 'shsy5y')))
    found = {(sample['cell_type'], instance['bbox_label'])
             for sample in dataset for instance in sample['instances']}
    assert found == {('cort', 0), ('shsy5y', 1)}
    np.testing.assert_allclose(dataset.shares.sum(), 1)
    with pytest.raises(UserError, match=r'metainfo\.classes: found cell, expected one of the gen'):
        SyntheticDataset(length=1, pipeline=[], metainfo=dict(classes=('cell',)))
    with pytest.raises(UserError, match=r'filter_cfg\.min_size: found 65, expected at most the 64'):
        SyntheticDataset(length=1, size=(64, 80), pipeline=[], filter_cfg=dict(min_size=65))
