"""Whole data sets for the benchmarks: the competition's size generated, or the real one."""
import csv
import itertools
import json
import os
from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np
from inputs import HEIGHT, WIDTH

from mmsart.datasets.classes import CLASSES
from mmsart.datasets.synthetic import GeneratedImage, generate_image
from mmsart.datasets.train_csv import COLUMNS
from mmsart.structures.mask.patches import patches_to_runs, runs_to_patches, transpose_patches
from mmsart.structures.mask.rle import parse_rles, runs_to_coco

NUM_IMAGES, NUM_ROWS = 606, 73_585  # of the competition
_KINDS = (('cort', 34), ('shsy5y', 337), ('cort', 34), ('astro', 80)) * 2  # mix and mean counts


def mixed_images() -> Iterator[GeneratedImage]:
    """Generate images of the three types in about the competition's mix.

    Yields:
        As many images as the competition's, with its mean counts of cells; eight are drawn and
        given again and again.
    """
    rng = np.random.default_rng(0)
    drawn = [generate_image(kind, rng, HEIGHT, WIDTH, num_cells=cells) for kind, cells in _KINDS]
    yield from itertools.islice(itertools.cycle(drawn), NUM_IMAGES)


def data_root(folder: Path) -> tuple[str, Path]:
    """Give the real data if SARTORIUS_ROOT is set, else write a data set of their size.

    Args:
        folder: where a generated one goes.

    Returns:
        'real' or 'generated', and the folder with train.csv and train/.
    """
    if 'SARTORIUS_ROOT' in os.environ:
        return 'real', Path(os.environ['SARTORIUS_ROOT'])
    write_root(folder)
    return 'generated', folder


def write_root(folder: Path) -> int:
    """Write a data set with about as many images and rows as the competition's.

    Args:
        folder: gets train.csv and train/. Files of repeated images are links to one.

    Returns:
        Rows written.
    """
    (folder / 'train').mkdir()
    files: dict[int, Path] = {}
    rows = 0
    with open(folder / 'train.csv', 'w', newline='', encoding='utf-8') as file:
        writer = csv.writer(file)
        writer.writerow(COLUMNS)
        for i, drawn in enumerate(mixed_images()):
            path = folder / 'train' / f'{i:012x}.png'
            if id(drawn) in files:
                os.link(files[id(drawn)], path)
            else:
                cv2.imwrite(str(path), drawn.image)
                files[id(drawn)] = path
            texts = drawn.texts()[:NUM_ROWS - rows]
            rows += len(texts)
            sample = f'{drawn.cell_type}[plate]_{i // 4}'
            tail = [WIDTH, HEIGHT, drawn.cell_type, '', '', sample, '']
            writer.writerows([path.stem, text, *tail] for text in texts)
    return rows


def write_coco(root: Path, target: Path) -> None:
    """Convert a data set to COCO's format, counts as text, as mmdet wants it.

    Args:
        root: folder with train.csv.
        target: the JSON file to write.
    """
    groups: dict[str, list[dict]] = {}
    with open(root / 'train.csv', newline='', encoding='utf-8') as file:
        for row in csv.DictReader(file):
            groups.setdefault(row['id'], []).append(row)
    images: list[dict] = []
    annotations: list[dict] = []
    for number, (name, rows) in enumerate(groups.items()):
        images.append(dict(id=number, file_name=f'{name}.png', height=HEIGHT, width=WIDTH))
        data, boxes = runs_to_patches(parse_rles([row['annotation'] for row in rows]), WIDTH)
        columns = patches_to_runs(*transpose_patches(data, boxes), HEIGHT)
        codes = runs_to_coco(columns, WIDTH, HEIGHT)  # of the transposed image, so COCO's own
        for row, code, (x1, y1, x2, y2) in zip(rows, codes, boxes.tolist(), strict=True):
            annotations.append(dict(
                id=len(annotations), image_id=number, iscrowd=0, bbox=[x1, y1, x2 - x1, y2 - y1],
                area=(x2 - x1) * (y2 - y1), category_id=CLASSES.index(row['cell_type']),
                segmentation=dict(size=code['size'], counts=code['counts'].decode())))
    categories = [dict(id=i, name=name) for i, name in enumerate(CLASSES)]
    target.write_text(json.dumps(dict(
        images=images, annotations=annotations, categories=categories)), encoding='utf-8')
