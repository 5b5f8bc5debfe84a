"""The Sartorius competition's images as an mmdet dataset."""
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from mmdet.datasets import BaseDetDataset
from mmdet.datasets.transforms import PackDetInputs
from mmdet.registry import DATASETS

from mmsart.datasets.classes import CLASSES, PALETTE, class_names
from mmsart.datasets.image_folder import image_size, list_images
from mmsart.datasets.indices import check_indices, choose
from mmsart.datasets.splits import check_subset, choose_subset
from mmsart.datasets.train_csv import TrainTable, read_train_csv
from mmsart.utils.errors import MissingFileError, UserError, missing, raise_all


@DATASETS.register_module()
class SartoriusDataset(BaseDetDataset):
    """Read the competition's ``train.csv`` and images as they are downloaded.

    Masks stay run-length text until the pipeline asks for them; boxes come from the runs. Without
    `ann_file` it is a folder of images without annotations, such as ``test/`` or
    ``train_semi_supervised/``.

    A sample of :meth:`get_data_info` has ``img_path``, ``img_id`` (str), ``height``, ``width``,
    ``cell_type``, ``sample_id`` and ``instances``, each instance with ``bbox`` (half-open xyxy in
    pixels), ``bbox_label``, ``ignore_flag`` and ``mask`` (Kaggle's run-length code), and with
    ``weight`` where the table has this column.

    ``metainfo=dict(classes=...)`` and ``filter_cfg`` act as in mmdet: cells of other types than
    the classes are left out, and with ``filter_cfg`` images smaller than ``min_size`` and, with
    ``filter_empty_gt``, those without a cell, unless ``test_mode`` is set. The split is that of
    all images, whichever of them are left out. The cell types may have any names that the
    classes have.

    Args:
        ann_file: the CSV file, relative to `data_root`; empty for a folder of images.
        data_prefix: ``img`` is the folder of the images, relative to `data_root`.
        subset: ``'train'``, ``'val'`` or ``'all'``.
        split: how train and val part: ``type`` is ``'holdout'`` (with val_fraction, seed) or
            ``'kfold'`` (with n, fold, seed); see :mod:`mmsart.datasets.splits`. None only with
            subset ``'all'``.
        keep_empty: also give images without cells of the classes, such as rows with a blank
            annotation.
        img_suffix: ending of the image files that ``train.csv`` names.
        skip: names of files of a folder that are passed over.
        indices: a number of images, the first ones or, negative, the last ones, or a list of their
            positions among those that `subset` and `filter_cfg` leave, in the order of the ids;
            `CheckedCocoDataset`, which need not split, counts in the file before both.
        **kwargs: of :class:`mmdet.datasets.BaseDetDataset`.

    Raises:
        MissingFileError: the CSV file, an image or the folder is missing.
        UserError: the table is wrong or has weights that the pipeline would lose, an image is
            unreadable or of another size than its rows say, two images of a folder have one name,
            the subset is empty, no cell is of the classes, `filter_cfg` leaves no image, or there
            is none at one of the `indices`.
    """

    METAINFO = dict(classes=CLASSES, palette=PALETTE)

    def __init__(self, *args: Any, ann_file: str = 'train.csv', subset: str = 'all',
                 split: dict | None = None, keep_empty: bool = False,
                 img_suffix: str = '.png', skip: Sequence[str] = (),
                 indices: int | Sequence[int] | None = None, **kwargs: Any) -> None:
        check_subset(subset, split)
        self.subset = subset
        self.split = split
        self.keep_empty = keep_empty
        self.img_suffix = img_suffix
        self.skip = frozenset(skip)
        check_indices(indices)
        self.positions = indices
        super().__init__(*args, ann_file=ann_file, **kwargs)

    def load_data_list(self) -> list[dict[str, Any]]:
        """Read the table, or list the folder.

        Returns:
            One dict per image, in the order of the ids.
        """
        folder = Path(self.data_prefix['img'])
        if not folder.is_dir():
            raise missing(folder, 'the images (SARTORIUS_ROOT or data_root names the data)',
                          'folder')
        if not self.ann_file:
            return _list_folder(folder, self.skip)
        classes = class_names(self.metainfo)
        own = classes != self.METAINFO['classes']  # where they are not, a new name is a slip
        table = read_train_csv(self.ann_file, None if own else classes)
        if table.weights is not None and not self.test_mode:
            self._check_pipeline(table)
        chosen = self._leave_out(table, self._choose(table))
        if not len(chosen):
            raise UserError(f'{table.path}: the subset {self.subset} is empty, expected images')
        _check_images(table, chosen, folder, self.img_suffix)
        return [_sample(table, image, folder, self.img_suffix, classes)
                for image in chosen.tolist()]

    def _check_pipeline(self, table: TrainTable) -> None:
        """Refuse transforms that hand cells on without their weights."""
        for step in self.pipeline.transforms:
            if isinstance(step, PackDetInputs) and 'gt_weights' not in step.mapping_table:
                raise UserError(
                    f'{table.path}: found a column weight, and {type(step).__name__} in the '
                    'pipeline, which would lose it; expected PackWeightedInputs')

    def _leave_out(self, table: TrainTable, chosen: np.ndarray) -> np.ndarray:
        """Take away the images of other types than the classes, and say so."""
        classes = class_names(self.metainfo)
        others = sorted(set(table.cell_types.tolist()) - set(classes))
        if not others:
            return chosen
        if len(others) == len(set(table.cell_types.tolist())):
            raise UserError(f'{table.path}: column cell_type: found {", ".join(others)}, expected '
                            f'one of the classes {", ".join(classes)} (metainfo.classes)')
        kept = np.isin(table.cell_types[chosen], classes)
        if not kept.all():
            warnings.warn(
                f'{table.path}: cells of {", ".join(others)} left out, on {(~kept).sum()} images: '
                f'metainfo.classes names {", ".join(classes)}', stacklevel=2)
        return chosen if self.keep_empty else chosen[kept]

    def _choose(self, table: TrainTable) -> np.ndarray:
        """Return the indices of the subset's images, int64, ascending."""
        has_cells = np.diff(table.splits) > 0
        chosen = np.arange(len(table)) if self.keep_empty else np.flatnonzero(has_cells)
        return chosen[choose_subset(
            self.subset, self.split, table.image_ids[chosen].tolist(),
            table.cell_types[chosen].tolist(), table.sample_ids[chosen].tolist())]

    def filter_data(self) -> list[dict[str, Any]]:
        """Leave out images as ``filter_cfg`` says, and take those at ``indices`` of the others.

        Returns:
            The images that are left.
        """
        place = f'{self.ann_file or self.data_prefix["img"]}: subset {self.subset}'
        return list(choose(self._filter(), self.positions, place))

    def _filter(self) -> list[dict[str, Any]]:
        if self.test_mode or self.filter_cfg is None:
            return self.data_list
        unknown = sorted(set(self.filter_cfg) - {'filter_empty_gt', 'min_size'})
        if unknown:
            raise UserError(f'filter_cfg: found {unknown[0]}, expected filter_empty_gt or min_size')
        min_size = self.filter_cfg.get('min_size', 0)
        kept = [sample for sample in self.data_list
                if min(sample['height'], sample['width']) >= min_size
                and (sample.get('instances', True) or not self.filter_cfg.get('filter_empty_gt'))]
        if not kept:
            raise UserError(f'filter_cfg: {self.filter_cfg} leaves no image of '
                            f'{len(self.data_list)}, expected at least one')
        return kept


