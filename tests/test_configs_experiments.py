"""The report's experiments: what they set, taken from built objects, and that they train."""
import math
from pathlib import Path

import numpy as np
import pytest
import torch
from mmdet.registry import DATASETS, TRANSFORMS
from mmengine.hooks import ParamSchedulerHook
from mmengine.registry import RUNNERS
from PIL import Image

from mmsart.apis.config import load_config
from mmsart.datasets import CLASSES
from mmsart.structures.mask.cropped_masks import CroppedMasks
from mmsart.structures.mask.rle import runs_to_text
from mmsart.visualization.run_logs import read_run

CONFIGS = Path(__file__).parents[1] / 'configs' / 'sartorius'
PLAIN = ['maskrcnn_sgd_steplr', 'maskrcnn_sgd_plateau', 'maskrcnn_augmented']
STAGED = ['maskrcnn_two_stage', 'maskrcnn_two_stage_report', 'maskrcnn_two_stage_sgd_8e',
          'maskrcnn_two_stage_sgd_50e', 'maskrcnn_two_stage_90_10', 'maskrcnn_loss_weights']
DRAWN = 'maskrcnn_two_stage'
ALL_BY_SGD = {(part, 1e-3, 5e-4, 0.9) for part in ('backbone', 'neck', 'rpn_head', 'roi_head')}
SMALL = [
    'model.backbone.depth=18', 'model.backbone.base_channels=8',
    'model.neck.in_channels=[8,16,32,64]', 'model.neck.out_channels=16',
    'model.rpn_head.in_channels=16', 'model.rpn_head.feat_channels=16',
    'model.roi_head.bbox_roi_extractor.out_channels=16',
    'model.roi_head.mask_roi_extractor.out_channels=16',
    'model.roi_head.bbox_head.in_channels=16', 'model.roi_head.bbox_head.fc_out_channels=16',
    'model.roi_head.mask_head.in_channels=16', 'model.roi_head.mask_head.conv_out_channels=16',
    'model.train_cfg.rcnn.sampler.num=32', 'model.train_cfg.rpn_proposal.max_per_img=50',
    'model.test_cfg.rpn.max_per_img=50', 'load_from=None', 'train_dataloader.num_workers=0',
    'train_dataloader.persistent_workers=False', 'val_dataloader.num_workers=0',
    'val_dataloader.persistent_workers=False', 'log_level=WARNING',
    'train_dataloader.batch_size=4',
]


@pytest.fixture(scope='module')
def data_root(tmp_path_factory):
    """Thirty images of 96 x 96, a field of view each, with three bright cells of one type."""
    root = tmp_path_factory.mktemp('sartorius')
    (root / 'train').mkdir()
    rng = np.random.default_rng(0)
    y, x = np.mgrid[:96, :96]
    rows = ['id,annotation,width,height,cell_type,plate_time,sample_date,sample_id,'
            'elapsed_timedelta']
    for number in range(30):
        cells = np.stack([((x - cx) / 9) ** 2 + ((y - cy) / 6) ** 2 < 1
                          for cx, cy in zip((20, 48, 76), rng.integers(15, 80, 3), strict=True)])
        image = np.where(cells.any(0), 200, 100) + rng.integers(-20, 20, (96, 96))
        Image.fromarray(image.astype(np.uint8)).save(root / 'train' / f'image{number:02d}.png')
        for cell in cells:
            runs = CroppedMasks.from_bitmaps(cell[None].astype(np.uint8)).to_runs()
            rows.append(f'image{number:02d},{runs_to_text(runs.starts, runs.lengths)},96,96,'
                        f'{CLASSES[number % 3]},11h30m00s,2019-06-16,field{number},'
                        '0 days 11:30:00')
    (root / 'train.csv').write_text('\n'.join(rows) + '\n')
    return root


