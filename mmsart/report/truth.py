"""Truth beside results: which images have one, and how well it was met."""
from __future__ import annotations

import os
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePath

import numpy as np

from mmsart.datasets.coco_file import find_problems, read_coco
from mmsart.datasets.train_csv import read_train_csv
from mmsart.evaluation.error_counts import MIXED
from mmsart.evaluation.functional import ImageScore, score_image
from mmsart.evaluation.functional.error_kinds import ErrorKinds, find_error_kinds
from mmsart.imaging import image_id
from mmsart.structures.detections import Detections
from mmsart.structures.mask.intersections import run_intersections
from mmsart.structures.mask.patch_masks import PatchMasks
from mmsart.utils import UserError, missing, raise_all

ALL = 'all'


@dataclass(frozen=True)
class Truth:
    """The true cells of one image.

    Attributes:
        masks: N masks.
        types: class name of each, empty where it is not known.
    """

    masks: PatchMasks
    types: tuple[str, ...]

    @property
    def cell_type(self) -> str:
        """The class of all cells; `MIXED` if there are several, or none."""
        return self.types[0] if len(set(self.types)) == 1 else MIXED


@dataclass(frozen=True)
class Comparison:
    """Results of one image beside its truth.

    Attributes:
        truth: the true cells.
        score: matches at each threshold of the competition.
        kinds: what became of each true cell, and what each prediction is.
    """

    truth: Truth
    score: ImageScore
    kinds: ErrorKinds

    @property
    def mean_precision(self) -> float:
        """The image's score: precision, averaged over the thresholds."""
        return float(self.score.precision.mean())


def read_truth(path: str | os.PathLike) -> dict[str, Truth]:
    """Read annotations.

    Args:
        path: a ``train.csv`` of the Sartorius competition, or COCO annotations as ``.json``.

    Returns:
        The true cells by the name of the image, with its folders but without its ending. Planes
        of stacks are left out.

    Raises:
        MissingFileError: there is no such file.
        UserError: it is malformed, holds predictions, or two images have one name.
    """
    path = Path(path)
    if not path.is_file():
        raise missing(path, 'train.csv or COCO annotations')
    return _read_coco(path) if path.suffix.lower() == '.json' else _read_csv(path)


class TruthIndex:
    """Truths that are found by an image's name without a look at them all.

    Args:
        truths: of :func:`read_truth`.
    """

    def __init__(self, truths: Mapping[str, Truth]) -> None:
        self._truths = truths
        self._names: dict[str, list[str]] = defaultdict(list)
        for name in truths:
            self._names[PurePath(name).name].append(name)

    def __len__(self) -> int:
        return len(self._truths)

    def find(self, name: str) -> Truth | None:
        """Find the truth of an image.

        Args:
            name: of the image, with its ending.

        Returns:
            The truth of the same name and folders; else the only one whose path is the end of the
            image's, or the other way round; else None.
        """
        whole = _without_ending(name)
        if whole in self._truths:
            return self._truths[whole]
        same = [each for each in self._names.get(PurePath(whole).name, [])
                if f'/{whole}'.endswith(f'/{each}') or f'/{each}'.endswith(f'/{whole}')]
        return self._truths[same[0]] if len(same) == 1 else None


def compare(found: Detections, truth: Truth, classes: Sequence[str]) -> Comparison:
    """Set the cells of an image beside the true ones.

    Args:
        found: the final cells.
        truth: of the same image.
        classes: names of the detections' labels.

    Returns:
        Score and kinds of error. Where the type is not known or there are several, none is wrong.

    Raises:
        UserError: the truth is of an image of another size.
    """
    size, expected = ((masks.height, masks.width) for masks in (truth.masks, found.masks))
    if size != expected:
        raise UserError(f'image {found.img_id}: truth of {size[1]} x {size[0]} pixels, expected '
                        f'{expected[1]} x {expected[0]} as predicted')
    right = np.ones(len(found), bool)
    if truth.cell_type in classes:
        right = found.labels == list(classes).index(truth.cell_type)
    runs, true_runs = found.masks.to_runs(), truth.masks.to_runs()
    kinds = find_error_kinds(run_intersections(runs, true_runs), runs.areas, true_runs.areas, right)
    return Comparison(truth, score_image(runs, true_runs), kinds)


def precision_table(comparisons: Sequence[Comparison]) -> dict[str, np.ndarray]:
    """Average the precision of images by type and threshold, as the competition does.

    Args:
        comparisons: at least one.

    Returns:
        For all images, then for those of each type, float64 (T + 1,): the mean over thresholds,
        then precision at each of :data:`~mmsart.evaluation.functional.IOU_THRS`.
    """
    groups: dict[str, list[np.ndarray]] = defaultdict(list)
    for each in comparisons:
        groups[ALL].append(each.score.precision)
    for each in sorted(comparisons, key=lambda each: each.truth.cell_type):
        groups[each.truth.cell_type].append(each.score.precision)
    if len(groups) == 2:  # one type: its row would repeat the first
        groups = {ALL: groups[ALL]}
    table = {}
    for name, precisions in groups.items():
        at_thresholds = np.mean(precisions, axis=0)
        table[name] = np.concatenate([[at_thresholds.mean()], at_thresholds])
    return table


def _without_ending(name: str) -> str:
    return (PurePath(name).parent / image_id(name)).as_posix()


def _read_csv(path: Path) -> dict[str, Truth]:
    table = read_train_csv(path, classes=None)  # results say which types they tell apart
    truths = {}
    for number, name in enumerate(table.image_ids.tolist()):
        masks = table.masks(number)
        truths[name] = Truth(masks, (str(table.cell_types[number]),) * len(masks))
    return truths


def _read_coco(path: Path) -> dict[str, Truth]:
    coco = read_coco(path)
    raise_all(find_problems(coco, with_boxes=False))
    for each in coco.annotations:
        if 'score' in each:
            raise UserError(f'{path}: annotation {each["id"]}: found a score, as predictions have, '
                            'expected truth')
    categories = {each['id']: each['name'] for each in coco.categories}
    cells_of = defaultdict(list)
    for each in coco.annotations:
        if not each.get('iscrowd') and not each.get('ignore'):
            cells_of[each['image_id']].append(each)
    truths: dict[str, Truth] = {}
    for image in coco.images:
        if 't' in image or 'z' in image:
            continue
        name = _without_ending(image['file_name'])
        if name in truths:
            raise UserError(f'{path}: two images named {name!r}, expected one')
        cells = cells_of[image['id']]
        masks = PatchMasks.from_annotations(
            [cell['segmentation'] for cell in cells], int(image['height']), int(image['width']))
        filled = np.flatnonzero(masks.areas)
        truths[name] = Truth(
            masks[filled], tuple(categories[cells[index]['category_id']] for index in filled))
    return truths

