"""Predictions of unlabelled images as a table to train on."""
import csv
import os
from collections.abc import Collection, Mapping, Sequence

import numpy as np

from mmsart.datasets.train_csv import REQUIRED_COLUMNS, WEIGHT_COLUMN
from mmsart.evaluation.confidence import Confidence
from mmsart.postprocessing import PostProcessor
from mmsart.structures.mask.rle import runs_to_texts
from mmsart.structures.predictions import Predictions
from mmsart.utils import UserError, atomic_write, named


def write_pseudo_labels(
        path: str | os.PathLike, images: Sequence[Predictions], process: PostProcessor,
        confidence: Mapping[int, Confidence], min_precision: float,
        skip: Collection[str] = (), source: str = 'predictions') -> dict[str, tuple[int, int]]:
    """Write the sure cells of images as a ``train.csv`` with weights.

    A cell's weight is the share of validation cells of such a score that hit. Images without sure
    cells are left out.

    Args:
        path: the CSV file.
        images: predictions, their truth is not looked at.
        process: the post-processing.
        confidence: of :func:`mmsart.evaluation.confidence.measure_confidence`.
        min_precision: cells of a lower weight are left out, in [0, 1].
        skip: ids of images to leave out.
        source: what to call the predictions in a message, such as their file.

    Returns:
        By class: how many images and how many cells there are.

    Raises:
        UserError: the final cells of an image are of several classes; nothing is written.
    """
    counts: dict[str, tuple[int, int]] = {}
    with atomic_write(path) as temporary, temporary.open('w', newline='', encoding='utf-8') as file:
        writer = csv.writer(file, lineterminator='\n')
        writer.writerow([*REQUIRED_COLUMNS, WEIGHT_COLUMN])
        for image in images:
            if image.img_id in skip:
                continue
            final = process(image.detections)
            if not len(final):
                continue
            label, *others = np.unique(final.labels).tolist()
            if others:
                raise UserError(
                    f'{source}: image {image.img_id}: found cells of '
                    f'{named([process.classes[each] for each in (label, *others)])}, expected one '
                    "class, as a train.csv holds one cell_type per image; with vote 'drop' or "
                    "'relabel' the post-processing gives each image one")
            if label not in confidence:
                continue
            weights = confidence[label].precision(final.scores)
            sure = weights >= min_precision
            if not sure.any():
                continue
            height, width = image.size
            name = process.classes[label]
            texts = runs_to_texts(final.masks[sure].to_runs())
            for text, weight in zip(texts, weights[sure].tolist(), strict=True):
                writer.writerow([image.img_id, text, width, height, name,
                                 image.sample_id or image.img_id, f'{weight:.3f}'])
            before = counts.get(name, (0, 0))
            counts[name] = (before[0] + 1, before[1] + len(texts))
    return counts
