"""A training iteration of the demo's model beside other work: threads that spin against ours.

As many processes as there are cores compute beside it all the time. An iteration's share of the
machine is then one half, so twice the time of a quiet machine is what it should take.
"""
import argparse
import json
import multiprocessing
import os
import statistics
import subprocess
import sys
import time
from pathlib import Path

from mmsart.utils.threads import BRIEF_WAITS

CONFIG = Path(__file__).parent.parent / 'configs/demo/maskrcnn_r18_two_stage.py'
WAYS = {  # name: environment, threads; None for torch's own choice
    'one thread': ({}, 1),
    "torch's default": ({}, None),
    '`OMP_WAIT_POLICY=PASSIVE`': ({'OMP_WAIT_POLICY': 'PASSIVE'}, None),
    'as the command sets it': (BRIEF_WAITS, None),
}


def main(argv: list[str] | None = None) -> int:
    """Time iterations on a machine as it is and on a busy one, and print a table."""
    parser = argparse.ArgumentParser(description=__doc__, allow_abbrev=False)
    parser.add_argument('--iterations', type=int, default=10, help='timed for each line')
    parser.add_argument('--child', type=int, help=argparse.SUPPRESS)
    args = parser.parse_args(argv)
    if args.child is not None:
        print(json.dumps(time_iterations(args.iterations, args.child)))
        return 0
    cores = os.cpu_count() or 1
    print(f'| {cores} cores | alone | beside {cores} busy processes |\n|---|---|---|')
    for name, (environment, threads) in WAYS.items():
        alone = run_child(environment, threads, args.iterations)
        with_others = beside_others(cores, environment, threads, args.iterations)
        print(f'| {name} | {alone:.2f} s | {with_others:.2f} s |', flush=True)
    return 0


def beside_others(cores: int, environment: dict[str, str], threads: int | None,
                  iterations: int) -> float:
    """Time iterations while other processes compute, a core each; median in s."""
    others = [multiprocessing.Process(target=_spin, daemon=True) for _ in range(cores)]
    for other in others:
        other.start()
    try:
        return run_child(environment, threads, iterations)
    finally:
        for other in others:
            other.kill()


def run_child(environment: dict[str, str], threads: int | None, iterations: int) -> float:
    """Time iterations in a process of its own, whose OpenMP reads the environment; median in s."""
    own = {name: value for name, value in (os.environ | environment).items()
           if name in environment or not name.startswith(('OMP_', 'GOMP_'))}
    done = subprocess.run(
        [sys.executable, __file__, '--child', str(threads or 0), '--iterations', str(iterations)],
        env=own, capture_output=True, text=True, check=True)
    return json.loads(done.stdout.splitlines()[-1])


def time_iterations(count: int, threads: int) -> float:
    """Train the demo's model on generated images that are ready; median in s of an iteration."""
    import torch
    from mmdet.registry import DATASETS, MODELS
    from mmdet.utils import register_all_modules
    from mmengine.config import Config
    from mmengine.dataset import pseudo_collate

    import mmsart.registration  # noqa: F401
    if threads:
        torch.set_num_threads(threads)
    register_all_modules(init_default_scope=True)
    data = Config.fromfile(str(CONFIG.parents[1] / '_base_/datasets/synthetic_pretrain.py'))
    dataset = DATASETS.build(data.train_dataloader.dataset)
    batch = pseudo_collate([dataset[index] for index in range(4)])
    torch.manual_seed(0)
    model = MODELS.build(Config.fromfile(str(CONFIG)).model).train()
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-4)
    times = []
    for _ in range(count + 2):
        begin = time.perf_counter()
        losses = model(**model.data_preprocessor(batch, True), mode='loss')
        loss, _ = model.parse_losses(losses)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        times.append(time.perf_counter() - begin)
    return statistics.median(times[2:])


def _spin() -> None:
    while True:
        pass


if __name__ == '__main__':
    raise SystemExit(main())
