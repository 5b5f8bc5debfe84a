"""Train Mask R-CNN R50-FPN on dense images on a GPU: mmdet's way, ours, and torchvision's.

Prints images a second, the share of the time spent waiting for data, and peak GPU memory, one line
a way, for the same image of 786 cells, the same batches, and as many loader workers. torchvision's
line is left out where torchvision cannot be imported. With ``--configs`` it times these configs
instead, on batches of their own data that are read beforehand. ``--device cpu`` is there to try the
script.
"""
import argparse
import dataclasses
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import torch
from dense_training import DenseDataset, build_detector, build_optimizer
from inputs import DENSEST, generated_image
from mmdet.utils import register_all_modules
from mmengine.config import Config
from mmengine.dataset import pseudo_collate
from mmengine.registry import DATASETS, MODELS
from torch.utils.data import DataLoader

import mmsart.registration  # noqa: F401

Step = Callable[[Any], None]
WARM_UP = 3  # batches that are not timed
OWN_BATCHES = 4  # of a config's data, used in turn


@dataclasses.dataclass
class Speed:
    """How fast one way trains.

    Attributes:
        images_per_second: of the whole loop.
        waiting: share of the time in which the loop waits for the loader, 0 to 1.
        peak_memory: most GPU memory that torch has allocated, in MB; 0 on a CPU.
    """

    images_per_second: float
    waiting: float
    peak_memory: float


def main(argv: list[str] | None = None) -> int:
    """Measure each way and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, allow_abbrev=False)
    parser.add_argument('--device', choices=['cuda', 'cpu'], default='cuda')
    parser.add_argument('--size', type=int, default=512, help='side of the input in pixels')
    parser.add_argument('--cells', type=int, default=DENSEST, help='cells in the image')
    parser.add_argument('--batch-size', type=int, default=2, help='images')
    parser.add_argument('--workers', type=int, default=4, help='processes that load data')
    parser.add_argument('--iterations', type=int, default=30, help='timed batches a way')
    parser.add_argument('--configs', nargs='+', help='configs to time in place of the three ways')
    args = parser.parse_args(argv)
    if args.device == 'cuda' and not torch.cuda.is_available():
        parser.error('found no CUDA device, expected one (--device cpu tries the script)')
    register_all_modules(init_default_scope=True)
    name = torch.cuda.get_device_name() if args.device == 'cuda' else 'CPU'
    if args.configs:
        print(f'{name}, torch {torch.__version__}\n| config | batch | ms an iteration | images/s | '
              'peak GPU memory |\n| --- | --- | --- | --- | --- |')
        for config in args.configs:
            print(time_config(config, args.device, args.iterations), flush=True)
        return 0
    print(f'{name}, torch {torch.__version__}, input {args.size} x {args.size}, '
          f'{args.cells} cells, batches of {args.batch_size}, {args.workers} workers')
    print('| way | images/s | waiting for data | peak GPU memory |\n| --- | --- | --- | --- |')
    with tempfile.TemporaryDirectory() as folder:
        image = generated_image(Path(folder), args.cells)
        for way, ours, make_step in ways():
            length = args.batch_size * (WARM_UP + args.iterations)
            loader = DataLoader(
                DenseDataset(image, ours, args.size, length), args.batch_size,
                num_workers=args.workers, collate_fn=pseudo_collate)
            speed = measure(make_step(args.device, args.size), loader, args)
            print(f'| {way} | {speed.images_per_second:.2f} | {speed.waiting:.0%} | '
                  f'{speed.peak_memory:,.0f} MB |', flush=True)
    return 0


def ways() -> Iterator[tuple[str, bool, Callable[[str, int], Step]]]:
    """List what to compare: a name, whether masks are loaded as patches, and the step's maker."""
    yield 'mmdet', False, lambda device, size: detector_step(False, device)
    yield 'ours', True, lambda device, size: detector_step(True, device)
    try:
        import torchvision  # noqa: F401  a CUDA build fails to import beside torch for the CPU
    except (ImportError, RuntimeError) as error:
        print(f'(no torchvision: {error})')
        return
    yield 'torchvision', False, torchvision_step


