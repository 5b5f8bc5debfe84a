"""What a model is and how it looks at images, for those who ask a result how it was made."""
from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch
from torch import nn

from mmsart import __version__
from mmsart.apis.models import ModelSource
from mmsart.models.detectors.members import detectors_of
from mmsart.zoo.models import SCHEME, ZOO

TOLD = ('title', 'licence', 'score', 'score_source', 'count_error', 'members')
"""Facts of a model of the package, and of an ensemble, that results repeat."""


def describe_model(source: ModelSource, model: nn.Module, device: torch.device,
                   batch_size: int) -> dict[str, Any]:
    """Describe all that decides what a model finds, but for the settings and files.

    Args:
        source: the model.
        model: built from it.
        device: where it computes.
        batch_size: images or tiles that are computed together.

    Returns:
        Plain data: ``mmsart``, the version; ``model`` with its name, config, file and SHA-256 of
        the weights, options that changed the config, classes, what the package says of its own
        models, and of an ensemble the ``members``, each described so when it was made, with its
        ``share``; ``inference`` with the views of an image, sizes in pixels (h, w) and arithmetic;
        ``postprocessing`` with the ``source`` of its settings in words.
    """
    tiles = source.tiles
    return dict(
        mmsart=__version__,
        model=describe_source(source),
        inference=dict(
            views=list(_views(model)),
            tiles=dict(largest_px=list(tiles.largest), size_px=list(tiles.size),
                       overlap_px=tiles.overlap),
            device=str(device), precision=_precision(model), batch_size=batch_size,
            torch=torch.__version__),
        postprocessing=dict(source=source.postprocess_source))


def describe_source(source: ModelSource) -> dict[str, Any]:
    """Describe where a model comes from.

    Args:
        source: the model.

    Returns:
        Plain data, ``model`` of :func:`describe_model`.
    """
    return dict(
        name=source.name, config=_place(source.config), cfg_options=list(source.cfg_options),
        weights=_place(str(source.weights)), weights_sha256=source.weights_sha256,
        classes=list(source.classes),
        **{name: source.facts[name] for name in TOLD if name in source.facts})


def _place(path: str) -> str:
    """Name a file of the package's models without the folder of the installation."""
    if Path(path).is_relative_to(ZOO):
        return SCHEME + Path(path).relative_to(ZOO).as_posix()
    return path


def _views(model: nn.Module) -> Iterator[dict[str, Any]]:
    """Describe how an image is laid each time that it is looked at.

    Of an ensemble each member's mirror images count once.
    """
    views: Any = getattr(model, 'views', None)
    if views is not None:
        yield from map(asdict, views)
        return
    yield dict(flip='')
    flips: dict[str, None] = {}
    for detector in detectors_of(model):
        flips |= dict.fromkeys(getattr(detector, 'flip_directions', ()))
    yield from (dict(flip=flip) for flip in flips)


def _precision(model: nn.Module) -> str:
    return str(next(model.parameters()).dtype).removeprefix('torch.')
