"""The two hooks that exchange numbers between processes, on two processes with gloo."""
import logging
import os
from types import SimpleNamespace

import torch
import torch.distributed
from mmengine.structures import BaseDataElement
from torch import multiprocessing, nn

from mmsart.engine.hooks.finite_loss_hook import DivergenceError, FiniteLossHook, _check_losses
from mmsart.engine.hooks.val_loss_hook import mean_losses
from tests.rendezvous import rendezvous

VALUES = [1.0, 2.0, 6.0]  # three images: two on one process, one on the other


class Model(nn.Module):
    """Its loss is the value of the image plus a random number that the image seeds."""

    def __init__(self):
        super().__init__()
        self.head = nn.Linear(1, 1)

    def data_preprocessor(self, batch, training):
        return batch

    def parse_losses(self, losses):
        return losses['loss'], losses

    def forward(self, data_samples, mode):
        losses = dict(loss=torch.tensor(data_samples[0].value) + torch.rand(()))
        if data_samples[0].value > 5:
            losses['loss_mask'] = torch.ones(())
        return losses


def batches(values):
    return [dict(data_samples=[BaseDataElement(metainfo=dict(img_id=f'image{value}', value=value))])
            for value in values]


def run_rank(rank, meeting, queue):
    os.environ.update(meeting, RANK=str(rank), LOCAL_RANK=str(rank))
    torch.distributed.init_process_group('gloo')
    model = Model()
    means = mean_losses(model, batches(VALUES[rank::2]), seed=0)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.5)
    runner = SimpleNamespace(
        model=model, iter=3, epoch=0, work_dir='nothing', logger=logging.getLogger(),
        optim_wrapper=SimpleNamespace(optimizer=optimizer))
    losses = dict(loss=torch.tensor(float('nan') if rank else 1.0))
    messages = []
    try:
        _check_losses(runner, model, batches(VALUES[rank::2])[0]['data_samples'], losses)
    except DivergenceError as error:
        messages.append(str(error))
    if rank:
        nn.init.constant_(model.head.weight, float('inf'))
    try:
        FiniteLossHook().after_train_epoch(runner)
    except DivergenceError as error:
        messages.append(str(error))
    queue.put((rank, means, messages))
    torch.distributed.destroy_process_group()


def test_two_processes_agree():
    context = multiprocessing.get_context('spawn')
    queue = context.Queue()
    with rendezvous() as meeting:
        processes = [context.Process(target=run_rank, args=(rank, meeting, queue))
                     for rank in (0, 1)]
        for process in processes:
            process.start()
        results = {rank: rest for rank, *rest in (queue.get(timeout=300) for _ in processes)}
        for process in processes:
            process.join(300)
            assert process.exitcode == 0
    alone = mean_losses(Model(), batches(VALUES), seed=0)
    for means, (loss, weights) in results.values():
        # The mean over images, not that of the processes' means.
        assert means.keys() == alone.keys()
        assert abs(means['loss'] - alone['loss']) < 1e-6
        assert abs(means['loss_mask'] - 1 / 3) < 1e-6
        # Process 1 alone met a NaN; both stop and name its image.
        assert 'iteration 4' in loss
        assert 'loss=nan on images image2.0;' in loss
        assert 'weights are not finite' in weights
    assert 'head.weight' in results[1][1][1]
    assert 'on another process' in results[0][1][1]
