"""Load, resize, flip and pack one dense image: mmdet's own pipeline against ours.

Both get the same image and annotation, mmdet's as COCO RLE with text counts, ours as Kaggle RLE.
"""
import argparse
import copy
import statistics
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from common import Row, compare, judge, rss_peak, run, time_alone, traced_peak
from inputs import DenseImage, dense_images
from mmcv.transforms import Compose
from mmdet.registry import TRANSFORMS
from mmdet.utils import register_all_modules
from pycocotools import mask as coco_mask

from mmsart.datasets.transforms import LoadCroppedAnnotations
from mmsart.structures.mask.rle import kaggle_to_bitmap

STEPS: list[dict] = [
    dict(type='Resize', scale=(512, 512), keep_ratio=False),
    dict(type='RandomFlip', prob=1.0, direction='horizontal'),
    dict(type='PackDetInputs'),
]
STOCK_LOADING = dict(type='LoadAnnotations', with_bbox=True, with_mask=True)
OUR_LOADING = dict(type='LoadCroppedAnnotations')


def measure(args: argparse.Namespace) -> list[Row]:
    """Compare time, memory and outputs on each dense image."""
    register_all_modules(init_default_scope=True)
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        for image in dense_images(Path(folder)):
            rows += _measure_image(image, args.rounds)
    return rows


def _measure_image(image: DenseImage, rounds: int) -> list[Row]:
    stock_sample, our_sample = _sample(image, _coco_rles(image)), _sample(image, image.rles)
    load_image = Compose([_build(dict(type='LoadImageFromFile'))])
    steps = [_build(step) for step in STEPS]
    stock, ours = (
        _bind(Compose([*load_image.transforms, _build(loading), *steps]), sample)
        for loading, sample in ((STOCK_LOADING, stock_sample), (OUR_LOADING, our_sample)))
    decode = time_alone(f'{image.name}: decode the image alone',
                        _bind(load_image, our_sample), rounds)
    whole = compare(f'{image.name}: load, resize to 512², flip, pack', stock, ours, rounds,
                    difference=_difference(stock(), ours()))
    above = whole.ours - decode.ours
    whole.bar = '; '.join([judge('>= 40 x', whole.ratio is not None and whole.ratio >= 40),
                           judge(f'<= 30 ms above decoding ({above:.1f} ms)', above <= 30)])
    return [whole, decode, *_steps(image, stock_sample, our_sample, rounds),
            _memory(f'{image.name}: peak memory of the masks, traced', traced_peak,
                    _masks_only(STOCK_LOADING, stock_sample),
                    _masks_only(OUR_LOADING, our_sample), rounds=1),
            _memory(f'{image.name}: peak of resident memory, whole pipeline', rss_peak,
                    stock, ours, rounds=3)]


def _steps(image: DenseImage, stock_sample: dict, our_sample: dict, rounds: int) -> list[Row]:
    """Time the steps on the masks one by one."""
    stock, ours = (_masks_only(loading, sample, last='load')() for loading, sample in (
        (STOCK_LOADING, stock_sample), (OUR_LOADING, our_sample)))
    rows = [compare(f'{image.name}: load annotations',
                    _masks_only(STOCK_LOADING, stock_sample, last='load'),
                    _masks_only(OUR_LOADING, our_sample, last='load'), rounds)]
    calls: list[tuple[str, Callable[[Any], Any]]] = [
        ('resize masks to 512²', lambda masks: masks.resize((512, 512))),
        ('flip masks', lambda masks: masks.flip('horizontal')),
        ('crop masks to 256² (a view in stock)',
         lambda masks: masks.crop(np.array([200, 100, 456, 356]))),
    ]
    for name, call in calls:
        found, expected = call(ours).to_ndarray(), call(stock).to_ndarray()
        rows.append(compare(
            f'{image.name}: {name}', lambda call=call: call(stock), lambda call=call: call(ours),
            rounds, difference=float((found != expected).any())))
    return rows


def _masks_only(loading: dict, sample: dict, last: str = 'pack') -> Callable[[], Any]:
    """Make a function that loads annotations and takes the masks through the pipeline's steps."""
    load = _build(loading)

    def call() -> Any:
        masks = load(copy.copy(sample) | {'ori_shape': (sample['height'], sample['width'])})
        if last == 'load':
            return masks['gt_masks']
        flipped = masks.pop('gt_masks').resize((512, 512)).flip('horizontal')
        return flipped[np.arange(len(flipped))]

    return call


def _memory(what: str, peak: Callable[[Callable], float], stock: Callable, ours: Callable,
            rounds: int) -> Row:
    pairs = [(peak(stock), peak(ours)) for _ in range(rounds)]
    ratio = statistics.median(a / b for a, b in pairs)
    bar = judge('<= 1/40 of stock', ratio >= 40) if peak is traced_peak else ''
    return Row(what, statistics.median(a for a, _ in pairs),
               statistics.median(b for _, b in pairs), 'MB', ratio, bar=bar)


def _difference(stock: dict, ours: dict) -> float:
    """Give the largest difference between two packed samples."""
    a, b = stock['data_samples'].gt_instances, ours['data_samples'].gt_instances
    return max(
        (stock['inputs'].int() - ours['inputs'].int()).abs().max().item(),
        (a.bboxes.tensor - b.bboxes.tensor).abs().max().item(),
        (a.labels - b.labels).abs().max().item(),
        float((a.masks.to_ndarray() != b.masks.to_ndarray()).any()))


def _sample(image: DenseImage, masks: list[Any]) -> dict:
    """Make what a dataset hands to its pipeline."""
    instances = [dict(bbox=box, bbox_label=0, ignore_flag=0, mask=mask)
                 for box, mask in zip(image.boxes.astype(float).tolist(), masks, strict=True)]
    return dict(img_path=image.path, img_id='0', height=image.height, width=image.width,
                instances=instances)


def _coco_rles(image: DenseImage) -> list[dict]:
    """Encode as COCO does; mmdet skips instances whose counts are bytes, so they are text."""
    codes = [coco_mask.encode(np.asfortranarray(kaggle_to_bitmap(rle, (image.height, image.width))))
             for rle in image.rles]
    return [{'size': code['size'], 'counts': code['counts'].decode()} for code in codes]


def _build(config: dict) -> Any:
    if config['type'] == 'LoadCroppedAnnotations':
        return LoadCroppedAnnotations()
    return TRANSFORMS.build(config)


def _bind(pipeline: Compose, sample: dict) -> Callable[[], Any]:
    return lambda: pipeline(copy.copy(sample))


if __name__ == '__main__':
    raise SystemExit(run(measure, __doc__))
