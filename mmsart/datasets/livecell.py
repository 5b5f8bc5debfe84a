"""LIVECell: phase-contrast images of eight cell types, whose type is in their names."""
import warnings
from dataclasses import replace
from pathlib import Path
from typing import Any

from mmdet.registry import DATASETS

from mmsart.datasets.checked_coco import CheckedCocoDataset
from mmsart.datasets.coco_file import CocoFile, Record
from mmsart.utils.errors import UserError, named

LIVECELL_FOLDERS = ('A172', 'BT474', 'BV2', 'Huh7', 'MCF7', 'SHSY5Y', 'SkBr3', 'SKOV3')
"""How files and folders write the types; as classes they are in small letters."""


@DATASETS.register_module()
class LIVECellDataset(CheckedCocoDataset):
    """Read LIVECell (Edlund et al., Nature Methods 2021) as it is distributed.

    Its annotation files know one category, "cell", as lists or keyed by id, and name images
    without their folders. Each image shows one type of cells, which its name begins with, as in
    ``A172_Phase_C7_1_00d00h00m_1.tif``: that becomes the category, unless the file has the types as
    categories already. Images may lie in a folder for each type, as in ``images.zip``, or all in
    one.

    With ``metainfo=dict(classes=('cell',))`` it is a data set of one class; with some of the types
    as classes it has the images of these alone.

    Args:
        *args: of `CheckedCocoDataset`.
        **kwargs: of `CheckedCocoDataset`.

    Raises:
        UserError: besides what `CheckedCocoDataset` refuses, an image is of an unknown type.
    """

    METAINFO = dict(
        classes=tuple(name.lower() for name in LIVECELL_FOLDERS),
        palette=[(220, 20, 60), (0, 114, 178), (0, 158, 115), (230, 159, 0), (106, 0, 228),
                 (86, 180, 233), (204, 121, 167), (213, 94, 0)])

    def read(self) -> CocoFile:
        """Read the annotation file, with each image's type as category and its file's true place.

        Returns:
            The records.
        """
        coco = super().read()
        images = [dict(image, file_name=self._place(coco.path, image))
                  if isinstance(image.get('file_name'), str) else image for image in coco.images]
        coco, images = self._keep_types(coco, images)
        classes = set(self.metainfo['classes'])
        # What is no name or number at all is left to the check of what was read.
        if any(_is_key(category.get('name')) and category['name'] in classes
               for category in coco.categories):
            return replace(coco, images=images)
        types = {image['id']: self._type(coco.path, image) for image in images
                 if isinstance(image.get('file_name'), str) and _is_key(image.get('id'))}
        numbers = {name: number for number, name in enumerate(self.METAINFO['classes'], 1)}
        annotations = [
            dict(record, category_id=numbers[types[record['image_id']]])
            if _is_key(record.get('image_id')) and record['image_id'] in types else record
            for record in coco.annotations]
        categories: list[dict[str, Any]] = [
            dict(id=number, name=name) for name, number in numbers.items()]
        return replace(coco, images=images, annotations=annotations, categories=categories)

    def _keep_types(self, coco: CocoFile, images: list[Record]) -> tuple[CocoFile, list[Record]]:
        """Leave out images of types that are none of the classes, where some types are.

        As images without cells they would count in a score.
        """
        types = {name.lower() for name in LIVECELL_FOLDERS}
        others = types - set(self.metainfo['classes'])
        if others == types:
            return coco, images  # the classes are no types
        kept = [image for image in images if _prefix(image) not in others]
        if len(kept) < len(images):
            warnings.warn(
                f'{coco.path}: {len(images) - len(kept)} images of {named(sorted(others))} left '
                f'out: metainfo.classes names {named(self.metainfo["classes"])}', stacklevel=4)
        left_out = {image['id'] for image in images
                    if _prefix(image) in others and _is_key(image.get('id'))}
        annotations = [record for record in coco.annotations
                       if not (_is_key(record.get('image_id')) and record['image_id'] in left_out)]
        return replace(coco, annotations=annotations), kept

    @staticmethod
    def _type(path: str, image: dict[str, Any]) -> str:
        """Tell an image's type by its name, in small letters."""
        prefix = _prefix(image)
        if prefix not in LIVECellDataset.METAINFO['classes']:
            raise UserError(
                f'{path}: image {image["file_name"]!r}: found the type {prefix!r} in its name, '
                f'expected one of {named(LIVECELL_FOLDERS)}')
        return prefix

    def _place(self, path: str, image: dict[str, Any]) -> str:
        """Return an image's place below the folder of images, in its type's folder or not."""
        name = image['file_name']
        folder = Path(self.data_prefix.get('img') or '')
        if not (folder / name).is_file():
            for parent in LIVECELL_FOLDERS:
                if Path(name).name.lower().startswith(f'{parent.lower()}_') \
                        and (folder / parent / name).is_file():
                    return f'{parent}/{name}'
        return name


def _prefix(image: Record) -> str:
    """Return what a file's name begins with, in small letters."""
    return Path(str(image.get('file_name'))).name.split('_')[0].lower()


def _is_key(value: Any) -> bool:
    """Return whether a value of a file can be a name or an id."""
    return isinstance(value, int | str)
