import numpy as np
import pytest
from mmdet.registry import DATASETS
from mmengine.config import Config
from mmengine.dataset import pseudo_collate
from mmengine.registry import init_default_scope
from torch.utils.data import DataLoader

import mmsart.datasets.transforms  # noqa: F401
from mmsart.datasets.classes import CLASSES
from mmsart.datasets.synthetic.dataset import SyntheticDataset
from mmsart.structures.mask.cropped_masks import CroppedMasks
from mmsart.structures.mask.rle import kaggle_to_bitmap
from mmsart.utils import UserError

BASE = 'configs/_base_/datasets/synthetic_pretrain.py'


@pytest.fixture(autouse=True)
def _scope():
    init_default_scope('mmdet')


def test_sample_has_the_keys_of_a_dataset_sample():
    dataset = SyntheticDataset(size=(64, 96), seed=3)
    sample = dataset.get_data_info(7)
    assert sample['img'].shape == (64, 96, 3)
    assert (sample['height'], sample['width']) == (64, 96)
    assert sample['cell_type'] in CLASSES
    for instance in sample['instances']:
        mask = kaggle_to_bitmap(instance['mask'], (64, 96))
        rows, columns = np.nonzero(mask)
        assert instance['bbox'] == [
            columns.min(), rows.min(), columns.max() + 1, rows.max() + 1]
        assert instance['bbox_label'] == CLASSES.index(sample['cell_type'])


def test_an_image_depends_on_seed_and_number_alone():
    one, longer, other = (SyntheticDataset(size=(64, 64), seed=seed, length=length)
                          for seed, length in ((0, 5), (0, 500), (1, 5)))
    one.get_data_info(0)  # what was asked for before is of no influence
    np.testing.assert_array_equal(one.get_data_info(3)['img'], longer.get_data_info(3)['img'])
    assert (one.get_data_info(3)['img'] != other.get_data_info(3)['img']).any()
    assert (one.get_data_info(3)['img'] != one.get_data_info(4)['img']).any()


def test_millions_of_images_cost_nothing():
    dataset = SyntheticDataset(length=10 ** 9, size=(32, 32))
    assert len(dataset) == 10 ** 9
    assert dataset.get_data_info(10 ** 9 - 1)['sample_idx'] == 10 ** 9 - 1


def test_type_weights():
    dataset = SyntheticDataset(size=(32, 32), type_weights=dict(astro=2, cort=0))
    assert {dataset.get_data_info(i)['cell_type'] for i in range(5)} == {'astro'}


@pytest.mark.parametrize('wrong', [
    dict(length=0), dict(seed=-1), dict(type_weights={}), dict(type_weights=dict(hela=1)),
    dict(type_weights=dict(cort=0)), dict(type_weights=dict(cort=-1, astro=3))])
def test_bad_arguments(wrong):
    with pytest.raises(UserError, match='expected'):
        SyntheticDataset(**wrong)


def test_config_base_gives_training_samples_in_workers():
    config = Config.fromfile(BASE).train_dataloader.dataset
    assert config.type == 'SyntheticDataset'
    config.size = (96, 96)
    dataset = DATASETS.build(config)
    loader = DataLoader(dataset, batch_size=1, num_workers=2, collate_fn=pseudo_collate,
                        sampler=range(4))
    batches = list(loader)
    assert len(batches) == 4
    for batch in batches:
        assert batch['inputs'][0].shape == (3, 96, 96)
        instances = batch['data_samples'][0].gt_instances
        assert isinstance(instances.masks, CroppedMasks)
        assert len(instances.masks) == len(instances.bboxes) >= 1
