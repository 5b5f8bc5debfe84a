"""Files of results: measurements against scikit-image's cell by cell, outlines, each format.

Example: ``python benchmarks/formats.py``
"""
import argparse
import tempfile
import time
from functools import partial
from pathlib import Path

import cv2
import numpy as np
from common import Row, compare, judge, rss_peak, run, time_alone
from inputs import DENSEST, HEIGHT, WIDTH, generated_image
from skimage.measure import regionprops

from mmsart.formats.saving import SAVERS, save_result
from mmsart.postprocessing import PostProcessor
from mmsart.structures.detections import Detections
from mmsart.structures.image_result import FrameResult, ImageResult
from mmsart.structures.mask.outlines import trace_outline
from mmsart.structures.mask.patch_masks import PatchMasks
from mmsart.structures.mask.region_properties import Properties, region_properties
from mmsart.structures.mask.rle import parse_rles

NAMES = ('area', 'perimeter', 'equivalent_diameter_area', 'feret_diameter_max',
         'axis_major_length', 'axis_minor_length', 'eccentricity', 'solidity', 'intensity_mean',
         'intensity_std', 'intensity_min', 'intensity_max')
GRID = (19, 14)  # images side by side, 9,880 x 9,856 pixels
CELLS_A_TILE = 190
MOST_MB = 1_000


def make_result(masks: PatchMasks, image: np.ndarray) -> ImageResult:
    """Turn masks into what formats write: cells that share no pixel."""
    cells = PostProcessor(['cell'])(Detections(
        np.linspace(0.9, 0.4, len(masks)), np.zeros(len(masks)), masks, masks.boxes))
    return ImageResult('image.png', [FrameResult(cells, image)], ['cell'], pixel_size=0.65)


def dense_result(folder: Path, cells: int) -> ImageResult:
    """Generate an image of crowded cells."""
    image = generated_image(folder, cells)
    masks = PatchMasks.from_runs(parse_rles(image.rles), HEIGHT, WIDTH)
    picture = cv2.imread(image.path, cv2.IMREAD_GRAYSCALE)
    assert picture is not None, image.path
    return make_result(masks, picture)


def large_result(folder: Path) -> ImageResult:
    """Put an image side by side with itself, about 10,000 pixels a side."""
    tile = dense_result(folder, CELLS_A_TILE).frames[0]
    masks, image = tile.detections.masks, np.tile(np.asarray(tile.image), GRID)
    boxes = np.concatenate([
        masks.boxes + np.array([column * WIDTH, row * HEIGHT] * 2)
        for row in range(GRID[0]) for column in range(GRID[1])])
    data = np.tile(masks.data, GRID[0] * GRID[1])
    return make_result(PatchMasks(data, boxes, *image.shape), image)


def one_by_one(masks: PatchMasks, image: np.ndarray) -> Properties:
    """Measure cells with scikit-image, each in its own box."""
    found: dict[str, list[float]] = {name: [] for name in NAMES}
    for index, (x1, y1, x2, y2) in enumerate(masks.boxes.tolist()):
        [region] = regionprops(masks.patch(index), image[y1:y2, x1:x2])
        for name in NAMES:
            found[name].append(getattr(region, name))
    return {name: np.array(values) for name, values in found.items()}


def trace_all(masks: PatchMasks) -> None:
    """Trace the outline of each mask."""
    for index, (x, y, _, _) in enumerate(masks.boxes.tolist()):
        trace_outline(masks.patch(index), x, y)


def measure(args: argparse.Namespace) -> list[Row]:
    """Measure a dense image in time, a large one in time and memory."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        rows = measure_dense(dense_result(folder, DENSEST), folder, args.rounds)
        return rows + measure_large(large_result(folder), folder)


def measure_dense(result: ImageResult, folder: Path, rounds: int) -> list[Row]:
    """Time measurements, outlines and each format of one dense image."""
    masks, image = result.frames[0].detections.masks, np.asarray(result.frames[0].image)
    what = f'{len(masks)} cells'
    stock, ours = one_by_one(masks, image), region_properties(masks, image)
    difference = max(float(np.abs(stock[key] - ours[key]).max()) for key in NAMES)
    traced = time_alone(f'{what}: outlines along pixel edges', partial(trace_all, masks), rounds)
    traced.bar = judge('< 1 s', traced.ours < 1_000)
    return [
        compare(f'{what}: measurements, stock is regionprops', partial(one_by_one, masks, image),
                partial(region_properties, masks, image), min(rounds, 3), 5, difference),
        traced,
        *(time_alone(f'{what}: {format_name}',
                     partial(save_result, result, folder, 'dense', [format_name]), rounds)
          for format_name in SAVERS)]


def measure_large(result: ImageResult, folder: Path) -> list[Row]:
    """Take the time and the peak of resident memory of each format of a large image."""
    rows = []
    what = f'{result.num_cells:,} cells on {result.size[1]:,} x {result.size[0]:,} pixels'
    for format_name in SAVERS:
        save = partial(save_result, result, folder, 'large', [format_name])
        begin = time.process_time()
        save()
        rows.append(Row(f'{what}: {format_name}', None, time.process_time() - begin, 's'))
        peak = rss_peak(save)
        rows.append(Row(f'{what}: {format_name}: peak of resident memory', None, peak, 'MB',
                        bar=judge(f'<= {MOST_MB:,} MB', peak <= MOST_MB)))
    return rows


if __name__ == '__main__':
    raise SystemExit(run(measure, __doc__))
