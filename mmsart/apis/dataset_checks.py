"""Checks of the data sets that a config names: every record, every image file, before a run."""
import contextlib
import copy
import io
import os
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from mmcv.transforms import LoadImageFromFile
from mmdet.datasets import BaseDetDataset, CocoDataset
from mmdet.datasets.transforms import LoadAnnotations
from mmdet.evaluation import CocoMetric
from mmdet.registry import DATASETS, METRICS, TRANSFORMS
from mmengine.config import Config
from mmengine.dist import all_gather_object, is_distributed

from mmsart.apis.config import find_metrics
from mmsart.datasets.checked_coco import (
    CheckedCocoDataset,
    check_coco,
    check_images,
    reads_crowds,
)
from mmsart.datasets.classes import class_names
from mmsart.datasets.coco_file import (
    CocoFile,
    check_classes,
    count_crowds,
    find_problems,
    read_coco,
)
from mmsart.datasets.coco_missing import count_missing
from mmsart.datasets.image_file import find_unreadable, read_header
from mmsart.datasets.sartorius import SartoriusDataset
from mmsart.datasets.synthetic.dataset import SyntheticDataset
from mmsart.datasets.transforms import LoadCachedImage, LoadCroppedAnnotations
from mmsart.structures.mask.coco_segmentations import find_bad_segmentations
from mmsart.utils import UserError, UserErrors, as_user_error, named, raise_all


def check_datasets(cfg: Config, loader: str) -> list[BaseDetDataset]:
    """Build the data sets of a data loader once, and let those that are joined be one.

    Args:
        cfg: the config; a ``ConcatDataset`` in it gets ``ignore_keys``.
        loader: name of the data loader.

    Returns:
        Those that read files.

    Raises:
        UserError: a data set or a transform is wrong, or data sets differ in their classes.
    """
    place = f'{cfg.filename}: {loader}.dataset'
    found = []
    configs = list(_walk(cfg[loader].get('dataset'), place))
    _join(configs, place)
    for config in configs:
        steps = []
        for number, step in enumerate(config.get('pipeline') or []):
            with as_user_error(f'{place}.pipeline.{number}'):
                steps.append(TRANSFORMS.build(copy.deepcopy(step)))
        with as_user_error(place):
            dataset = _check_dataset(config, steps, place)
        if dataset is not None:
            _check_decoding(steps, [sample['img_path'] for sample in dataset.data_list])
            found.append(dataset)
    return found


def _join(configs: Sequence[Any], place: str) -> None:
    """Hold the classes of joined data sets against each other, and pass over what else differs.

    Each data set numbers its cells by its own list of classes, so another list, or another order,
    would be other labels. mmengine's ``ConcatDataset`` gives no classes at all where one palette
    differs.
    """
    known = []
    for config in configs:
        load = getattr(DATASETS.get(config['type']), '_load_metainfo', None)
        if load is not None:  # else it is a wrapper, or somebody's own
            with as_user_error(place):
                known.append(load(config.get('metainfo')))
    first, *others = [class_names(each) for each in known if 'classes' in each] or [()]
    for classes in others:
        if classes != first:
            raise UserError(
                f'{place}: found the classes {named(first)} in one data set and {named(classes)} '
                'in another, expected the same in the same order in all that are joined')
    for config in configs:
        if str(getattr(config['type'], '__name__', config['type'])).endswith('ConcatDataset'):
            config.setdefault('ignore_keys', sorted(
                {key for each in known for key in each} - {'classes'}))


def check_pixels(datasets: Sequence[BaseDetDataset]) -> None:
    """Decode every image once, so that a damaged one is no surprise in the middle of a run.

    Args:
        datasets: those of a run; an image that several of them have is decoded once.

    Raises:
        UserError: images are damaged; all of them are named.
    """
    paths = [sample['img_path'] for dataset in datasets for sample in dataset.data_list]
    problems = find_unreadable_together(paths)
    if problems:
        raise UserErrors(*problems.values())


def find_unreadable_together(paths: Sequence[str | os.PathLike]) -> dict[str, str]:
    """Decode images and name each one that cannot be loaded.

    The processes of one machine share the images out among them and exchange what they find. Each
    machine looks at all, since it may have files of its own.

    Args:
        paths: the files, the same in all processes.

    Returns:
        Path and message of each bad one, in their order.
    """
    names = list(dict.fromkeys(map(str, paths)))
    number, count = _place_among_local() if is_distributed() else (0, 1)
    problems: dict[str, str] = {}
    for found in all_gather_object(find_unreadable(names[number::count])):
        problems.update(found)
    return {name: problems[name] for name in names if name in problems}


def _place_among_local() -> tuple[int, int]:
    """Give the number of this process on its machine, and how many run there.

    Only torchrun says how many; each process of another launcher looks at all images.
    """
    if 'LOCAL_WORLD_SIZE' not in os.environ:
        return 0, 1
    return int(os.environ['LOCAL_RANK']), int(os.environ['LOCAL_WORLD_SIZE'])


