"""mmengine's checkpoint reading, made safe and open to other libraries' files."""
from collections.abc import Mapping
from os import PathLike
from typing import Any

from mmengine.logging import MMLogger
from mmengine.runner.checkpoint import CheckpointLoader

from mmsart.weights.importer import MMDET, ImportedWeights, import_checkpoint, import_content
from mmsart.weights.package import find_package_weights
from mmsart.weights.resolve import PACKAGE_SCHEME, UnreachableError, fetch, known_url
from mmsart.weights.safe_load import read_checkpoint

NOTHING = 'nothing'


def load_from_file(filename: str | PathLike, map_location: Any = None) -> dict[str, Any]:
    """Read a local checkpoint for mmengine.

    Takes the place of mmengine's own reader, which falls back to unpickling with code when the
    safe way fails. A checkpoint of this project comes back whole, with its optimizer and log, so
    that runs resume; one of another library comes back in mmdet's naming.

    Args:
        filename: the file.
        map_location: device of the tensors.

    Returns:
        The checkpoint as mmengine expects it, with ``state_dict`` and ``meta``.
    """
    content = read_checkpoint(filename, map_location)
    imported = import_content(content, str(filename))
    weights = content.get('state_dict')
    if not isinstance(weights, Mapping) or imported.state_dict.keys() != weights.keys():
        return _checkpoint(imported)
    meta = content.get('meta')
    if isinstance(meta, dict):
        meta.pop('config', None)  # mmengine would run this text as Python when it resumes
    return content


def load_from_package(filename: str, map_location: Any = None) -> dict[str, Any]:
    """Read the weights that an installed package carries, ``package://NAME``."""
    path = find_package_weights(filename.removeprefix(PACKAGE_SCHEME))
    return _checkpoint(import_checkpoint(path, map_location))


def load_from_network(filename: str, map_location: Any = None) -> dict[str, Any]:
    """Read weights by URL, or by a name that stands for one; none at all if out of reach."""
    path = fetch_or_nothing(filename)
    return load_from_file(path, map_location) if path else _checkpoint(ImportedWeights(NOTHING, {}))


def fetch_or_nothing(spec: str) -> str | None:
    """Return the local copy of remote weights; None, after a warning, if they are out of reach."""
    try:
        return str(fetch(known_url(spec)))
    except UnreachableError as error:
        MMLogger.get_current_instance().warning(f'weights: {error}: starting from scratch')
        return None


def imported_weights(checkpoint: Mapping[str, Any]) -> ImportedWeights:
    """Return what one of this module's readers has read, with its origin."""
    meta = checkpoint.get('meta') or {}
    return ImportedWeights(
        meta.get('source', MMDET), checkpoint['state_dict'], list(meta.get('ignored', [])))


def _checkpoint(imported: ImportedWeights) -> dict[str, Any]:
    return {'state_dict': imported.state_dict,
            'meta': {'source': imported.source, 'ignored': imported.ignored}}


def register_loaders() -> None:
    """Let mmengine read files, packages and URLs through this module."""
    for prefixes, loader in (
            ('', load_from_file), (PACKAGE_SCHEME, load_from_package),
            (('http://', 'https://', 'mmdet://', 'torchvision://', 'detectron2://'),
             load_from_network)):
        CheckpointLoader.register_scheme(prefixes, loader=loader, force=True)
