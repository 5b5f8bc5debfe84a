"""From the name of a model to what prediction needs of it."""
from __future__ import annotations

import copy
import hashlib
import inspect
import json
import os
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import torch
from mmdet.registry import MODELS
from mmengine.config import Config, ConfigDict
from mmengine.registry import init_default_scope

import mmsart.registration  # noqa: F401  registers our parts
from mmsart.apis.checks import data_classes
from mmsart.apis.config import load_config
from mmsart.apis.literal_config import read_literal_config
from mmsart.apis.runs import choose_postprocess
from mmsart.datasets.nested import find_datasets
from mmsart.engine.runner.checkpoint_files import find_checkpoint
from mmsart.models.detectors.members import keep_masks_to_cut, member_configs
from mmsart.utils import UserError, as_user_error
from mmsart.weights import check_checkpoint_fits, load_weights, read_checkpoint
from mmsart.zoo import ZooModel, default_model, locate_model

TRAINING_SIZE = (520, 704)
LARGEST_SIZE = (1024, 1024)
TILE_SIZE = (704, 704)
TILE_OVERLAP = 192


class NoConfigError(UserError):
    """A checkpoint carries no config, and none was named."""


@dataclass(frozen=True)
class Tiles:
    """How a model looks at images that are larger than those it knows.

    Attributes:
        largest: (h, w) of the largest image that is looked at in one piece, as a test does.
        size: (h, w) of the tiles of larger ones, near that of the training images: there the
            limits on proposals and the vote on the type of cell do what they were tuned for.
        overlap: pixels that neighbouring tiles share; a cell no longer than this is whole in one
            of them. 192 is more than 99 % of astrocytes measure.
        image_size: (h, w) of the images that the model's limits are made for: the most proposals
            and detections per image grow with the area of a tile.
    """

    largest: tuple[int, int] = LARGEST_SIZE
    size: tuple[int, int] = TILE_SIZE
    overlap: int = TILE_OVERLAP
    image_size: tuple[int, int] = TRAINING_SIZE


@dataclass(frozen=True)
class ModelSource:
    """A trained model before it is built.

    Attributes:
        name: of the model, for messages and results.
        weights: the file.
        model: config of the detector.
        pipeline: transforms of a test image.
        classes: names in label order.
        palette: RGB of each class, or None.
        postprocess: complete settings of post-processing.
        postprocess_source: in words, where they come from.
        tiles: for large images.
        facts: what the zoo says of the model, and the ``members`` of an ensemble, as
            :func:`~mmsart.apis.methods.describe_source` gives them; empty for others.
        config: file of the model's config, or where else that stands.
        cfg_options: ``KEY=VALUE`` strings that changed it.
    """

    name: str
    weights: Path
    model: ConfigDict
    pipeline: list[dict[str, Any]]
    classes: tuple[str, ...]
    palette: tuple[tuple[int, int, int], ...] | None
    postprocess: dict[str, Any]
    postprocess_source: str
    tiles: Tiles
    facts: dict[str, Any]
    config: str = ''
    cfg_options: tuple[str, ...] = ()

    @cached_property
    def weights_sha256(self) -> str:
        """SHA-256 of the file of the weights."""
        return hashlib.sha256(self.weights.read_bytes()).hexdigest()

    def fingerprint(self) -> str:
        """Return a hash of all that decides what the model finds."""
        what = dict(
            weights=self.weights_sha256, model=self.model,
            pipeline=self.pipeline, classes=self.classes, postprocess=self.postprocess,
            tiles=vars(self.tiles))
        text = json.dumps(what, sort_keys=True, default=str)
        return hashlib.sha256(text.encode()).hexdigest()

    def adapted(self, flips: bool | None = None, tile_size: int | None = None,
                tile_overlap: int | None = None) -> ModelSource:
        """Return the model as the caller wants it otherwise than it says.

        Args:
            flips: False for one look at each image, without its mirror images.
            tile_size: pixels of the side of a tile, and of the largest image in one piece.
            tile_overlap: pixels that tiles share.

        Returns:
            Another model of the same weights; what is None is as here.
        """
        model, tiles = copy.deepcopy(self.model), self.tiles
        if tile_size is not None:
            tiles = replace(tiles, size=(tile_size, tile_size), largest=(tile_size, tile_size))
        if tile_overlap is not None:
            tiles = replace(tiles, overlap=tile_overlap)
        if flips is False:
            if 'views' in model:
                model.views = [{}]
            for member in member_configs(model):
                detector = MODELS.get(member.type)
                if 'flip_directions' in inspect.signature(detector).parameters:
                    member.flip_directions = []
        return replace(self, model=model, tiles=tiles)

    def build(self, device: str | torch.device) -> torch.nn.Module:
        """Build the detector with its weights, ready to predict.

        Args:
            device: where it is to compute.

        Returns:
            The detector.

        Raises:
            UserError: the weights are not those of this model.
        """
        with as_user_error(f'{self.weights}: model'):
            check_checkpoint_fits(str(self.weights), self.model)
            detector = MODELS.build(copy.deepcopy(self.model))
            load_weights(detector, str(self.weights))
        return detector.to(device).eval()


