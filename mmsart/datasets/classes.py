"""The cell types of the Sartorius competition, in label order, and those of other data sets."""
from collections.abc import Mapping
from typing import Any

from mmsart.utils.errors import UserError

CLASSES = ('shsy5y', 'astro', 'cort')
"""Label 0, 1 and 2. One image holds cells of one type."""

COMPETITION_IMAGES = {'shsy5y': 155, 'astro': 131, 'cort': 320}
"""Images of each type among the competition's 606: the weights of the mix-weighted mAP."""

PALETTE = [(86, 180, 233), (230, 159, 0), (0, 158, 115)]
"""RGB colour of each class, distinguishable with colour blindness too (Okabe and Ito, 2008)."""


def class_names(metainfo: Mapping[str, Any]) -> tuple[str, ...]:
    """Read the class names of a data set.

    Args:
        metainfo: of the data set.

    Returns:
        Names in label order.

    Raises:
        UserError: there is no name, one that stands there twice, or a text in the place of a
            list: ``('cell')`` is one, ``('cell',)`` is not.
    """
    names = metainfo.get('classes')
    if 'CLASSES' in metainfo:  # as in mmdet 2, which mmdet 3 passes over
        raise UserError('metainfo: found CLASSES, expected classes')
    if (not isinstance(names, list | tuple) or not names
            or not all(isinstance(name, str) for name in names)):
        raise UserError(f"metainfo.classes: found {names!r}, expected a list of names or a tuple, "
                        "such as ('cell',)")
    if len(set(names)) < len(names):
        raise UserError(f'metainfo.classes: found {", ".join(names)}, expected each name once')
    return tuple(names)