def check_coco_metric(cfg: Config, name: str, datasets: Sequence[BaseDetDataset]) -> None:
    """Check the annotation files of a config's COCO metrics.

    Args:
        cfg: the config.
        name: ``'val_evaluator'`` or ``'test_evaluator'``.
        datasets: what the metrics are to score.

    Raises:
        UserError: a file is wrong, or pycocotools would read it wrongly.
    """
    for evaluator in find_metrics(cfg, name):
        kind = METRICS.get(evaluator['type']) if 'type' in evaluator else None
        if isinstance(kind, type) and issubclass(kind, CocoMetric) and evaluator.get('ann_file'):
            coco = read_coco(evaluator['ann_file'])
            cure = 'without ann_file the metric takes the truth of the data set'
            if lacking := count_missing(coco):
                raise UserError(f'{coco.path}: annotations: found {max(lacking.values())} without '
                                f'{named(lacking)}, which pycocotools needs; {cure}')
            raise_all(find_problems(coco, with_masks=False))
            crowds, count = count_crowds(coco)
            if crowds and any(map(reads_crowds, datasets)):
                raise UserError(f'{coco.path}: annotations: found iscrowd 1, which the data set '
                                f'reads as cells and the metric does not; {cure}')
            if crowds and crowds == count:
                raise UserError(f'{coco.path}: annotations: found iscrowd 1 in each of the '
                                f"{count}, expected cells to score; with crowds='cells' the data "
                                f'set reads them as such, and {cure}')
            ids = Counter(sample['img_id'] for dataset in datasets for sample in dataset.data_list)
            if ids and ids.most_common(1)[0][1] > 1:
                raise UserError(f'{coco.path}: found the image id {ids.most_common(1)[0][0]!r} in '
                                f'several data sets that are joined, expected it once; {cure}')
            for dataset in datasets:
                _check_stock(coco, class_names(dataset.metainfo), cure)


def _walk(config: Any, place: str) -> Iterator[Any]:
    """Go through data sets and those that they wrap, as ConcatDataset does."""
    if not isinstance(config, Mapping) or 'type' not in config:
        raise UserError(f'{place}: found {config!r}, expected a dict with the type of a dataset')
    with as_user_error(place):
        if DATASETS.get(config['type']) is None:
            raise UserError(f'{place}.type: found {config["type"]!r}, expected the name of a '
                            'dataset')
    yield config
    inner = config.get('datasets', config.get('dataset'))
    if inner is not None:
        for each in inner if isinstance(inner, list | tuple) else [inner]:
            yield from _walk(each, place)


def _check_dataset(config: Mapping[str, Any], steps: list[Callable],
                   place: str) -> BaseDetDataset | None:
    """Build one data set; None if it has no files here."""
    kind: Any = DATASETS.get(config['type'])
    if not isinstance(kind, type) or not issubclass(kind, BaseDetDataset):
        return None  # a wrapper, or somebody's own
    if issubclass(kind, SartoriusDataset | SyntheticDataset):
        _check_loading(steps, place, kind.__name__)
    arguments = {**copy.deepcopy(dict(config)), 'pipeline': steps, 'serialize_data': False}
    if issubclass(kind, SyntheticDataset) or config.get('backend_args') is not None:
        return None
    if issubclass(kind, SartoriusDataset | CheckedCocoDataset):  # these check themselves
        return DATASETS.build(arguments)
    dataset = DATASETS.build({**arguments, 'lazy_init': True})
    class_names(dataset.metainfo)
    if (isinstance(dataset, CocoDataset)
            and type(dataset).load_data_list is CocoDataset.load_data_list):
        coco = read_coco(dataset.ann_file)
        check_coco(coco, dataset)
        _check_stock(coco, class_names(dataset.metainfo), "type='CocoDataset' reads it")
    with contextlib.redirect_stdout(io.StringIO()):  # pycocotools' account of what it does
        dataset.full_init()
    check_images(dataset.data_list, f'{dataset.ann_file}: filter_cfg and metainfo.classes')
    if any(getattr(step, 'with_mask', False) for step in steps):
        _check_masks(dataset.data_list)
    return dataset


def _check_loading(steps: Sequence[Callable], place: str, dataset: str) -> None:
    """Refuse mmdet's loading of masks, which does not know Kaggle's run-length codes."""
    for number, step in enumerate(steps):
        if (isinstance(step, LoadAnnotations) and step.with_mask
                and not isinstance(step, LoadCroppedAnnotations)):
            raise UserError(
                f'{place}.pipeline.{number}: found {type(step).__name__} with masks, which cannot '
                f'read the run-length codes of {dataset}, expected LoadCroppedAnnotations (in '
                'version 0.1.0 LoadSartoriusAnnotations)')


def _check_decoding(steps: Sequence[Callable], paths: Sequence[str]) -> None:
    """Refuse mmcv's loading of images for those that OpenCV cannot read as they are."""
    if any(isinstance(step, LoadImageFromFile) and not isinstance(step, LoadCachedImage)
           and step.imdecode_backend == 'cv2' for step in steps):
        raise_all([UserError(f'{path}: OpenCV cannot read this file as it is, expected '
                             'LoadCachedImage in the place of LoadImageFromFile')
                   for path in paths if read_header(path).backend != 'cv2'])


def _check_stock(coco: CocoFile, classes: Sequence[str], cure: str) -> None:
    """Refuse a file that mmdet's own COCO classes fail at, or number otherwise than `classes`."""
    if not coco.plain:
        raise UserError(f'{coco.path}: found records keyed by id (as in LIVECell), a byte-order '
                        f'mark or compression, expected lists in UTF-8; {cure}')
    check_classes(coco, classes)
    names = [category['name'] for category in coco.categories if category['name'] in classes]
    if names != list(classes):
        raise UserError(
            f'{coco.path}: categories: found {named(names)} in this order, expected '
            f'{", ".join(classes)} as in metainfo.classes, as labels follow the order of the file'
            f'; {cure}')


def _check_masks(samples: Sequence[dict[str, Any]]) -> None:
    """Hold the masks of a data set of any kind against their images."""
    errors = []
    for sample in samples:
        masks = [instance.get('mask') for instance in sample.get('instances', [])]
        errors += [UserError(f'{sample["img_path"]}: instance {bad.index}: mask: {bad.problem}')
                   for bad in find_bad_segmentations(masks, sample['height'], sample['width'])]
    raise_all(errors)
