"""A data set in LIVECell's layouts: TIFF by type of cell, one category in files keyed by id."""
import json

import cv2
import numpy as np
import tifffile

SIDE = 96
TYPES = ('A172', 'BT474', 'BV2', 'Huh7', 'MCF7', 'SHSY5Y', 'SkBr3', 'SKOV3')
TRAIN = 'annotations/LIVECell/livecell_coco_train.json'
VAL = 'annotations/LIVECell/livecell_coco_val.json'
IMAGES = 'images/livecell_train_val_images'


def write_livecell(root, per_type=1, keyed=True, folders=True):
    """Write images of each type with three bright cells, and the files of both splits.

    Args:
        root: folder, as LIVECell_dataset_2021.
        per_type: training images of each type; validation has one of A172 and one of SHSY5Y.
        keyed: annotations as a dict keyed by id and one category; else lists and a category for
            each type.
        folders: images in a folder for each type.
    """
    rng = np.random.default_rng(0)
    (root / 'annotations/LIVECell').mkdir(parents=True)
    for path, types in ((TRAIN, TYPES * per_type), (VAL, ('A172', 'SHSY5Y'))):
        images, annotations = [], []
        for number, kind in enumerate(types, 1):
            name = f'{kind}_Phase_A{7 + (path == VAL)}_1_00d00h00m_{number}.tif'
            picture = rng.integers(90, 130, (SIDE, SIDE)).astype(np.uint8)
            for centre in ((20, 25), (70, 30), (45, 70)):
                mask = np.zeros((SIDE, SIDE), np.uint8)
                cv2.ellipse(mask, centre, (12, 8), float(rng.uniform(0, 180)), 0, 360, 1, -1)
                picture[mask > 0] = 220
                outline, _ = cv2.findContours(mask, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)
                x, y, width, height = cv2.boundingRect(outline[0])
                annotations.append(dict(
                    id=1000 + len(annotations), image_id=number, iscrowd=0,
                    category_id=1 if keyed else TYPES.index(kind) + 1,
                    bbox=[x, y, width, height], area=int(mask.sum()),
                    segmentation=[outline[0].ravel().astype(float).tolist()]))
            folder = root / IMAGES / (kind if folders else '')
            folder.mkdir(parents=True, exist_ok=True)
            tifffile.imwrite(folder / name, picture)
            images.append(dict(id=number, file_name=name, original_filename=name, height=SIDE,
                               width=SIDE, url='https://example.org'))
        names = ['cell'] if keyed else [name.lower() for name in TYPES]
        (root / path).write_text(json.dumps(dict(
            images=images, categories=[dict(id=i, name=name) for i, name in enumerate(names, 1)],
            annotations={str(each['id']): each for each in annotations} if keyed
            else annotations)))
    return root
