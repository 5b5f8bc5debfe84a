"""A test of a model of the package on a config's data."""
from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from mmengine.config import Config

from mmsart.apis.checks import data_classes
from mmsart.apis.literal_config import read_literal_config
from mmsart.datasets.nested import find_datasets
from mmsart.utils import UserError
from mmsart.zoo import ZooModel


def take_zoo_model(cfg: Config, zoo: ZooModel) -> str:
    """Put a model of the package in the place of a config's, as a prediction has it.

    Args:
        cfg: config with the data and the metrics; gets the model, with those options of the command
            line that are the model's, and what its test pipeline does with an image that is read.
        zoo: the model.

    Returns:
        The file of its weights.

    Raises:
        MissingFileError: the weights are not there.
        UserError: they are damaged, the data have other classes, or a pipeline loads no image.
    """
    zoo.check_weights()
    classes, known = tuple(zoo.settings['classes']), tuple(data_classes(cfg, 'test_dataloader'))
    if classes != known:
        raise UserError(f'{zoo.name}: found a model of the classes {", ".join(classes)}, expected '
                        f'{", ".join(known)}, as the data of {cfg.filename}')
    if 'model' in cfg.get('cfg_options', {}):
        raise UserError(f'--cfg-options: found model={cfg.cfg_options["model"]!r}, expected keys '
                        f'below model: {zoo.name} has a model of its own')
    own = read_literal_config(zoo.config.read_text(), str(zoo.config))
    own.merge_from_dict({key: value for key, value in cfg.get('cfg_options', {}).items()
                         if key.startswith('model.')})
    cfg.model = own.model
    for dataset in find_datasets(cfg.test_dataloader):
        if dataset.get('pipeline'):
            if not any(_begins(step, 'Load') for step in dataset.pipeline):
                raise UserError(f'{cfg.filename}: test_dataloader: pipeline: found no step that '
                                'loads an image, expected one such as LoadImageFromFile')
            dataset.pipeline = _join(dataset.pipeline, own.test_pipeline)
    return str(zoo.weights)


def _join(reading: Sequence[dict], changing: Sequence[dict]) -> list[dict]:
    """Read and pack as one pipeline does, and change images in between as another does."""
    load, *others = (step for step in reading if _reads_or_packs(step))
    return [load, *(step for step in changing if not _reads_or_packs(step)), *others]


def _reads_or_packs(step: dict[str, Any]) -> bool:
    return _begins(step, 'Load', 'Pack')


def _begins(step: dict[str, Any], *words: str) -> bool:
    """Return whether the name of a step begins so, behind the scope that it may have."""
    return str(step['type']).rpartition('.')[2].startswith(words)
