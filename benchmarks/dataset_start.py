"""Start of the dataset: mmdet's CocoDataset from converted JSON against ours from train.csv.

On a generated data set of the competition's size, 606 images and about 73,585 rows. The
conversion to JSON, which ours does without, is not counted.
"""
import argparse
import tempfile
from pathlib import Path

from common import Row, compare, judge, run
from folders import NUM_IMAGES, write_coco, write_root
from mmdet.datasets import CocoDataset
from mmdet.utils import register_all_modules

from mmsart.datasets.classes import CLASSES
from mmsart.datasets.sartorius import SartoriusDataset


def measure(args: argparse.Namespace) -> list[Row]:
    """Compare the time to a dataset that is ready to give samples."""
    register_all_modules(init_default_scope=True)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        rows = write_root(folder)
        write_coco(folder, folder / 'coco.json')

        def stock() -> CocoDataset:
            return CocoDataset(ann_file=str(folder / 'coco.json'), metainfo=dict(classes=CLASSES),
                               data_prefix=dict(img=str(folder / 'train')), pipeline=[])

        def ours() -> SartoriusDataset:
            return SartoriusDataset(data_root=name, ann_file='train.csv', subset='all',
                                    data_prefix=dict(img='train/'), pipeline=[])

        row = compare(f'dataset start, {NUM_IMAGES} images, {rows:,} rows', stock, ours,
                      min(args.rounds, 5), difference=_difference(stock(), ours()))
    row.bar = judge('<= 2 s', row.ours <= 2000)
    return [row]


def _difference(stock: CocoDataset, ours: SartoriusDataset) -> float:
    """Give the largest difference of a box's coordinate over all images."""
    largest = 0.0
    for i in range(len(ours)):
        pairs = zip(stock.get_data_info(i)['instances'], ours.get_data_info(i)['instances'],
                    strict=True)
        largest = max(largest, *(abs(a - b) for one, other in pairs
                                 for a, b in zip(one['bbox'], other['bbox'], strict=True)))
    return largest


if __name__ == '__main__':
    raise SystemExit(run(measure, __doc__))
