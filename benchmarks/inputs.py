"""Dense images for the benchmarks: generated ones, and real ones where SARTORIUS_ROOT is set."""
import csv
import os
from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np

from mmsart.datasets.synthetic import generate_image
from mmsart.structures.mask.rle import parse_rles
from mmsart.structures.mask.runs import run_boxes

HEIGHT, WIDTH = 520, 704  # of the competition's images
DENSEST = 786  # cells


@dataclass
class DenseImage:
    """An image and its annotation.

    Attributes:
        name: 'generated' or 'real', with the number of cells.
        path: PNG file.
        rles: Kaggle RLE of each cell.
        boxes: int64 (N, 4) xyxy, half-open.
        height, width: pixels.
    """

    name: str
    path: str
    rles: list[str]
    boxes: np.ndarray
    height: int = HEIGHT
    width: int = WIDTH


def dense_images(folder: Path) -> list[DenseImage]:
    """Give the densest generated image and, where there is data, the densest real one.

    Args:
        folder: where to write the generated image.

    Returns:
        One or two images.
    """
    images = [generated_image(folder)]
    if 'SARTORIUS_ROOT' in os.environ:
        images.append(real_image(Path(os.environ['SARTORIUS_ROOT'])))
    return images


def generated_image(folder: Path, cells: int = DENSEST) -> DenseImage:
    """Generate an image of crowded shsy5y cells.

    Args:
        folder: where the PNG is written.
        cells: how many.

    Returns:
        The image.
    """
    drawn = generate_image('shsy5y', np.random.default_rng(0), HEIGHT, WIDTH, num_cells=cells)
    path = str(folder / f'generated_{cells}.png')
    cv2.imwrite(path, drawn.image)
    return _dense('generated', path, drawn.texts())


def real_image(root: Path) -> DenseImage:
    """Find the training image with the most cells.

    Args:
        root: the competition's folder with train.csv and train/.

    Returns:
        The image.
    """
    rles = _real_rles(root)
    densest = max(rles, key=lambda image_id: len(rles[image_id]))
    return _dense('real', str(root / 'train' / f'{densest}.png'), rles[densest])


def real_images_near(cells: int) -> list[DenseImage]:
    """Find the training image whose number of cells is nearest, where there is data.

    Args:
        cells: how many.

    Returns:
        One image, or none where SARTORIUS_ROOT is unset.
    """
    if 'SARTORIUS_ROOT' not in os.environ:
        return []
    root = Path(os.environ['SARTORIUS_ROOT'])
    rles = _real_rles(root)
    nearest = min(rles, key=lambda image_id: abs(len(rles[image_id]) - cells))
    return [_dense('real', str(root / 'train' / f'{nearest}.png'), rles[nearest])]


def _real_rles(root: Path) -> dict[str, list[str]]:
    rles = defaultdict(list)
    with open(root / 'train.csv', newline='', encoding='utf-8') as file:
        for row in csv.DictReader(file):
            rles[row['id']].append(row['annotation'])
    return rles


def _dense(kind: str, path: str, rles: list[str]) -> DenseImage:
    boxes = run_boxes(parse_rles(rles), WIDTH)[0]
    return DenseImage(f'{kind} image, {len(rles)} cells', path, rles, boxes)
