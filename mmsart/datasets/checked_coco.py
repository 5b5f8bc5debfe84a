"""COCO's data sets, every annotation read as it is meant or refused."""
import warnings
from collections import Counter, defaultdict
from collections.abc import Container, Mapping, Sequence
from typing import Any

from mmdet.datasets import BaseDetDataset, CocoDataset
from mmdet.registry import DATASETS

from mmsart.datasets.classes import class_names
from mmsart.datasets.coco_file import (
    CocoFile,
    Record,
    check_classes,
    count_crowds,
    find_problems,
    is_id,
    read_coco,
)
from mmsart.datasets.coco_missing import fill_in
from mmsart.datasets.image_folder import image_size
from mmsart.datasets.indices import check_indices, choose
from mmsart.datasets.splits import check_subset, choose_subset
from mmsart.structures.data_samples import distinct_names, image_name
from mmsart.utils.errors import UserError, raise_all, shown


@DATASETS.register_module(name=['CheckedCocoDataset', 'CocoDataset'], force=True)
class CheckedCocoDataset(CocoDataset):
    """Read COCO annotations as mmdet does, and refuse what it would read wrongly.

    It takes the place of mmdet's class in the registry, so that configs made for mmdet are read
    by it too: ``type='CocoDataset'`` is this class.

    LIVECell's own files, whose annotations are keyed by id, are read too, and files with a
    byte-order mark or compressed by gzip. Labels go by the names in ``metainfo.classes``, where
    `CocoDataset` goes by the order of the file. Whatever is wrong is named at once: an RLE of
    another size than its image or with other counts, polygons that are none, boxes apart from
    their masks, unknown images and categories, doubled ids; images that are missing, damaged, or
    of another size or depth. See :func:`mmsart.datasets.coco_file.find_problems`. Boxes, areas and
    ids that are not there at all, as scripts leave them out, are those of the masks.

    A sample has ``image_name`` and, with a `group_key`, ``sample_id``, which in a test its data
    sample has too, whatever the ``meta_keys`` of the pipeline. Images whose files have one name are
    told apart by :func:`~mmsart.structures.data_samples.distinct_names` over the whole file.

    Args:
        *args: of `CocoDataset`.
        indices: a number of images, the first ones or, negative, the last ones, or a list of
            their positions in the file, before ``split`` and ``filter_cfg`` leave any out: data
            sets of one file with other positions share no image, whatever they filter.
            `SartoriusDataset`, which splits its images itself, counts in what these leave.
        crowds: ``'ignored'``, or ``'cells'`` to read annotations with ``iscrowd`` 1 as those of
            single cells, which CVAT writes for masks that are painted with its brush.
        subset: ``'train'``, ``'val'`` or ``'all'``.
        split: how train and val part, as of :class:`mmsart.datasets.sartorius.SartoriusDataset`;
            stratified by the class that most cells of an image have. None only with subset
            ``'all'``.
        group_key: key of the file's images under which images that look alike, such as frames of
            one field of view, have one value; they go to one side of the split as a whole, and of
            the tuner's. An image whose value is blank is a group of its own. None where each
            image stands for itself.
        **kwargs: of `CocoDataset`.

    Raises:
        MissingFileError: the annotation file or an image is missing.
        UserError: an annotation or an image is wrong, no category is among the classes, each
            annotation is an ignored crowd, the file has no image at one of the `indices`, images
            lack the `group_key` or are too few for the split, or no image is left by
            ``filter_cfg``.
    """

    def __init__(self, *args: Any, indices: int | Sequence[int] | None = None,
                 crowds: str = 'ignored', subset: str = 'all', split: dict | None = None,
                 group_key: str | None = None, **kwargs: Any) -> None:
        check_indices(indices)
        check_subset(subset, split)
        if crowds not in ('ignored', 'cells'):
            raise UserError(f'crowds: found {crowds!r}, expected ignored or cells')
        self.positions = indices
        self.crowds = crowds
        self.subset, self.split = subset, split
        self.group_key = group_key
        super().__init__(*args, **kwargs)

    def read(self) -> CocoFile:
        """Read the annotation file; what it holds is checked afterwards.

        Returns:
            Its records.
        """
        return read_coco(self.ann_file)

    def load_data_list(self) -> list[dict[str, Any]]:
        """Read the file.

        Returns:
            One dict per image, in the order of the file or of the indices.
        """
        coco = fill_in(self.read())
        check_coco(coco, self)
        name_of = _name_images(coco.images)
        images = choose(coco.images, self.positions, coco.path)
        groups = self._groups(coco.path, images, name_of)
        classes = class_names(self.metainfo)
        self.cat2label = {category['id']: classes.index(category['name'])
                          for category in coco.categories if category['name'] in classes}
        self.cat_ids = list(self.cat2label)
        self.cat_img_map = defaultdict(list)
        of_image = defaultdict(list)
        for annotation in coco.annotations:
            self.cat_img_map[annotation['category_id']].append(annotation['image_id'])
            of_image[annotation['image_id']].append(
                dict(annotation, iscrowd=0) if self.crowds == 'cells' else annotation)
        images = self._part(images, of_image, groups)
        return [
            self.parse_data_info(dict(
                raw_img_info=dict(image, img_id=image['id'], height=int(image['height']),
                                  width=int(image['width'])),  # 96.0 is 96 in JSON
                raw_ann_info=of_image[image['id']]))
            | dict(image_name=name_of[image['id']])
            | (dict(sample_id=groups[image['id']]) if groups else {})
            for image in images]

    def prepare_data(self, idx: int) -> Any:
        """Load a sample, and in a test tell whatever packs it the image's name and group.

        Args:
            idx: number of the image.

        Returns:
            What the pipeline makes of it.
        """
        info = self.get_data_info(idx)
        told = {key: info[key] for key in ('image_name', 'sample_id') if key in info}
        packed = self.pipeline(info)
        if self.test_mode and isinstance(packed, dict) and 'data_samples' in packed:
            views = packed['data_samples']  # one, or those of TestTimeAug
            for view in views if isinstance(views, list) else [views]:
                view.set_metainfo(told)
        return packed

    def _groups(self, path: str, images: Sequence[Record],
                name_of: Mapping[Any, str]) -> dict[Any, str]:
        """Read the groups of images by their ids; a blank is a group of its own, as in train.csv.

        Without a `group_key` there is none.
        """
        key = self.group_key
        if key is None:
            return {}
        raise_all([UserError(
            f'{path}: image {image["file_name"]}: {key}: found {shown(image.get(key))}, expected a '
            'number or text that images of one group share (group_key)')
            for image in images if not is_id(image.get(key))])
        return {image['id']: group if (group := str(image[key])).strip() else name_of[image['id']]
                for image in images}

    def _part(self, images: Sequence[Record], of_image: Mapping[Any, Sequence[Record]],
              group_of: Mapping[Any, str]) -> list[Record]:
        """Take the images of the subset."""
        types = []
        for image in images:
            labels = Counter(self.cat2label.get(each['category_id'], -1)
                             for each in of_image[image['id']])
            types.append(str(max(labels, key=lambda label: (labels[label], label), default='')))
        chosen = choose_subset(
            self.subset, self.split, [str(image['id']) for image in images], types,
            [group_of.get(image['id'], str(image['id'])) for image in images])
        return [images[index] for index in chosen]

    def filter_data(self) -> list[dict[str, Any]]:
        """Leave out images as ``filter_cfg`` says, and check the files of the others.

        Returns:
            The data list.
        """
        kept = super().filter_data()
        check_images(kept, f'{self.ann_file}: filter_cfg and metainfo.classes')
        return kept


