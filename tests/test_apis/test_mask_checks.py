"""A detector that learns from masks gets them, or is refused before the run."""
import pytest
from mmengine.config import Config
from torch import nn

import mmsart.registration  # noqa: F401
from mmsart.apis.mask_checks import check_mask_loading, check_mask_mixing
from mmsart.utils import UserError

OURS = dict(type='LoadCroppedAnnotations')
STOCK = dict(type='LoadAnnotations', with_bbox=True)
IMAGE, PACK = dict(type='LoadCachedImage'), dict(type='PackDetInputs')


class Learner(nn.Module):
    """As a mask head of mmdet, as far as the check looks."""

    def __init__(self):
        super().__init__()
        self.mask_head = nn.Identity()
        self.mask_head.loss_mask = nn.Identity()


def config(*steps, **parts):
    dataset = dict(type='SyntheticDataset', pipeline=[IMAGE, *steps, PACK])
    return Config(dict(train_dataloader=dict(dataset=dataset), **parts))


@pytest.mark.parametrize('steps', [
    [STOCK], [], [dict(OURS, with_mask=False)], [dict(type='LoadProposals')],
    [dict(type='RandomChoice', transforms=[[STOCK], []])]])
def test_transforms_that_load_no_masks_are_named(steps):
    with pytest.raises(UserError, match=r'train_dataloader\.dataset\.pipeline: found no transform '
                       r'that loads masks, expected LoadCroppedAnnotations, .*model\.mask_head'):
        check_mask_loading(config(*steps), Learner())
    check_mask_loading(config(*steps), nn.Identity())  # boxes alone need none


@pytest.mark.parametrize('steps', [
    [OURS], [dict(STOCK, with_mask=True)],
    [dict(type='RandomChoice', transforms=[[dict(type='LoadAnnotations', with_mask=True)], []])],
    [dict(type='KeyMapper', transforms=[OURS])]])
def test_transforms_that_load_them_are_taken(steps):
    check_mask_loading(config(*steps), Learner())


def test_transforms_of_ones_own_are_trusted():
    class LoadTheirs:
        def __call__(self, results):
            return results
    check_mask_loading(config(dict(type=LoadTheirs)), Learner())


def test_every_data_set_under_its_wrappers_counts():
    good = dict(type='SyntheticDataset', pipeline=[IMAGE, OURS, PACK])
    bad = dict(type='SyntheticDataset', pipeline=[IMAGE, STOCK, PACK])
    for datasets, fits in (([good, good], True), ([good, bad], False)):
        cfg = Config(dict(train_dataloader=dict(dataset=dict(
            type='RepeatDataset', times=2, dataset=dict(type='ConcatDataset', datasets=datasets)))))
        if fits:
            check_mask_loading(cfg, Learner())
        else:
            with pytest.raises(UserError, match='loads masks'):
                check_mask_loading(cfg, Learner())


@pytest.mark.parametrize(('hook', 'shared', 'place'), [
    (dict(pipeline=[IMAGE, STOCK, PACK]), [IMAGE, OURS, PACK], r'custom_hooks\.0\.pipeline'),
    ({}, [IMAGE, STOCK, PACK], 'val_loss_pipeline'),
    ({}, [IMAGE, OURS, PACK], None)])
def test_the_loss_on_validation_images_needs_them_too(hook, shared, place):
    cfg = config(OURS, custom_hooks=[dict(type='ValLossHook', **hook)], val_loss_pipeline=shared,
                 val_dataloader=dict(dataset=dict(type='SyntheticDataset')))
    if place is None:
        check_mask_loading(cfg, Learner())
    else:
        with pytest.raises(UserError, match=f'{place}: found no transform that loads masks'):
            check_mask_loading(cfg, Learner())


@pytest.mark.parametrize(('name', 'options'), [
    ('Mosaic', {}), ('MixUp', dict(ratio_range=(0.5, 1)))])
def test_mixing_that_leaves_masks_behind_is_refused(name, options):
    def mixed(kind, *steps):
        return Config(dict(train_dataloader=dict(dataset=dict(
            type='MultiImageMixDataset', pipeline=[dict(type=kind, **options), PACK],
            dataset=dict(type='SyntheticDataset', pipeline=[IMAGE, *steps])))))

    with pytest.raises(UserError, match=rf'train_dataloader\.dataset\.pipeline: found {name}, .*'
                                        rf'expected Cached{name}'):
        check_mask_mixing(mixed(name, OURS))
    check_mask_mixing(mixed(name, STOCK))
    check_mask_mixing(mixed(f'Cached{name}', OURS))


def test_mixing_that_cuts_masks_is_refused():
    wide = config(OURS, dict(type='CachedMixUp', img_scale=(64, 64)))
    with pytest.raises(UserError, match=r'ratio_range \(0\.5, 1\.5\), which cuts masks'):
        check_mask_mixing(wide)
