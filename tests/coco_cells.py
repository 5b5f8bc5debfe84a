"""A small COCO data set of one class: bright blobs on noise, annotated by polygons and RLE."""
import json

import cv2
import numpy as np
from pycocotools import mask as coco_mask

SIDE = 96


def write_coco_cells(root, splits=(('train', 8), ('val', 3)), seed=0):
    """Write ``images/`` and one annotation file a split; the last image of each has no cell."""
    rng = np.random.default_rng(seed)
    (root / 'images').mkdir(parents=True)
    for split, count in splits:
        images, annotations = [], []
        for number in range(1, count + 1):
            name = f'{split}_{number}.png'
            picture = rng.integers(40, 70, (SIDE, SIDE)).astype(np.uint8)
            for _ in range(0 if number == count else rng.integers(2, 6)):
                mask = np.zeros((SIDE, SIDE), np.uint8)
                centre, axes = rng.integers(15, SIDE - 15, 2), rng.integers(6, 13, 2)
                angle = float(rng.uniform(0, 180))
                cv2.ellipse(mask, centre.tolist(), axes.tolist(), angle, 0, 360, 1, -1)
                picture[mask > 0] = rng.integers(170, 220, int(mask.sum()))
                annotations.append(dict(
                    id=len(annotations) + 1, image_id=number, category_id=1, iscrowd=0,
                    **_annotation(mask, len(annotations) % 2)))
            cv2.imwrite(str(root / 'images' / name), picture)
            images.append(dict(id=number, file_name=name, height=SIDE, width=SIDE))
        (root / f'{split}.json').write_text(json.dumps(dict(
            images=images, annotations=annotations, categories=[dict(id=1, name='cell')])))
    return root


def _annotation(mask, as_rle):
    code = coco_mask.encode(np.asfortranarray(mask))
    found = dict(bbox=coco_mask.toBbox(code).tolist(), area=int(coco_mask.area(code)))
    if as_rle:
        return dict(found, segmentation=dict(size=code['size'], counts=code['counts'].decode()))
    outline, _ = cv2.findContours(mask, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)
    return dict(found, segmentation=[outline[0].ravel().astype(float).tolist()])