def _name_images(images: Sequence[Record]) -> dict[Any, str]:
    """Name all images of a file, so that each has one name whichever others it is tested with."""
    files = [image['file_name'] for image in images]
    names = [image_name(dict(img_id=image['id'], img_path=image['file_name'])) for image in images]
    return {image['id']: name
            for image, name in zip(images, distinct_names(names, files), strict=True)}


def check_coco(coco: CocoFile, dataset: CocoDataset) -> None:
    """Check the annotations of a data set, and say which ones it leaves out.

    Args:
        coco: its file.
        dataset: what is built from it; its classes and pipeline are asked for.

    Raises:
        UserError: an annotation is wrong, no category is among the classes, or no annotation is
            left to train on or to score.
    """
    with_masks = any(getattr(step, 'with_mask', False) for step in dataset.pipeline.transforms)
    if not coco.annotations and not dataset.test_mode:
        raise UserError(f'{coco.path}: annotations: found none, expected some to train on')
    raise_all(find_problems(coco, with_masks))
    check_classes(coco, class_names(dataset.metainfo))
    if not reads_crowds(dataset):
        _check_crowds(coco)
    images = {image['id']: image for image in coco.images}
    left_out = [each for each in coco.annotations if not each.get('ignore')
                and _is_left_out(each, images[each['image_id']])]
    if left_out:
        warnings.warn(
            f'{coco.path}: {len(left_out)} annotations left out, with a box of less than a pixel, '
            f'outside the image, or with an area of 0; the first is {left_out[0]["id"]!r}',
            stacklevel=3)
    _check_rest(coco, dataset, {each['id'] for each in left_out})