def _sample(table: TrainTable, image: int, folder: Path, suffix: str,
            classes: Sequence[str]) -> dict[str, Any]:
    """Build the dict of one image; see :class:`SartoriusDataset`."""
    cell_type = str(table.cell_types[image])
    known = cell_type in classes
    label = classes.index(cell_type) if known else None
    rows = table.instances(image) if known else slice(0)
    height, width = table.sizes[image].tolist()
    instances = [
        dict(bbox=bbox, bbox_label=label, ignore_flag=0, mask=text)
        for bbox, text in zip(table.bboxes[rows].astype(float).tolist(),
                              table.annotations[rows].tolist(), strict=True)]
    if table.weights is not None:
        for instance, weight in zip(instances, table.weights[rows].tolist(), strict=True):
            instance['weight'] = weight
    return dict(
        img_path=str(folder / f'{table.image_ids[image]}{suffix}'),
        img_id=str(table.image_ids[image]),
        height=height,
        width=width,
        cell_type=cell_type if known else '',
        sample_id=str(table.sample_ids[image]),
        instances=instances)


def _check_images(table: TrainTable, chosen: np.ndarray, folder: Path, suffix: str) -> None:
    """Refuse a table whose images are missing, unreadable or of another size; name them all."""
    errors: list[UserError] = []
    for image in chosen.tolist():
        name = f'{table.image_ids[image]}{suffix}'
        place = f'{table.path}: row {table.rows[image]}, '
        try:
            found = image_size(folder / name)
        except MissingFileError as error:
            link = str(error) if (folder / name).is_symlink() else (
                f'image {folder / name} is missing')
            errors.append(MissingFileError(f'{place}column id: {link}'))
            continue
        except UserError as error:
            errors.append(error)
            continue
        expected = tuple(table.sizes[image].tolist())
        if found != expected:
            errors.append(UserError(
                f'{place}columns width and height: found {expected[1]} x {expected[0]}, expected '
                f'{found[1]} x {found[0]} as in {name}'))
    raise_all(errors)


def _list_folder(folder: Path, skip: frozenset[str]) -> list[dict[str, Any]]:
    """List the images of a folder as samples that do not say what is in them."""
    samples, errors = [], []
    for path in list_images(folder):
        if path.name in skip:
            continue
        try:
            height, width = image_size(path)
        except UserError as error:
            errors.append(error)
            continue
        samples.append(dict(
            img_path=str(path), img_id=path.stem, height=height, width=width, cell_type='',
            sample_id=path.stem))
    raise_all(errors)
    return samples