def time_config(path: str, device: str, iterations: int) -> str:
    """Train a config's model, from random weights, on a few batches of its data.

    Args:
        path: a config with a `train_dataloader`.
        device: 'cuda' or 'cpu'.
        iterations: timed ones; WARM_UP others come before.

    Returns:
        A line of the table.
    """
    config = Config.fromfile(path)
    dataset = DATASETS.build(config.train_dataloader.dataset)
    size = config.train_dataloader.batch_size
    picked = torch.randint(len(dataset), (OWN_BATCHES, size),
                           generator=torch.Generator().manual_seed(0)).tolist()
    batches = [pseudo_collate([dataset[index] for index in batch]) for batch in picked]
    detector = MODELS.build(config.model).to(device).train()
    optimizer = build_optimizer(detector)
    on_gpu = device == 'cuda'
    if on_gpu:
        torch.cuda.empty_cache()
        torch.cuda.reset_peak_memory_stats()
    for step in range(-WARM_UP, iterations):
        if step == 0:
            begin = _clock(on_gpu)
        detector.train_step(batches[step % OWN_BATCHES], optimizer)
    seconds = (_clock(on_gpu) - begin) / iterations
    peak = torch.cuda.max_memory_allocated() / 1e6 if on_gpu else 0.0
    shape = ' x '.join(str(side) for side in batches[0]['inputs'][0].shape[1:])
    return (f'| {Path(path).stem} | {size} of {shape} | {seconds * 1000:.0f} | '
            f'{size / seconds:.1f} | {peak:,.0f} MB |')


def detector_step(ours: bool, device: str) -> Step:
    """Make a function that trains mmdet's detector on one batch."""
    detector = build_detector(ours, depth=50, channels=256, device=device)
    optimizer = build_optimizer(detector)
    return lambda batch: detector.train_step(batch, optimizer)


def torchvision_step(device: str, size: int) -> Step:
    """Make a function that trains torchvision's detector on one batch."""
    from torchvision.models.detection import maskrcnn_resnet50_fpn

    model = maskrcnn_resnet50_fpn(
        weights=None, weights_backbone=None, num_classes=4, min_size=size, max_size=size)
    model.to(device).train()
    optimizer = build_optimizer(model)

    def step(batch: dict) -> None:
        targets = [dict(boxes=sample.gt_instances.bboxes.tensor.to(device),
                        labels=sample.gt_instances.labels.to(device) + 1,
                        masks=sample.gt_instances.masks.to_tensor(torch.uint8, device))
                   for sample in batch['data_samples']]
        images = [image.to(device).float() / 255 for image in batch['inputs']]
        optimizer.update_params(sum(model(images, targets).values()))

    return step


def measure(step: Step, loader: DataLoader, args: argparse.Namespace) -> Speed:
    """Train on all batches of a loader and time all but the first.

    Args:
        step: trains on one batch.
        loader: gives the batches.
        args: ``device``, ``batch_size`` and ``iterations``.

    Returns:
        Throughput, share of waiting and memory.
    """
    on_gpu = args.device == 'cuda'
    if on_gpu:
        torch.cuda.empty_cache()
        torch.cuda.reset_peak_memory_stats()
    batches = iter(loader)
    for _ in range(WARM_UP):
        step(next(batches))
    begin, waited = _clock(on_gpu), 0.0
    for _ in range(args.iterations):
        asked = time.perf_counter()
        batch = next(batches)
        waited += time.perf_counter() - asked
        step(batch)
        _clock(on_gpu)  # so that the next wait is not hidden behind kernels still running
    total = _clock(on_gpu) - begin
    peak = torch.cuda.max_memory_allocated() / 1e6 if on_gpu else 0.0
    return Speed(args.iterations * args.batch_size / total, waited / total, peak)


def _clock(on_gpu: bool) -> float:
    """Read the time after all kernels are done."""
    if on_gpu:
        torch.cuda.synchronize()
    return time.perf_counter()


if __name__ == '__main__':
    raise SystemExit(main())