def reads_crowds(dataset: BaseDetDataset) -> bool:
    """Tell whether a data set reads the crowds of its file as single cells."""
    return getattr(dataset, 'crowds', 'ignored') == 'cells'


def _check_crowds(coco: CocoFile) -> None:
    """Refuse a file of nothing but crowds, and count those of any other."""
    crowds, count = count_crowds(coco)
    what = ('neither trained on nor scored; CVAT writes what is painted with its brush like that: '
            "crowds='cells' in a CheckedCocoDataset reads them as cells")
    if crowds and crowds == count:
        raise UserError(f'{coco.path}: annotations: found iscrowd 1 in each of the {crowds}, '
                        f'expected cells; crowds are {what}')
    if crowds:
        warnings.warn(f'{coco.path}: {crowds} of {count} annotations are crowds (iscrowd 1), '
                      f'{what}', stacklevel=4)


def _check_rest(coco: CocoFile, dataset: CocoDataset, left_out: Container) -> None:
    """Check that some annotation is left, of the classes and neither ignored nor a crowd."""
    classes = class_names(dataset.metainfo)
    labels = {each['id'] for each in coco.categories if each['name'] in classes}
    crowds_count = reads_crowds(dataset)
    if coco.annotations and not any(
            each['category_id'] in labels and each['id'] not in left_out and not each.get('ignore')
            and (crowds_count or not each.get('iscrowd')) for each in coco.annotations):
        raise UserError(
            f'{coco.path}: annotations: found {len(coco.annotations)}, but all of them are left '
            'out, ignored, crowds or of other classes, expected cells of '
            f'{", ".join(classes)} to train on or to score')


def check_images(samples: Sequence[dict[str, Any]], place: str) -> None:
    """Check the image files of a data set's samples.

    Args:
        samples: dicts with ``img_path``, ``height`` and ``width``.
        place: what an error says if there is no sample.

    Raises:
        UserError: there is none, or an image is missing, cannot be loaded as it is, or has another
            size; all of them are named.
    """
    if not samples:
        raise UserError(f'{place}: found no image left, expected at least one')
    errors = []
    for sample in samples:
        try:
            found = image_size(sample['img_path'])
        except UserError as error:
            errors.append(error)
            continue
        expected = sample.get('height', found[0]), sample.get('width', found[1])
        if found != expected:
            errors.append(UserError(
                f'{sample["img_path"]}: found {found[0]} x {found[1]} pixels (height x width), '
                f'expected {expected[0]} x {expected[1]} as annotated'))
    raise_all(errors)


def _is_left_out(annotation: dict[str, Any], image: dict[str, Any]) -> bool:
    """Return whether `CocoDataset.parse_data_info` drops an annotation without a word."""
    x, y, width, height = annotation['bbox']
    inside = [max(0, min(begin + length, image[side]) - max(begin, 0))
              for begin, length, side in ((x, width, 'width'), (y, height, 'height'))]
    return not all(inside) or annotation['area'] <= 0 or width < 1 or height < 1
