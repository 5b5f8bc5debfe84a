"""A regression model, its data and a runner small enough to train in a fraction of a second."""
import pytest
import torch
from mmengine.config import Config
from mmengine.dataset import BaseDataset
from mmengine.evaluator import BaseMetric
from mmengine.model import BaseModel
from mmengine.registry import DATASETS, METRICS, MODELS, TRANSFORMS
from mmengine.runner import Runner
from mmengine.structures import BaseDataElement
from torch import nn


@MODELS.register_module()
class CurveToyModel(BaseModel):
    """Backbone with BatchNorm and a head; the noise term draws random numbers as samplers do."""

    def __init__(self):
        super().__init__()
        self.backbone = nn.Sequential(nn.Linear(2, 3), nn.BatchNorm1d(3))
        self.head = nn.Linear(3, 1)
        self.poison = None  # called with the image ids and the losses in training mode

    def forward(self, inputs, data_samples=None, mode='tensor'):
        output = self.head(self.backbone(torch.stack(inputs)))[:, 0]
        if mode == 'predict':
            return [BaseDataElement(pred=value) for value in output]
        target = torch.tensor([sample.target for sample in data_samples])
        losses = {
            'loss_fit': (output - target).square().mean(),
            'loss_noise': [(torch.rand(()) * output).square().mean()],
            'acc': output.detach().mean(),
        }
        if self.poison and self.training:
            self.poison([sample.img_id for sample in data_samples], losses)
        return losses


@DATASETS.register_module()
class CurveToyDataset(BaseDataset):
    def __init__(self, length=6, offset=0, **kwargs):
        self.length, self.offset = length, offset
        super().__init__(**kwargs)

    def load_data_list(self):
        return [dict(number=self.offset + number) for number in range(self.length)]


@TRANSFORMS.register_module()
class CurveToyPack:
    def __init__(self, scale=1.0):
        self.scale = scale

    def __call__(self, results):
        number = results['number']
        sample = BaseDataElement(metainfo=dict(img_id=f'image{number}', target=number * 0.5))
        return dict(inputs=self.scale * torch.tensor([number / 4, 1 - number / 3]),
                    data_samples=sample)


@METRICS.register_module()
class CurveToyMetric(BaseMetric):
    default_prefix = 'toy'

    def process(self, data_batch, data_samples):
        self.results += [float(sample['pred']) for sample in data_samples]

    def compute_metrics(self, results):
        return dict(mAP=sum(results) / len(results))


def loader(batch_size, shuffle, **dataset):
    return dict(
        batch_size=batch_size, num_workers=0, collate_fn=dict(type='pseudo_collate'),
        sampler=dict(type='DefaultSampler', shuffle=shuffle),
        dataset=dict(type='CurveToyDataset', pipeline=[dict(type='CurveToyPack')], **dataset))


@pytest.fixture
def make_runner(tmp_path):
    """Build a runner of the toy; keywords replace keys of its config."""

    def make(**overrides):
        cfg = Config(dict(
            default_scope='mmengine',
            model=dict(type='CurveToyModel'),
            work_dir=str(tmp_path / 'run'),
            train_dataloader=loader(3, True),
            val_dataloader=loader(2, False, length=4, offset=6, test_mode=True),
            train_cfg=dict(by_epoch=True, max_epochs=2, val_interval=1),
            val_cfg=dict(),
            val_evaluator=dict(type='CurveToyMetric'),
            optim_wrapper=dict(optimizer=dict(type='SGD', lr=0.01)),
            default_hooks=dict(logger=dict(type='LoggerHook', interval=1)),
            visualizer=dict(type='Visualizer', vis_backends=[dict(type='LocalVisBackend')]),
            randomness=dict(seed=0),
            experiment_name=f'{tmp_path.name}_{len(made)}',
            log_level='WARNING',
        ) | overrides)
        made.append(Runner.from_cfg(cfg))
        return made[-1]

    made: list[Runner] = []
    return make