@pytest.fixture
def build(data_root, tmp_path, monkeypatch):
    """Build the runner of an experiment, with a narrow network and images of 96 px."""

    # Asking compilers for their versions takes longer than building the network.
    monkeypatch.setattr('mmengine.runner.runner.collect_env', dict)

    def make(name, *options):
        cfg = load_config(str(CONFIGS / f'{name}.py'),
                          [*SMALL, f'data_root={data_root}', *options], str(tmp_path / name))
        for pipeline in (cfg.train_dataloader.dataset.pipeline, cfg.val_loss_pipeline,
                         cfg.val_dataloader.dataset.pipeline, cfg.test_dataloader.dataset.pipeline):
            for step in pipeline:
                if step['type'] == 'Resize':
                    step['scale'] = (96, 96)
        cfg.experiment_name = f'{tmp_path.name}_{name}'
        if name != DRAWN:  # drawing takes longer than training here
            cfg.custom_hooks = [hook for hook in cfg.custom_hooks if hook.type != 'CurvesHook']
        return RUNNERS.build(cfg)

    return make


def entered(runner, index):
    """Bring the loop into a stage, as its run does, and give the stage."""
    if isinstance(runner._train_loop, dict):
        runner._train_loop = runner.build_train_loop(runner._train_loop)
    runner.train_loop._enter_stage(index)
    return runner.train_loop.stage


def plain(runner):
    """Build what a run without stages builds first."""
    runner._train_loop = runner.build_train_loop(runner._train_loop)
    runner.optim_wrapper = runner.build_optim_wrapper(runner.optim_wrapper)
    runner.param_schedulers = runner.build_param_scheduler(runner.param_schedulers)
    return runner


def groups(runner):
    """Give (part, lr, weight decay, momentum) of every parameter that learns, as a set."""
    named = {id(parameter): name for name, parameter in runner.model.named_parameters()}
    return {(named[id(parameter)].split('.')[0], float(f'{group["lr"]:.6g}'),
             group['weight_decay'], group.get('momentum'))
            for group in runner.optim_wrapper.optimizer.param_groups
            for parameter in group['params'] if parameter.requires_grad}


def lrs_by_iteration(runner, count):
    return trace(runner, count, lambda hook: hook.after_train_iter(runner, 0))


def lrs_by_epoch(runner, count):
    return trace(runner, count, lambda hook: hook.after_train_epoch(runner))


def trace(runner, count, step):
    values = []
    for _ in range(count):
        values.append({group['lr'] for group in runner.optim_wrapper.optimizer.param_groups})
        runner.optim_wrapper.optimizer._opt_called = True  # the schedulers warn without a step
        step(ParamSchedulerHook())
    assert all(len(value) == 1 for value in values)
    return [value.pop() for value in values]


@pytest.mark.parametrize('name', STAGED)
def test_stages(build, name):
    runner = build(name)
    stage = entered(runner, 0)
    assert stage.max_epochs == 10
    check_first_stage(runner)
    stage = entered(runner, 1)
    check_everything_learns(runner.model, fixed_norms=runner.cfg.model.roi_head.mask_head.type
                            == 'NarrowMaskHead')
    if 'sgd' in name:
        assert stage.max_epochs == (50 if '50e' in name else 8)
        check_second_stage_sgd(runner, stage.max_epochs)
    else:
        assert stage.max_epochs == 10
        check_second_stage_adamw(runner)


def check_first_stage(runner):
    """Only box and mask predictor; SGD 1e-3; linear warm-up over 500 steps; clipping."""
    learning = {key for key, value in runner.model.named_parameters() if value.requires_grad}
    assert learning == {
        f'roi_head.{layer}.{kind}' for kind in ('weight', 'bias')
        for layer in ('bbox_head.fc_cls', 'bbox_head.fc_reg', 'mask_head.upsample',
                      'mask_head.conv_logits')}
    assert isinstance(runner.optim_wrapper.optimizer, torch.optim.SGD)
    assert groups(runner) == {('roi_head', 2e-6, 5e-4, 0.9)}
    lrs = lrs_by_iteration(runner, 600)
    assert lrs == pytest.approx([1e-3 * min((step + 1) / 500, 1) for step in range(600)])
    assert [lrs[at] for at in (0, 249, 499, 500)] == pytest.approx([2e-6, 5e-4, 1e-3, 1e-3])
    assert runner.optim_wrapper.clip_grad_kwargs == dict(max_norm=10)


