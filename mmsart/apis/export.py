"""Making a trained model one that needs nothing else: the folders of :mod:`mmsart.zoo`."""
from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterable, Mapping
from typing import Any

import safetensors.torch
import torch
from mmengine.config import Config

from mmsart.apis.inference import CellSegmenter
from mmsart.apis.literal_config import read_literal_config
from mmsart.apis.models import ModelSource
from mmsart.evaluation.familiarity import Reference, find_reference, image_traits
from mmsart.imaging import open_image
from mmsart.utils import UserError, atomic_write, check_writable, read_json
from mmsart.weights import import_checkpoint
from mmsart.zoo.models import (
    CONFIG_FILE,
    SETTINGS_FILE,
    WEIGHTS_FILE,
    ZooModel,
    open_model,
)

FACTS: dict[str, type | tuple[type, ...]] = {
    'title': str, 'licence': str, 'training': str, 'purpose': list, 'limits': list, 'score': dict,
    'score_source': str, 'count_error': dict}
"""What a card has to say, and of which kind; docs/zoo.md tells what each is."""
OPTIONAL_FACTS: dict[str, type | tuple[type, ...]] = {'training_images': dict}
SETTINGS_FACTS = ('score', 'score_source', 'count_error', *OPTIONAL_FACTS)
"""What settings.json repeats, for results to tell and predict to warn by."""
STATISTICS = ('running_mean', 'running_var')


def read_facts(path: str | os.PathLike) -> dict[str, Any]:
    """Read what the card of a model is to say.

    Args:
        path: a JSON file with the keys of :data:`FACTS`, and of :data:`OPTIONAL_FACTS` if known.

    Returns:
        The facts.

    Raises:
        MissingFileError: there is no such file.
        UserError: it is no JSON, lacks a fact, or has one that no card has.
    """
    facts = read_json(path, 'the facts of a model as JSON')
    if not isinstance(facts, dict):
        raise UserError(f'{path}: found {type(facts).__name__}, expected facts by name')
    known = FACTS | OPTIONAL_FACTS
    for key in (*FACTS, *facts):
        if key not in known:
            raise UserError(f'{path}: found {key!r}, expected some of {", ".join(known)}')
        if not isinstance(facts.get(key), known[key]):
            raise UserError(f'{path}: {key}: found {facts.get(key)!r}, expected a '
                            f'{getattr(known[key], "__name__", known[key])}')
    return facts


def measure_familiar(segmenter: CellSegmenter, images: Iterable[str | os.PathLike]) -> Reference:
    """Find the ranges that images like the training ones span.

    Args:
        segmenter: the model.
        images: files of single images. Scores are honest only on images that the model was not
            trained on; ranges of one trained on a part of the images serve one trained on all.

    Returns:
        For the fact ``training_images``; see :mod:`mmsart.evaluation.familiarity`.
    """
    traits = []
    for path in images:
        with open_image(path) as stack:
            found = segmenter(path).frames[0].detections
            traits.append(image_traits(stack[0].image, found, segmenter.classes))
    return find_reference(traits)


def export_model(source: ModelSource, folder: str | os.PathLike, facts: Mapping[str, Any],
                 default: bool = False) -> ZooModel:
    """Write a model's folder: weights in half precision, config, settings and card.

    The statistics of normalisation stay in single precision: variances can leave the range of half
    precision.

    Args:
        source: the trained model.
        folder: where to write; its name becomes the model's.
        facts: of :func:`read_facts`.
        default: whether to use this model where none is named.

    Returns:
        The model as it lies on the disk.

    Raises:
        UserError: a weight does not fit half precision, or the config holds more than literals.
    """
    model = write_model(source, folder, facts, _half(source), default)
    with atomic_write(model.card) as temporary:
        temporary.write_text(_card(model.name, model.settings, facts))
    return model


