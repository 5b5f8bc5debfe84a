"""A small model with batch norm and dropout, random data, and a run on them in two stages."""
import random

import numpy as np
import torch
from mmengine.evaluator import BaseMetric
from mmengine.model import BaseModel
from mmengine.registry import DATASETS, METRICS, MODELS
from torch import nn

import mmsart.engine  # noqa: F401
from mmsart.engine.runner import StagedRunner


class ToyBackbone(nn.Module):
    """Two conv-norm pairs; freezes its first like mmdet's ResNet, at each call of train()."""

    def __init__(self, frozen_stages: int = 0) -> None:
        super().__init__()
        self.conv1, self.bn1 = nn.Conv2d(1, 4, 3), nn.BatchNorm2d(4)
        self.conv2, self.bn2 = nn.Conv2d(4, 4, 3), nn.BatchNorm2d(4)
        self.frozen_stages = frozen_stages
        self._freeze_stages()

    def _freeze_stages(self) -> None:
        if self.frozen_stages >= 0:
            self.bn1.eval()
            for part in (self.conv1, self.bn1):
                part.requires_grad_(False)

    def train(self, mode: bool = True) -> 'ToyBackbone':
        super().train(mode)
        self._freeze_stages()
        return self

    def forward(self, images):
        return self.bn2(self.conv2(self.bn1(self.conv1(images)).relu())).relu()


@MODELS.register_module()
class ToyModel(BaseModel):
    def __init__(self, frozen_stages: int = 0) -> None:
        super().__init__()
        self.backbone = ToyBackbone(frozen_stages)
        self.dropout = nn.Dropout(0.3)
        self.head = nn.ModuleDict(dict(norm=nn.BatchNorm1d(4), fc=nn.Linear(4, 1)))

    def forward(self, inputs, target, mode='tensor'):
        images, target = torch.stack(inputs), torch.stack(target)
        features = self.dropout(self.backbone(images).mean((2, 3)))
        output = self.head.fc(self.head.norm(features)).squeeze(1)
        if mode == 'loss':
            return dict(loss=((output - target) ** 2).mean())
        return [dict(error=error) for error in (output - target).abs().tolist()]


@DATASETS.register_module()
class ToyDataset(torch.utils.data.Dataset):
    """Images whose augmentation draws from all three generators of the process."""

    metainfo = dict(classes=('cell',))

    def __init__(self, length: int = 11, augment: bool = True) -> None:
        self.length, self.augment = length, augment
        self.pipeline = []
        self.seen = []

    def __len__(self):
        return self.length

    def __getitem__(self, index):
        self.seen.append(int(index))
        image = torch.full((1, 8, 8), index / self.length)
        image[:, ::2] *= 0.5
        if self.augment:
            image = image + torch.rand(1, 8, 8) * random.random() + np.random.rand()
        for transform in getattr(self.pipeline, 'transforms', []):
            image = transform(dict(image=image))['image']
        return dict(inputs=image, target=torch.tensor(index % 3 / 3.0))


@METRICS.register_module()
class ToyMetric(BaseMetric):
    def process(self, data_batch, data_samples):
        self.results += data_samples

    def compute_metrics(self, results):
        return dict(error=float(np.mean([result['error'] for result in results])),
                    score=-float(np.mean([result['error'] for result in results])))


def stages(**second):
    return [
        dict(name='head', max_epochs=2, trainable=['head'],
             optim_wrapper=dict(optimizer=dict(type='SGD', lr=0.05, momentum=0.9),
                                clip_grad=dict(max_norm=5)),
             param_scheduler=[dict(type='LinearLR', start_factor=1 / 4, by_epoch=False, end=4)]),
        {**dict(name='all', max_epochs=2,
                optim_wrapper=dict(
                    optimizer=dict(type='AdamW', lr=1e-2, weight_decay=1e-3),
                    paramwise_cfg=dict(custom_keys=dict(backbone=dict(lr_mult=0.1)))),
                param_scheduler=[dict(type='StepLR', step_size=1, gamma=0.5),
                                 dict(type='ReduceOnPlateauLR', monitor='error', patience=0)]),
         **second}]


def config(work_dir, **changes):

    loader = dict(batch_size=3, num_workers=0, sampler=dict(type='DefaultSampler', shuffle=True))
    base = dict(
        model=dict(type='ToyModel'), work_dir=str(work_dir),
        train_dataloader=dict(loader, dataset=dict(type='ToyDataset')),
        val_dataloader=dict(loader, dataset=dict(type='ToyDataset', length=5, augment=False),
                            sampler=dict(type='DefaultSampler', shuffle=False)),
        train_cfg=dict(type='StagedTrainLoop', stages=stages()),
        val_cfg=dict(), val_evaluator=dict(type='ToyMetric'),
        default_hooks=dict(
            checkpoint=dict(type='AtomicCheckpointHook', interval=1, max_keep_ckpts=1,
                            save_best='score', rule='greater'),
            logger=dict(type='LoggerHook', interval=1)),
        env_cfg=dict(dist_cfg=dict(backend='gloo', timeout=300)),
        randomness=dict(seed=7, deterministic=True), default_scope='mmengine',
        log_level='INFO')
    return {**base, **changes}


def build(work_dir, **changes):
    """Build the runner; its name is unique, for mmengine keeps loggers by name."""
    build.count += 1
    return StagedRunner.from_cfg(
        config(work_dir, experiment_name=f'toy{build.count}', **changes))


build.count = 0
