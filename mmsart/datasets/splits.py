"""Splits of images into training and validation that do not leak.

Images of one field of view at several times look alike, so a field goes to one side as a whole
(grouped); each side holds the cell types in like shares (stratified).
"""
import inspect
import warnings
from collections.abc import Callable, Mapping, Sequence
from fractions import Fraction
from typing import Any

import numpy as np
from sklearn.model_selection import StratifiedGroupKFold

from mmsart.utils.errors import UserError


def holdout(image_ids: Sequence[str], cell_types: Sequence[str], groups: Sequence[str],
            val_fraction: float = 0.2, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Keep a share of the images for validation.

    The images are cut into q folds of which p are kept, for the fraction p / q (q <= 20) nearest
    to `val_fraction`: 0.2 is one of five folds, 0.1 one of ten.

    Args:
        image_ids: N distinct names; the split depends on them, not on their order.
        cell_types: their types, to stratify by.
        groups: their fields of view, kept together.
        val_fraction: share of validation images, in [0.05, 0.95].
        seed: seed of the shuffle.

    Returns:
        Training and validation indices, int64, ascending, disjoint, together all N.

    Raises:
        UserError: the fraction is out of range, or there are too few images or groups.
    """
    if not 0.05 <= val_fraction <= 0.95:
        raise UserError(f'val_fraction: found {val_fraction}, expected 0.05 to 0.95')
    share = Fraction(val_fraction).limit_denominator(20)
    fields = len(set(groups))
    if fields < share.denominator:
        nearest = max(1, min(fields - 1, round(val_fraction * fields))) / fields
        cure = f'val_fraction={nearest:.3f} of these, or ' if fields > 1 else ''
        raise UserError(
            f'val_fraction: found {val_fraction}, {share.numerator} of {share.denominator} parts, '
            f'and {len(image_ids)} images of {fields} fields of view, each of which '
            f"goes to one side as a whole; expected {cure}subset='all' and other images for the "
            'validation')
    fold_of = _folds(image_ids, cell_types, groups, share.denominator, seed)
    val = fold_of < share.numerator
    return np.flatnonzero(~val), np.flatnonzero(val)


def kfold(image_ids: Sequence[str], cell_types: Sequence[str], groups: Sequence[str],
          n: int = 5, fold: int = 0, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Return one fold of a cross-validation.

    Args:
        image_ids: N distinct names; the split depends on them, not on their order.
        cell_types: their types, to stratify by.
        groups: their fields of view, kept together.
        n: number of folds, at least 2.
        fold: which one is for validation, 0 to n - 1.
        seed: seed of the shuffle, the same for all folds of one cross-validation.

    Returns:
        Training and validation indices, int64, ascending, disjoint, together all N.

    Raises:
        UserError: n or fold is out of range, or there are too few images or groups.
    """
    if n < 2:
        raise UserError(f'n: found {n} folds, expected at least 2')
    if not 0 <= fold < n:
        raise UserError(f'fold: found {fold}, expected 0 to {n - 1}')
    fold_of = _folds(image_ids, cell_types, groups, n, seed)
    return np.flatnonzero(fold_of != fold), np.flatnonzero(fold_of == fold)


SPLITS: dict[str, Callable] = {'holdout': holdout, 'kfold': kfold}


def split_settings(kind: str) -> list[str]:
    """Name the settings of a kind of split; none for an unknown kind."""
    return list(inspect.signature(SPLITS[kind]).parameters)[3:] if kind in SPLITS else []


def check_split(split: Any) -> None:
    """Check the names in a split's config.

    Args:
        split: ``type`` and the settings of that kind.

    Raises:
        UserError: there is no such kind, or it has no such setting.
    """
    if not isinstance(split, Mapping) or split.get('type') not in SPLITS:
        raise UserError(f'split: found {split!r}, expected a dict with type holdout or kfold')
    known = split_settings(split['type'])
    for name in split:
        if name != 'type' and name not in known:
            raise UserError(f'split: found {name!r}, expected of type {split["type"]!r} some of '
                            f'{", ".join(known)}')


def check_subset(subset: Any, split: Any) -> None:
    """Check the names in a data set's ``subset`` and ``split``.

    Args:
        subset: ``'train'``, ``'val'`` or ``'all'``.
        split: see :func:`check_split`; of the subset ``'all'`` it is not looked at.

    Raises:
        UserError: there is no such subset, or no such split.
    """
    if subset not in ('train', 'val', 'all'):
        raise UserError(f'subset: found {subset!r}, expected train, val or all')
    if subset != 'all':
        check_split(split)


def choose_subset(subset: str, split: Mapping[str, Any] | None, image_ids: Sequence[str],
                  cell_types: Sequence[str], groups: Sequence[str]) -> np.ndarray:
    """Choose the images of a subset.

    Args:
        subset: ``'train'``, ``'val'`` or ``'all'``.
        split: ``type`` and the settings of that kind; None only with the subset ``'all'``.
        image_ids: N distinct names.
        cell_types: their types, to stratify by.
        groups: their fields of view, kept together.

    Returns:
        Their indices, int64, ascending.

    Raises:
        UserError: there are too few images or groups for the split.
    """
    if subset == 'all' or not len(image_ids):
        return np.arange(len(image_ids))
    assert split is not None
    arguments = dict(split)
    train, val = SPLITS[arguments.pop('type')](image_ids, cell_types, groups, **arguments)
    return train if subset == 'train' else val


def _folds(image_ids: Sequence[str], cell_types: Sequence[str], groups: Sequence[str],
           n: int, seed: int) -> np.ndarray:
    """Return the fold of each image, int64 (N,)."""
    num_groups = len(set(groups))
    if num_groups < n:
        raise UserError(
            f'{len(image_ids)} images of {num_groups} fields of view: expected at least {n} fields '
            f'for {n} folds')
    order = np.argsort(np.asarray(image_ids, str), kind='stable')
    types = np.asarray(cell_types, str)[order]
    if np.unique(types, return_counts=True)[1].max() < n:  # no type reaches every fold
        types = np.full(len(order), '')
    # The splitter's own shuffle spoils its stratification, so the fields are renamed at random
    # and the splitter, which takes them by name, is left unshuffled. RandomState's stream is
    # frozen, that of Generator is not.
    names, fields = np.unique(np.asarray(groups, str)[order], return_inverse=True)
    fields = np.random.RandomState(seed).permutation(len(names))[fields]
    fold_of = np.empty(len(order), np.int64)
    with warnings.catch_warnings():
        warnings.simplefilter('ignore', UserWarning)  # a type with fewer than n images is allowed
        splits = StratifiedGroupKFold(n_splits=n).split(order, types, fields)
        for fold, (_, val) in enumerate(splits):
            fold_of[order[val]] = fold
    return fold_of