def write_model(source: ModelSource, folder: str | os.PathLike, facts: Mapping[str, Any],
                weights: Mapping[str, torch.Tensor], default: bool = False) -> ZooModel:
    """Write a model's folder without its card.

    Args:
        source: the trained model.
        folder: where to write; its name becomes the model's.
        facts: ``title`` and ``licence``; others of :func:`read_facts` as far as they are known.
        weights: by name.
        default: whether to use this model where none is named.

    Returns:
        The model as it lies on the disk.

    Raises:
        UserError: the config holds more than literals.
    """
    target = check_writable(folder)
    content = safetensors.torch.save(dict(weights))
    with atomic_write(target / WEIGHTS_FILE) as temporary:
        temporary.write_bytes(content)
    settings = {
        'title': facts['title'], 'default': default, 'classes': source.classes,
        'palette': source.palette, 'postprocess': source.postprocess,
        'sha256': hashlib.sha256(content).hexdigest(), 'licence': facts['licence'],
        **{key: facts[key] for key in SETTINGS_FACTS if key in facts},
        **{key: source.facts[key] for key in ('members',) if key in source.facts}}
    text = '"""Model, test pipeline and tiles."""\n' + _config_text(source)
    for name, written in ((CONFIG_FILE, text), (SETTINGS_FILE, json.dumps(settings, indent=2))):
        with atomic_write(target / name) as temporary:
            temporary.write_text(written.rstrip('\n') + '\n')
    return open_model(target)


def _half(source: ModelSource) -> dict[str, torch.Tensor]:
    weights = {}
    for name, value in import_checkpoint(source.weights).state_dict.items():
        if name.endswith('num_batches_tracked'):
            continue
        is_weight = value.is_floating_point() and not name.endswith(STATISTICS)
        weights[name] = (value.half() if is_weight else value).contiguous()
        if is_weight and not torch.isfinite(weights[name]).all():
            raise UserError(f'{source.weights}: {name}: found values beyond half precision, '
                            f'expected less than {torch.finfo(torch.half).max:g}')
    return weights


def _config_text(source: ModelSource) -> str:
    cfg = Config(dict(
        model=_without_training(source.model), test_pipeline=source.pipeline,
        tiles=vars(source.tiles)))
    text = cfg.pretty_text
    if read_literal_config(text, str(source.weights)).to_dict() != cfg.to_dict():
        raise UserError(f'{source.weights}: found a config that is more than literals, expected '
                        'numbers, text, lists and dicts')
    return text


def _without_training(model: Mapping[str, Any]) -> dict[str, Any]:
    """Leave out what only training reads: assigners, samplers, weights to begin with."""
    if 'members' in model:
        return {**model, 'members': [_without_training(member) for member in model['members']]}
    if 'detector' in model:
        return {**model, 'detector': _without_training(model['detector'])}
    return {**{key: value for key, value in model.items() if key != 'init_cfg'}, 'train_cfg': None}


def _card(name: str, settings: Mapping[str, Any], facts: Mapping[str, Any]) -> str:
    """Lay the facts out as Markdown."""
    score = '\n'.join(f'| {key} | {value:.3f} |' for key, value in facts['score'].items())
    errors = '\n'.join(f'| {key} | {value:.1%} |' for key, value in facts['count_error'].items())
    return f"""# {name}

{facts['title']}

{facts['training']}

**Licence of the weights**: {facts['licence']}. The code is under the Apache License 2.0.

## What it is for

{_bullets(facts['purpose'])}

## What it is not for

{_bullets(facts['limits'])}

## How good it is

{facts['score_source']}

| score | |
|---|---|
{score}

Error of the number of cells of an image, as a mean of |found - true| / true:

| type | |
|---|---|
{errors}

## Files

`weights.safetensors`, SHA-256 `{settings['sha256']}`, checked when it is read;
`config.py`, the network; `settings.json`, classes and post-processing.

```sh
mmsart predict IMAGES --out RESULTS --weights {name}
```
"""


def _bullets(lines: list[str]) -> str:
    return '\n'.join(f'- {line}' for line in lines)
