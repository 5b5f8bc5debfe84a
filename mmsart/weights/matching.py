"""Fitting imported weights to a model: what is taken, what is missing, what is made anew."""
import copy
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from mmdet.registry import MODELS
from torch import nn

from mmsart.utils import UserError
from mmsart.weights.importer import ImportedWeights, import_checkpoint
from mmsart.weights.renaming import StateDict

SHOWN = 3  # names a line
CLASS_LAYER = 'roi_head.bbox_head.fc_cls.weight'
PAIR = ('student.', 'teacher.')  # as mmdet's semi-supervised detectors name the two
Shapes = Mapping[str, tuple[int, ...]]


@dataclass
class LoadReport:
    """What became of each weight.

    Attributes:
        source: the format of the checkpoint.
        loaded: names of the model's weights that were taken from the checkpoint.
        missing: names of the model's that the checkpoint lacks; they keep their initial values.
        unexpected: names in the checkpoint that the model lacks.
        remade: name, shape in the checkpoint, shape in the model, where these differ; such layers
            keep their initial values. Class layers for another class count are of this kind.
    """

    source: str
    loaded: list[str] = field(default_factory=list)
    missing: list[str] = field(default_factory=list)
    unexpected: list[str] = field(default_factory=list)
    remade: list[tuple[str, tuple[int, ...], tuple[int, ...]]] = field(default_factory=list)

    def lines(self, all_names: bool = False) -> list[str]:
        """Say it in four lines.

        Args:
            all_names: list every name, not the first three.

        Returns:
            'loaded', 'missing', 'unexpected' and 're-made', one line each.
        """
        remade = [f'{name} {tuple(found)} -> {tuple(expected)}'
                  for name, found, expected in self.remade]
        return [f'loaded: {len(self.loaded)} weights from a checkpoint of {self.source}'
                + (f': {", ".join(self.loaded)}' if all_names else ''),
                _line('missing', self.missing, all_names),
                _line('unexpected', self.unexpected, all_names),
                _line('re-made', remade, all_names)]


def _line(title: str, names: Sequence[str], all_names: bool) -> str:
    shown = names if all_names else names[:SHOWN]
    rest = f' and {len(names) - len(shown)} more' if len(names) > len(shown) else ''
    return f'{title}: {len(names)}' + (f' ({", ".join(shown)}{rest})' if names else '')


def match_weights(
    shapes: Shapes, weights: ImportedWeights, name: str = 'checkpoint',
) -> tuple[StateDict, LoadReport]:
    """Pick the weights that fit a model by name and shape.

    Weights of an ImageNet classifier are looked up in the model's backbone. Those of a detector go
    to both a teacher and its student, and those of a teacher to a detector by itself.

    Args:
        shapes: of the model's state dict.
        weights: what was read.
        name: of the checkpoint, for the error.

    Returns:
        The fitting weights, and what became of all of them.

    Raises:
        UserError: nothing fits.
    """
    source = weights.state_dict
    if weights.source.startswith('ImageNet') and any(key.startswith('backbone.') for key in shapes):
        source = {f'backbone.{key}': value for key, value in source.items()}
    source = _paired(source, shapes)
    report = LoadReport(weights.source, unexpected=list(weights.ignored))
    fitting = {}
    for key, value in source.items():
        if key not in shapes:
            report.unexpected.append(key)
        elif value.shape != shapes[key]:
            report.remade.append((key, tuple(value.shape), tuple(shapes[key])))
        else:
            fitting[key] = value
    # Some libraries do not count batches; nothing but a cumulative average would need it.
    report.loaded = [key for key in fitting if not key.endswith('num_batches_tracked')]
    report.missing = [
        key for key in shapes
        if key not in source and not key.endswith('num_batches_tracked')]
    if not report.loaded:
        raise UserError(
            f'{name}: expected weights such as {next(iter(shapes), None)}, found none whose name '
            f'and shape fit the model; the first of {len(source)} is {next(iter(source), None)}')
    return fitting, report


def _paired(source: StateDict, shapes: Shapes) -> StateDict:
    """Name weights for a teacher with a student, or for a detector by itself, as the model is."""
    given, wanted = (all(any(key.startswith(part) for key in names) for part in PAIR)
                     for names in (source, shapes))
    if wanted and not given:
        return {part + key: value for part in PAIR for key, value in source.items()}
    if given and not wanted:
        return {key.removeprefix(PAIR[1]): value for key, value in source.items()
                if key.startswith(PAIR[1])}
    return source


def load_weights(model: nn.Module, source: ImportedWeights | str) -> LoadReport:
    """Load a checkpoint of any supported library into a model, as far as it fits.

    Args:
        model: an mmdet detector or backbone.
        source: path of a checkpoint, or what :func:`import_checkpoint` made of one.

    Returns:
        What became of each weight.

    Raises:
        UserError: the file cannot be used, or nothing in it fits.
    """
    weights = import_checkpoint(source) if isinstance(source, str) else source
    shapes = {key: tuple(value.shape) for key, value in model.state_dict().items()}
    fitting, report = match_weights(shapes, weights, str(source) if weights is not source else '')
    model.load_state_dict(fitting, strict=False)
    return report


def build_without_weights(model: Mapping[str, Any]) -> nn.Module:
    """Build a model from its config, if possible without allocating its weights."""
    try:
        with torch.device('meta'):
            return MODELS.build(_without_init(model))
    except RuntimeError:
        # Some models compute with values while they are built, mmdet's EfficientNet for one.
        return MODELS.build(_without_init(model))


def model_shapes(model: Mapping[str, Any]) -> dict[str, tuple[int, ...]]:
    """Return the shapes of all weights of a model's config."""
    state = build_without_weights(model).state_dict()
    return {key: tuple(value.shape) for key, value in state.items()}


def _without_init(model: Mapping[str, Any]) -> dict[str, Any]:
    return copy.deepcopy({**model, 'init_cfg': None} if 'init_cfg' in model else dict(model))


def check_checkpoint_fits(checkpoint: str, model: Mapping[str, Any]) -> None:
    """Check that a trained checkpoint is one of this very model, before testing it.

    Args:
        checkpoint: path.
        model: config of the model.

    Raises:
        UserError: the checkpoint is of another class count or shape, or lacks weights.
    """
    weights = import_checkpoint(checkpoint)
    _, report = match_weights(model_shapes(model), weights, checkpoint)
    for key, found, expected in report.remade:
        if key == CLASS_LAYER and found[0] != expected[0]:
            raise UserError(
                f'{checkpoint}: {key}: found a model of {found[0] - 1} classes, '
                f'expected one of {expected[0] - 1}')
    if report.remade:
        key, found, expected = report.remade[0]
        raise UserError(f'{checkpoint}: {key}: found shape {found}, expected {expected}')
    if report.missing:
        raise UserError(
            f'{checkpoint}: expected all weights of the model, found {len(report.missing)} '
            f'missing, the first {report.missing[0]}')
