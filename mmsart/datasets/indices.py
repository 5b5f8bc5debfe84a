"""``indices`` of a data set's config: which of its images it gives.

`CheckedCocoDataset` counts positions in its file, `SartoriusDataset` among the images that split
and filter leave.
"""
from collections.abc import Sequence
from typing import Any, TypeVar

from mmsart.utils.errors import UserError

Item = TypeVar('Item')


def check_indices(indices: Any) -> None:
    """Check that the ``indices`` of a config can be some.

    Args:
        indices: a number of images, the first ones or, negative, the last ones; a list of their
            positions from 0; None for all images.

    Raises:
        UserError: they are something else, or none.
    """
    positions = indices if isinstance(indices, list | tuple | range) else [indices]
    if indices is not None and not (
            indices and all(isinstance(position, int) for position in positions)):
        raise UserError(f'indices: found {indices!r}, expected a number of images other than 0 '
                        'or a list of their positions')


def choose(items: Sequence[Item], indices: int | Sequence[int] | None,
           place: str) -> Sequence[Item]:
    """Choose some of a data set's images.

    Args:
        items: all of them.
        indices: see :func:`check_indices`.
        place: what an error begins with.

    Returns:
        Those chosen, in the order of `indices`.

    Raises:
        UserError: there is no item at a position.
    """
    if indices is None:
        return items
    if isinstance(indices, int):
        return items[:indices] if indices > 0 else items[indices:]
    beyond = [index for index in indices if not -len(items) <= index < len(items)]
    if beyond:
        raise UserError(f'{place}: indices: found {beyond[0]}, expected positions from 0 to '
                        f'{len(items) - 1}, of its {len(items)} images')
    return [items[index] for index in indices]
