"""Labelled images with unlabelled ones beside them."""
import numpy as np
import pytest

from mmsart.datasets.semi_supervised import SemiSupervisedDataset
from mmsart.engine.runner.seeded_data import SeededDataset, SeededIndex
from mmsart.utils import UserError


class Numbers:
    """A data set whose samples name themselves."""

    def __init__(self, name, length, *branches):
        self.name, self.length, self.branches = name, length, branches
        self.metainfo = dict(classes=(name,))
        self.read = False

    def full_init(self):
        self.read = True

    def __len__(self):
        return self.length

    def __getitem__(self, index):
        sample = f'{self.name}{index}'
        return {key: {branch: f'{sample} {branch}' for branch in self.branches}
                if self.branches else sample for key in ('inputs', 'data_samples')}


def pair():
    return SemiSupervisedDataset(
        [Numbers('labelled', 3), Numbers('bare', 50, 'teacher', 'student')])


def test_each_labelled_image_has_company_in_branches():
    data = pair()
    sample = data[2]
    assert set(sample) == {'inputs', 'data_samples'}
    assert sample['inputs']['sup'] == sample['data_samples']['sup'] == 'labelled2'
    name, branch = sample['inputs']['teacher'].split()
    assert (name[:4], branch) == ('bare', 'teacher')
    assert sample['data_samples']['student'] == f'{name} student'


def test_an_epoch_is_that_of_the_labelled_images():
    data = pair()
    assert len(data) == 3
    assert data.metainfo == dict(classes=('labelled',))
    data.full_init()
    assert all(each.read for each in data.datasets)


def test_the_company_changes_and_the_seed_decides_it():
    data = SeededDataset(pair())
    found = {data[SeededIndex(0, seed)]['inputs']['teacher'] for seed in range(20)}
    assert len(found) > 10
    assert data[SeededIndex(0, 7)] == data[SeededIndex(0, 7)]
    state = np.random.get_state()[1].copy()
    data[SeededIndex(0, 7)]
    np.testing.assert_array_equal(np.random.get_state()[1], state)


def test_two_data_sets_are_needed():
    with pytest.raises(UserError, match='datasets: found 1, expected two'):
        SemiSupervisedDataset([Numbers('labelled', 3)])
