"""An image of 337 cells from pixels to final cells, beside Cellpose 3's network and dynamics.

Where `cellpose` can be imported, stock is its network at its own scale (30 / 17, cells of 17 pixels
to 30) and its flow dynamics of 200 steps. The weights are random, which costs the same; the flows
are those of the true masks, since random ones lead nowhere. Ours is the package's model without
and with test-time flips, with everything that predict does but reading and writing.

Example: ``pip install cellpose==3.1.1.2`` and ``python benchmarks/predict.py --rounds 3``
"""
import argparse
import tempfile
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch
from common import Row, compare, judge, rss_peak, run, time_alone
from inputs import HEIGHT, WIDTH, generated_image, real_images_near

from mmsart.apis.inference import CellSegmenter
from mmsart.formats.label_image import paint_labels
from mmsart.structures.mask.patch_masks import PatchMasks
from mmsart.structures.mask.rle import parse_rles

CELLS = 337
SCALE = 30 / 17
STEPS = 200
MOST_SECONDS = {False: 1.0, True: 3.0}
WANTED_RATIO = 15


def cellpose_way(image: np.ndarray, labels: np.ndarray) -> Callable[[], Any] | None:
    """Give what Cellpose 3 computes for an image; None where it is not installed."""
    try:
        from cellpose.core import run_net
        from cellpose.dynamics import compute_masks, masks_to_flows
        from cellpose.resnet_torch import CPnet
    except ImportError:
        return None
    torch.manual_seed(0)
    network = CPnet([2, 32, 64, 128, 256], 3, sz=3).eval()
    pixels = np.zeros((1, *image.shape, 2), np.float32)
    pixels[0, ..., 0] = image / 255
    flows = masks_to_flows(labels).astype(np.float32)

    def compute() -> None:
        with torch.no_grad():
            run_net(network, pixels, rsz=SCALE)
            # Flows come in units in which 5 is a step of one pixel.
            compute_masks(5 * flows, np.where(labels > 0, 5.0, -5.0).astype(np.float32),
                          niter=STEPS)

    return compute


def measure(args: argparse.Namespace) -> list[Row]:
    """Time both ways on the same image, and take the peak of resident memory of each."""
    with tempfile.TemporaryDirectory() as folder:
        images = [generated_image(Path(folder), CELLS), *real_images_near(CELLS)]
        rows = []
        for dense in images:
            masks = PatchMasks.from_runs(parse_rles(dense.rles), HEIGHT, WIDTH)
            picture = cv2.imread(dense.path, cv2.IMREAD_GRAYSCALE)
            assert picture is not None, dense.path
            theirs = cellpose_way(picture, paint_labels(masks))
            for flips in (False, True):
                rows += measure_ours(dense.name, picture, theirs, flips, args.rounds)
            if theirs is not None:
                rows.append(Row(f'{dense.name}: Cellpose 3, peak of resident memory', None,
                                rss_peak(theirs), 'MB'))
        return rows


def measure_ours(name: str, picture: np.ndarray, theirs: Callable[[], Any] | None, flips: bool,
                 rounds: int) -> list[Row]:
    """Time the package's model."""
    segmenter = CellSegmenter(device='cpu', flips=None if flips else False)
    ours = partial(segmenter, picture)
    what = f'{name}, {"with" if flips else "without"} flips, {len(ours())} found'
    row = (compare(what, theirs, ours, rounds) if theirs is not None
           else time_alone(what, ours, rounds))
    row.bar = judge(f'<= {MOST_SECONDS[flips]:g} s', row.ours <= 1e3 * MOST_SECONDS[flips])
    if row.ratio is not None and not flips:
        row.bar += '; ' + judge(f'>= {WANTED_RATIO} x', row.ratio >= WANTED_RATIO)
    return [row, Row(f'{what}: peak of resident memory', None, rss_peak(ours), 'MB')]


if __name__ == '__main__':
    raise SystemExit(run(measure, __doc__))