def find_source(
        weights: str | os.PathLike | None = None, config: str | None = None,
        cfg_options: Sequence[str] = (), postprocess: str | None = None) -> ModelSource:
    """Find a trained model and its settings.

    Args:
        weights: name of a model of the package, its folder, a checkpoint, or the work dir of a
            run; None for the package's default.
        config: config file of a checkpoint; by default the config that the checkpoint carries.
        cfg_options: ``KEY=VALUE`` strings for the config.
        postprocess: file of settings to use in place of the model's own.

    Returns:
        The model.

    Raises:
        MissingFileError: there is no such model.
        NoConfigError: the checkpoint carries no config, and `config` is None.
        UserError: its files do not fit together.
    """
    init_default_scope('mmdet')
    zoo = default_model() if weights is None else locate_model(weights)
    if zoo is None:
        return _from_checkpoint(str(weights), config, cfg_options, postprocess)
    if config or cfg_options:
        raise UserError(f'{zoo.name}: found --config or --cfg-options, expected neither for a '
                        'model with settings of its own')
    return _from_zoo(zoo, postprocess)


def _from_zoo(zoo: ZooModel, postprocess: str | None) -> ModelSource:
    zoo.check_weights()
    cfg = read_literal_config(zoo.config.read_text(), str(zoo.config))
    classes = tuple(zoo.settings['classes'])
    settings, source = choose_postprocess(cfg, str(zoo.weights), classes, postprocess)
    made = _make_source(zoo.name, zoo.weights, cfg, cfg.test_pipeline, classes,
                        zoo.settings.get('palette'), settings, source, zoo.settings)
    return replace(made, config=str(zoo.config))


def _from_checkpoint(
        weights: str, config: str | None, cfg_options: Sequence[str],
        postprocess: str | None) -> ModelSource:
    checkpoint = find_checkpoint(weights)
    meta = read_checkpoint(checkpoint).get('meta') or {}
    if config:
        cfg = load_config(config, cfg_options)
    elif isinstance(meta.get('cfg'), str):
        cfg = read_literal_config(meta['cfg'], f'{checkpoint}: cfg')
        cfg.cfg_options = {}  # those of the training; its config has them already
        if cfg_options:
            raise UserError('--cfg-options: found no --config, expected one to change')
    else:
        raise NoConfigError(
            f'{checkpoint}: found no config in the checkpoint, expected --config')
    data = next((dataset for dataset in find_datasets(cfg.get('test_dataloader'))
                 if dataset.get('pipeline')), None)
    if data is None or 'model' not in cfg:
        raise UserError(f'{config or checkpoint}: expected a config with model and '
                        'test_dataloader.dataset.pipeline')
    known = meta.get('dataset_meta') or {}
    classes = tuple(known.get('classes') or data_classes(cfg, 'test_dataloader'))
    settings, source = choose_postprocess(cfg, checkpoint, classes, postprocess)
    made = _make_source(Path(checkpoint).stem, Path(checkpoint), cfg, data.pipeline, classes,
                        known.get('palette'), settings, source,
                        dict(members=meta['members']) if 'members' in meta else {})
    return replace(made, config=config or 'carried by the weights', cfg_options=tuple(cfg_options))


def _make_source(
        name: str, weights: Path, cfg: Config, pipeline: Sequence[dict], classes: tuple[str, ...],
        palette: Any, postprocess: dict[str, Any], source: str, facts: dict) -> ModelSource:
    model = cfg.model
    for part in ('backbone', 'neck'):  # weights to begin with, of no use to a trained model
        if isinstance(model.get(part), dict):
            model[part].init_cfg = None
    keep_masks_to_cut(model, postprocess)
    return ModelSource(
        name, weights, model, list(pipeline), classes,
        tuple(tuple(colour) for colour in palette) if palette else None, postprocess, source,
        _read_tiles(cfg, pipeline), facts)


def _read_tiles(cfg: Config, pipeline: Sequence[dict]) -> Tiles:
    """Read the key ``tiles`` of a config, or find what fits its pipeline.

    A pipeline that brings every image to one size has shown the model cells at the scale that
    images of the training's size give; tiles then have that size, and no image is larger.
    """
    given = cfg.get('tiles') or {}
    image_size = tuple(given.get('image_size') or TRAINING_SIZE)
    resized = any(step.get('type') == 'Resize' and step.get('scale') for step in pipeline)
    largest, size = (image_size, image_size) if resized else (LARGEST_SIZE, TILE_SIZE)
    return Tiles(tuple(given.get('largest') or largest), tuple(given.get('size') or size),
                 int(given.get('overlap', TILE_OVERLAP)), image_size)
