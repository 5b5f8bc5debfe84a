"""The model itself, without what wraps it for several processes."""
from typing import cast

from mmengine.model import is_model_wrapper
from torch import nn


def bare_model(model: nn.Module) -> nn.Module:
    """Take a model out of the wrapper that exchanges its gradients, if it is in one.

    Args:
        model: as a runner holds it.

    Returns:
        The model whose parts have the names of its config.
    """
    return cast(nn.Module, model.module) if is_model_wrapper(model) else model
