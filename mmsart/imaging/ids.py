"""What results of an image go by: its name without the ending."""
import os

from mmsart.imaging.readers import IMAGE_SUFFIXES


def image_id(path: str | os.PathLike) -> str:
    """Return the name that results of a file go by: its own without the ending.

    Args:
        path: the file.

    Returns:
        ``a`` for ``a.ome.tif`` and for ``a.png``.
    """
    name = os.path.basename(os.fspath(path))
    stem = os.path.splitext(name)[0]
    return stem[:-len('.ome')] if stem.lower().endswith('.ome') and len(stem) > 4 else stem


def name_id(name: str) -> str:
    """Return what results go by of an image that was given a name, which need not be a file's.

    Args:
        name: as given, perhaps with folders.

    Returns:
        ``a`` for ``a.ome.tif``, and ``dose 0.5 uM`` as it is: what stands behind a dot is cut
        where it is the ending of an image, since other names may differ in nothing else.
    """
    base = os.path.basename(name)
    return image_id(base) if base.lower().endswith(IMAGE_SUFFIXES) else base
