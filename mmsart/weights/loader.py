"""mmengine's checkpoint reading, made safe and open to other libraries' files."""
from typing import Any

from mmengine.runner.checkpoint import CheckpointLoader

from mmsart.weights.importer import import_checkpoint, import_content
from mmsart.weights.package import find_package_weights
from mmsart.weights.safe_load import read_checkpoint

PACKAGE_SCHEME = 'package://'


def load_file(filename: str, map_location: Any = None) -> dict[str, Any]:
    """Read a local checkpoint for mmengine.

    Takes the place of mmengine's own reader, which falls back to unpickling with code when the
    safe way fails. A checkpoint of this project comes back whole, with its optimizer and log, so
    that runs resume; one of another library comes back in mmdet's naming.

    Args:
        filename: the file.
        map_location: device of the tensors.

    Returns:
        The checkpoint as mmengine expects it.
    """
    content = read_checkpoint(filename, map_location)
    imported = import_content(content, filename)
    if imported.source == 'mmdet':
        return content
    return {'state_dict': imported.state_dict, 'meta': {'source': imported.source}}


def load_package(filename: str, map_location: Any = None) -> dict[str, Any]:
    """Read the weights that an installed package carries, ``package://NAME``."""
    path = find_package_weights(filename.removeprefix(PACKAGE_SCHEME))
    imported = import_checkpoint(path, map_location)
    return {'state_dict': imported.state_dict, 'meta': {'source': imported.source}}


def register_loaders() -> None:
    """Let mmengine read files and packages through this module."""
    CheckpointLoader.register_scheme('', loader=load_file, force=True)
    CheckpointLoader.register_scheme(PACKAGE_SCHEME, loader=load_package, force=True)