def check_second_stage_adamw(runner):
    """Heads 1e-4, backbone 1e-5, weight decay 1e-4."""
    assert isinstance(runner.optim_wrapper.optimizer, torch.optim.AdamW)
    assert groups(runner) == {('backbone', 1e-5, 1e-4, None)} | {
        (part, 1e-4, 1e-4, None) for part in ('neck', 'rpn_head', 'roi_head')}
    assert not runner.param_schedulers


def check_second_stage_sgd(runner, epochs):
    assert isinstance(runner.optim_wrapper.optimizer, torch.optim.SGD)
    assert groups(runner) == ALL_BY_SGD
    lrs = lrs_by_epoch(runner, epochs)
    assert lrs == pytest.approx([1e-3 * 0.1 ** (epoch // 3) for epoch in range(epochs)])


def check_everything_learns(model, fixed_norms):
    """All but normalisation layers that the network declares as fixed."""
    model.train()  # ResNet.train() freezes its first stages if it is let
    frozen = [key for key, value in model.named_parameters() if not value.requires_grad]
    assert bool(frozen) == fixed_norms  # torchvision's frozen BatchNorm
    assert all('.bn' in key or '.downsample.1.' in key for key in frozen)


@pytest.mark.parametrize('name', ['maskrcnn_sgd_steplr', 'maskrcnn_augmented'])
def test_sgd_steplr(build, name):
    runner = plain(build(name))
    assert groups(runner) == ALL_BY_SGD
    lrs = lrs_by_epoch(runner, runner.max_epochs)
    assert lrs == pytest.approx([1e-3 * 0.1 ** (epoch // 3) for epoch in range(12)])


def test_sgd_plateau(build):
    """The rate falls after the fourth validation that is no better, not while they improve."""
    runner = plain(build('maskrcnn_sgd_plateau'))
    assert groups(runner) == ALL_BY_SGD
    losses = iter([3, 2, 1, 1, 1, 1, 1, 1, 0.5, 1, 1, 1, 1])

    def epoch(hook):
        hook.after_train_epoch(runner)
        hook.after_val_epoch(runner, {'val_loss/loss': next(losses)})

    assert trace(runner, 13, epoch) == pytest.approx([1e-3] * 7 + [1e-4] * 6)
    assert trace(runner, 1, lambda hook: None) == pytest.approx([1e-5])


def test_augmentation(build):
    """Flips 0.5 and 0.2, independent; angles over all of +-15 degrees; jitter of 20 %."""
    runner = build('maskrcnn_augmented')
    steps = {}
    for cfg in runner.cfg.train_dataloader.dataset.pipeline:
        step = TRANSFORMS.build(cfg)
        steps.setdefault(type(step).__name__, []).append(step)
    assert [(flip.direction, flip.prob) for flip in steps['RandomFlip']] == [
        ('horizontal', 0.5), ('vertical', 0.2)]
    rotate, = steps['Rotate']
    angles = np.array([rotate._get_mag() for _ in range(500)])
    assert not any(rotate._random_disable() for _ in range(100))
    assert np.abs(angles).max() <= 15
    assert np.histogram(angles, 6, (-15, 15))[0].min() > 40  # expected: 83 in each sixth
    jitter, = steps['RandomBrightnessContrast']
    assert (jitter.brightness, jitter.contrast) == (0.2, 0.2)


def test_masks_and_boxes_turn_with_the_image(build):
    """Cells are brighter than what is around them, also after flips, rotation and jitter."""
    dataset = DATASETS.build(build('maskrcnn_augmented').cfg.train_dataloader.dataset)
    for index in range(8):
        sample = dataset[index]
        image = sample['inputs'].float().mean(0).numpy()
        instances = sample['data_samples'].gt_instances
        cells = instances.masks.to_ndarray()
        union = cells.any(0)
        bright = image > (image[union].mean() + image[~union].mean()) / 2
        assert len(cells) >= 2
        assert (bright & union).sum() / (bright | union).sum() > 0.85  # 0.6 for masks left behind
        for cell, box in zip(cells, instances.bboxes.tensor.tolist(), strict=True):
            rows, columns = np.nonzero(cell)
            assert box == [columns.min(), rows.min(), columns.max() + 1, rows.max() + 1]


@pytest.mark.parametrize(('name', 'share'), [('maskrcnn_two_stage', 0.2),
                                             ('maskrcnn_two_stage_90_10', 0.1)])
def test_split(build, name, share):
    runner = build(name)
    train, val, test = (
        [dataset.get_data_info(index)['img_id'] for index in range(len(dataset))]
        for dataset in (DATASETS.build(runner.cfg[f'{kind}_dataloader'].dataset)
                        for kind in ('train', 'val', 'test')))
    assert len(val) == pytest.approx(30 * share)
    assert sorted(train + val) == [f'image{number:02d}' for number in range(30)]
    assert test == val


def test_mask_predictor_of_the_report(build):
    """A transposed convolution to 128 channels and a 1 x 1 convolution to the classes."""
    head = build('maskrcnn_two_stage_report').model.roi_head.mask_head
    assert (head.upsample.out_channels, head.upsample.kernel_size, head.upsample.stride) == (
        128, (2, 2), (2, 2))
    assert (head.conv_logits.in_channels, head.conv_logits.out_channels) == (128, 3)
    assert len(head.convs) == 4


def test_loss_weights_are_an_option(build):
    heads = build('maskrcnn_loss_weights', 'model.rpn_head.loss_bbox.loss_weight=3').model
    assert heads.roi_head.mask_head.loss_mask.loss_weight == 2
    assert heads.rpn_head.loss_bbox.loss_weight == 3


@pytest.mark.parametrize('name', PLAIN + STAGED)
def test_trains_two_epochs(build, name):
    """Losses are logged for training and validation, scores for each type; curves are drawn."""
    staged = name in STAGED
    options = ([f'train_cfg.stages.{stage}.max_epochs=1' for stage in (0, 1)] if staged
               else ['train_cfg.max_epochs=2'])
    runner = build(name, *options)
    before = {key: value.clone() for key, value in runner.model.state_dict().items()}
    runner.train()
    assert runner.epoch == 2
    run = read_run(runner.work_dir)
    terms = ('loss', 'loss_rpn_cls', 'loss_rpn_bbox', 'loss_cls', 'loss_bbox', 'loss_mask')
    for term in terms:
        assert len(run.series('val', f'val_loss/{term}')) == 2
        assert np.isfinite(run.series('train', term).values).all()
    last = run.val[-1]
    assert last['val_loss/loss'] == pytest.approx(
        sum(last[f'val_loss/{term}'] for term in terms[1:]), rel=1e-3)
    assert {f'sartorius/mAP_{name}' for name in CLASSES} <= set(last)
    assert [name for _, name in run.borders()] == (['all'] if staged else [])
    assert (Path(runner.work_dir) / 'curves.svg').is_file() == (name == DRAWN)
    after = runner.model.state_dict()
    assert not torch.equal(after['roi_head.mask_head.conv_logits.weight'],
                           before['roi_head.mask_head.conv_logits.weight'])
    if name == 'maskrcnn_sgd_plateau':
        scheduler, = runner.param_schedulers
        assert math.isfinite(scheduler.best)  # it has seen the validation loss
