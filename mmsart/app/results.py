"""Kept detections of an image in files."""
from __future__ import annotations

import itertools
import zipfile
from pathlib import Path

import numpy as np

from mmsart.postprocessing.kept import KeptCrop, KeptFrame
from mmsart.structures.detections import Detections
from mmsart.structures.mask.patch_masks import PatchMasks
from mmsart.structures.mask.ragged import exclusive_cumsum
from mmsart.utils import UserError, atomic_write

ARRAYS = ('size', 'img_id', 'splits', 'crop_sizes', 'crops', 'scores', 'labels', 'bboxes', 'boxes',
          'bits')


def save_kept(path: Path, frame: KeptFrame) -> None:
    """Write the kept detections of a frame as NPZ, masks with a bit per pixel.

    Args:
        path: the file to write.
        frame: what was kept.
    """
    found = [crop.detections for crop in frame.crops]
    places = [(crop.box, crop.core) for crop in frame.crops if crop.box is not None]
    with atomic_write(path) as temporary, temporary.open('wb') as file:
        np.savez(
            file, size=frame.size, img_id=frame.img_id,
            splits=np.cumsum([0, *map(len, found)]),
            crop_sizes=[(each.masks.height, each.masks.width) for each in found],
            crops=np.array(places, np.int64).reshape(-1, 2, 4),
            scores=np.concatenate([each.scores for each in found]),
            labels=np.concatenate([each.labels for each in found]),
            bboxes=np.concatenate([each.bboxes for each in found]),
            boxes=np.concatenate([each.masks.boxes for each in found]),
            bits=np.packbits(np.concatenate([each.masks.data for each in found])))


def load_kept(path: Path) -> KeptFrame:
    """Read what :func:`save_kept` wrote.

    Args:
        path: the file.

    Raises:
        UserError: it is missing or damaged.
    """
    try:
        with np.load(path, allow_pickle=False) as stored:
            data = {name: stored[name] for name in ARRAYS}
    except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile) as error:
        raise UserError(f'{path}: unreadable, expected kept detections') from error
    splits = data['splits'].tolist()
    boxes = data['boxes']
    areas = np.prod(boxes[:, 2:] - boxes[:, :2], axis=1, dtype=np.int64)
    ends = exclusive_cumsum(areas)
    pixels = np.unpackbits(data['bits'], count=int(ends[-1]))
    crops = []
    for number, (begin, end) in enumerate(itertools.pairwise(splits)):
        masks = PatchMasks(pixels[ends[begin]:ends[end]], boxes[begin:end],
                           *data['crop_sizes'][number].tolist())
        places = data['crops'][number].tolist() if len(data['crops']) else (None, None)
        crops.append(KeptCrop(
            Detections(data['scores'][begin:end], data['labels'][begin:end], masks,
                       data['bboxes'][begin:end], str(data['img_id'])),
            *(place and tuple(place) for place in places)))
    height, width = data['size'].tolist()
    return KeptFrame.number(crops, (height, width), str(data['img_id']))
