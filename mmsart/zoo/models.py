"""The folders of models: what is in them and whether it is whole.

A model is a folder of four files: ``weights.safetensors`` (half precision), ``config.py`` (model,
test pipeline and tiles, literals alone), ``settings.json`` (what follows, and the settings of
post-processing) and ``README.md``, its card. tools/model_converters/export_to_zoo.py writes them.
"""
from __future__ import annotations

import hashlib
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mmsart.utils.errors import MissingFileError, UserError, did_you_mean, missing
from mmsart.utils.files import read_json

ZOO = Path(__file__).parent
WEIGHTS_FILE, CONFIG_FILE = 'weights.safetensors', 'config.py'
SETTINGS_FILE, CARD_FILE = 'settings.json', 'README.md'
SCHEME = 'zoo://'
"""What may stand before the name of a model of the package."""
REQUIRED = {'title': str, 'classes': list, 'postprocess': dict, 'sha256': str, 'licence': str}
"""What settings.json has to hold, and of which kind."""


@dataclass(frozen=True)
class ZooModel:
    """One model as it lies on the disk.

    Attributes:
        folder: where its files are.
        settings: of settings.json: ``title`` (one line), ``classes`` (names in label order),
            ``palette`` (RGB of each, may be missing), ``postprocess`` (complete settings),
            ``sha256`` (of the weights), ``licence``, ``default`` (whether it is the one that is
            taken where none is named), ``score`` (measured values by name),
            ``score_source`` (on which images and how), ``count_error`` (by type, relative),
            ``training_images`` (ranges of what the model was trained on) and ``members`` (of an
            ensemble, where they come from); what follows the licence may be missing.
    """

    folder: Path
    settings: dict[str, Any]

    @property
    def name(self) -> str:
        """The name that ``--weights`` takes."""
        return self.folder.name

    @property
    def weights(self) -> Path:
        """The file of the weights."""
        return self.folder / WEIGHTS_FILE

    @property
    def config(self) -> Path:
        """The file with model, test pipeline and tiles."""
        return self.folder / CONFIG_FILE

    @property
    def card(self) -> Path:
        """What it is for and what not, in Markdown."""
        return self.folder / CARD_FILE

    def check_weights(self) -> None:
        """Compare the weights with their SHA-256.

        Raises:
            MissingFileError: they are not there.
            UserError: they differ.
        """
        if not self.weights.is_file():
            raise MissingFileError(f'{self.weights}: no such file, expected the weights')
        found = hashlib.sha256(self.weights.read_bytes()).hexdigest()
        if found != self.settings['sha256']:
            raise UserError(f'{self.weights}: found SHA-256 {found[:12]}..., expected '
                            f'{self.settings["sha256"][:12]}... of {SETTINGS_FILE}: the file is '
                            'damaged or another')


def open_model(folder: str | os.PathLike) -> ZooModel:
    """Read the settings of a model.

    Args:
        folder: its folder, in the package or elsewhere.

    Returns:
        The model; its weights are not looked at yet.

    Raises:
        MissingFileError: there are no settings.
        UserError: something is missing in them.
    """
    path = Path(folder) / SETTINGS_FILE
    settings = read_json(path, 'the settings of a model')
    for key, kind in REQUIRED.items():
        found = settings.get(key) if isinstance(settings, dict) else None
        if not isinstance(found, kind):
            raise UserError(f'{path}: {key}: found {found!r}, expected a {kind.__name__}')
    return ZooModel(Path(folder), settings)


def list_models() -> list[ZooModel]:
    """List the models that come with the package, by name."""
    return [open_model(path.parent) for path in sorted(ZOO.glob(f'*/{SETTINGS_FILE}'))]


def find_model(name: str) -> ZooModel | None:
    """Look a model of the package up.

    Args:
        name: as :func:`list_models` has it.

    Returns:
        The model, or None if there is none of this name.
    """
    known = os.path.basename(name) == name and (ZOO / name / SETTINGS_FILE).is_file()
    return open_model(ZOO / name) if known else None


def locate_model(weights: str | os.PathLike) -> ZooModel | None:
    """Find the model that a name or a path stands for.

    Args:
        weights: name of a model of the package, with or without ``zoo://`` before it; the folder
            of a model, in the package or elsewhere, or the file of its weights.

    Returns:
        The model, or None if it is something else, such as a checkpoint.

    Raises:
        MissingFileError: there is nothing of this name.
        UserError: something is missing in its settings.
    """
    path = Path(weights)
    if path.name == WEIGHTS_FILE:
        path = path.parent
    if (path / SETTINGS_FILE).is_file():
        return open_model(path)
    if path.exists():
        return None
    found = find_model(name := str(weights).removeprefix(SCHEME))
    if found is None:
        names = [model.name for model in list_models()]
        raise missing(weights, 'a checkpoint, a work dir or a model of the package '
                      f'({", ".join(names) or "none"}){did_you_mean(name, names)}')
    return found


def default_model() -> ZooModel:
    """Return the model that is taken where none is named.

    Raises:
        MissingFileError: none comes with this package.
    """
    models = sorted(list_models(), key=lambda model: not model.settings.get('default', False))
    if not models:
        raise MissingFileError(f'{ZOO}: found no model in the package, expected --weights with a '
                               'checkpoint or a work dir')
    return models[0]
