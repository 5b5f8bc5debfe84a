"""A check that all processes of a run hold the same weights."""
import hashlib

import torch
from mmengine.dist import all_gather_object, get_world_size
from torch import nn


def parameter_digest(model: nn.Module) -> str:
    """Digest all parameters, to the last bit, into 32 hexadecimal digits."""
    digest = hashlib.blake2b(digest_size=16)
    for parameter in model.parameters():
        data = parameter.detach().cpu().contiguous()
        digest.update(data.view(-1).view(torch.uint8).numpy().data)
    return digest.hexdigest()


def check_ranks_agree(model: nn.Module, stage: str) -> None:
    """Check that the parameters are equal on all processes.

    Args:
        model: the bare model.
        stage: name of the stage that has ended, for the message.

    Raises:
        RuntimeError: they differ; some parameter was trained without being synchronised.
    """
    if get_world_size() == 1:
        return
    digests = all_gather_object(parameter_digest(model))
    if len(set(digests)) > 1:
        raise RuntimeError(f'parameters differ between processes at the end of stage {stage}: '
                           f'{digests}')
