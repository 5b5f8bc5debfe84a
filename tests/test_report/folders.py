"""Folders of results for the tests of the page."""
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from mmsart.formats.methods import write_methods
from mmsart.formats.names import OWN_FOLDER
from mmsart.formats.preview import write_previews
from mmsart.formats.saving import SaveOptions, save_result
from mmsart.formats.summary import failed_image, summarize_image, write_summary
from mmsart.structures.image_result import ImageResult
from tests.test_formats.results import CLASSES, random_result


def make_results(count: int = 3) -> list[ImageResult]:
    """Draw images; the second is a stack, and of the third there is something to say."""
    results = []
    for number in range(count):
        result = random_result(number, num_t=2 if number == 1 else 1, pixel_size=0.5)
        results.append(replace(result, name=f'image {number}.tif', warnings=(
            ['darker than the training images', 'no cells found'] if number == 2 else [])))
    return results


def write_folder(folder: Path, results: Sequence[ImageResult], failed: Sequence[str] = (),
                 formats: Sequence[str] = ('table', 'labels'), classes: Sequence[str] = CLASSES,
                 method: Mapping[str, Any] | None = None, **options: Any) -> Path:
    """Write what `mmsart predict` writes."""
    rows = []
    for number, result in enumerate(results):
        stem = f'stem {number}'
        save_result(result, folder, stem, formats, SaveOptions(**options))
        write_previews(folder / OWN_FOLDER, stem, result)
        rows.append(summarize_image(result, stem))
    rows += [failed_image(name, 'found text, expected an image') for name in failed]
    write_summary(folder / 'summary.csv', rows, classes)
    if method is not None:
        write_methods(folder, [(method, [row['stem'] for row in rows if 'stem' in row])])
    return folder


def without_cells(result: ImageResult, lost: Sequence[int]) -> ImageResult:
    """Leave cells of the first frame out."""
    [frame] = result.frames
    kept = np.setdiff1d(np.arange(len(frame.detections)), lost)
    return replace(result, frames=[replace(frame, detections=frame.detections[kept])])
