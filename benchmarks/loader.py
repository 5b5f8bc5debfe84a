"""Images a second through the data loader: two workers, batches of two, 512 x 512, both flips.

On the real images if SARTORIUS_ROOT is set, else on generated ones of the same numbers.
"""
import argparse
import tempfile
import time
from pathlib import Path

from common import Row, judge, run
from folders import data_root, write_coco
from mmdet.datasets import CocoDataset
from mmdet.registry import DATASETS
from mmdet.utils import register_all_modules
from mmengine.dataset import BaseDataset, pseudo_collate
from torch.utils.data import DataLoader, Subset

import mmsart.datasets.sartorius
import mmsart.datasets.transforms  # noqa: F401  registers the transforms
from mmsart.datasets.classes import CLASSES

PACK: dict = dict(type='PackDetInputs', meta_keys=())
STEPS: list[dict] = [
    dict(type='Resize', scale=(512, 512), keep_ratio=False),
    dict(type='RandomFlip', prob=0.5, direction='horizontal'),
    dict(type='RandomFlip', prob=0.5, direction='vertical'),
    PACK,
]
STOCK_IMAGES = 60  # stock is too slow for all; its images are spread evenly


def measure(args: argparse.Namespace) -> list[Row]:
    """Run epochs with stock's pipeline, ours, and ours with images kept in memory."""
    register_all_modules(init_default_scope=True)
    with tempfile.TemporaryDirectory() as folder:
        kind, root = data_root(Path(folder))
        write_coco(root, Path(folder) / 'coco.json')
        stock = images_per_second(_coco(root, Path(folder) / 'coco.json'), STOCK_IMAGES)[0]
        load = dict(type='LoadImageFromFile')
        decoding = images_per_second(_ours(root, [load, PACK]))[0]
        annotations = dict(type='LoadCroppedAnnotations')
        plain = images_per_second(_ours(root, [load, annotations, *STEPS]))[0]
        cached = images_per_second(_ours(
            root, [dict(type='LoadCachedImage'), annotations, *STEPS]), epochs=3)
        cpu = _cpu_per_image(root, load, annotations)
    fast_enough = judge('>= 60 images/s or within 1.5 x of decoding',
                        plain >= 60 or plain * 1.5 >= decoding)
    return [
        Row(f'{kind} images: decode alone', None, decoding, 'images/s'),
        Row(f'{kind} images: LoadImageFromFile', stock, plain, 'images/s', plain / stock,
            bar=fast_enough),
        Row(f'{kind} images: LoadCachedImage, first epoch', stock, cached[0], 'images/s',
            cached[0] / stock),
        Row(f'{kind} images: LoadCachedImage, third epoch', stock, cached[2], 'images/s',
            cached[2] / stock),
        *(Row(f'{kind} images: processor time per image, {name}', None, value)
          for name, value in cpu.items()),
    ]


def _cpu_per_image(root: Path, load: dict, annotations: dict) -> dict[str, float]:
    """Measure the time in ms that a worker computes for an image, whatever else is running."""
    kept = dict(type='LoadCachedImage')
    pipelines = {'decode alone': [load, PACK], 'LoadImageFromFile': [load, annotations, *STEPS],
                 'LoadCachedImage, second epoch': [kept, annotations, *STEPS]}
    times = {}
    for name, pipeline in pipelines.items():
        dataset = _ours(root, pipeline)
        chosen = range(0, len(dataset), max(1, len(dataset) // STOCK_IMAGES))
        for _ in range(2):  # the second time counts: by then images are in memory
            begin = time.process_time()
            for i in chosen:
                dataset[i]
            times[name] = (time.process_time() - begin) * 1e3 / len(chosen)
    return times


def images_per_second(dataset: BaseDataset, number: int | None = None,
                      epochs: int = 1) -> list[float]:
    """Time whole epochs, the workers' start not counted.

    Args:
        dataset: the images with their pipeline.
        number: how many of them, evenly spread; all if None.
        epochs: how many epochs.

    Returns:
        Images a second of each epoch.
    """
    part = dataset
    if number is not None:
        part = Subset(dataset, range(0, len(dataset), max(1, len(dataset) // number)))
    loader = DataLoader(part, batch_size=2, num_workers=2, collate_fn=pseudo_collate,
                        persistent_workers=True, shuffle=False)
    speeds = []
    for _ in range(epochs):
        batches = iter(loader)
        first = len(next(batches)['inputs'])
        begin = time.perf_counter()
        count = sum(len(batch['inputs']) for batch in batches)
        speeds.append(count / (time.perf_counter() - begin))
        assert first + count == len(part)
    return speeds


def _ours(root: Path, pipeline: list[dict]) -> BaseDataset:
    return DATASETS.build(dict(
        type='SartoriusDataset', data_root=str(root), ann_file='train.csv',
        data_prefix=dict(img='train/'), subset='all', pipeline=pipeline))


def _coco(root: Path, ann_file: Path) -> BaseDataset:
    annotations = dict(type='LoadAnnotations', with_bbox=True, with_mask=True)
    return CocoDataset(
        ann_file=str(ann_file), data_prefix=dict(img=str(root / 'train')),
        metainfo=dict(classes=CLASSES),
        pipeline=[dict(type='LoadImageFromFile'), annotations, *STEPS])


if __name__ == '__main__':
    raise SystemExit(run(measure, __doc__))
