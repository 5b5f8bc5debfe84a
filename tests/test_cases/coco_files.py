"""A small COCO data set that tests change in one place."""
import copy
import json

import numpy as np
from PIL import Image

H, W = 96, 80
CLASSES = ('shsy5y', 'astro', 'cort')
BOX = [20.0, 10.0, 60.0, 10.0, 60.0, 40.0, 20.0, 40.0]

GOOD = dict(
    images=[dict(id=1, width=W, height=H, file_name='a.png'),
            dict(id=2, width=W, height=H, file_name='b.png')],
    annotations=[
        dict(id=1, image_id=1, category_id=1, segmentation=[BOX], iscrowd=0, area=1200,
             bbox=[20, 10, 40, 30]),
        dict(id=2, image_id=2, category_id=3, iscrowd=0, area=4, bbox=[1, 2, 2, 2],
             segmentation=dict(size=[H, W], counts=[H + 2, 2, H - 2, 2, H * W - 2 * H - 4]))],
    categories=[dict(id=number + 1, name=name) for number, name in enumerate(CLASSES)])


def write_folder(folder, content=None, **changes):
    """Write images and annotations; changes are key paths of GOOD, as ``images__0__width``."""
    for name in ('a.png', 'b.png'):
        Image.fromarray(np.zeros((H, W), np.uint8)).save(folder / name)
    if content is None:
        content = copy.deepcopy(GOOD)
        for path, value in changes.items():
            *keys, last = (int(key) if key.isdigit() else key for key in path.split('__'))
            node = content
            for key in keys:
                node = node[key]
            if value is DELETE:
                del node[last]
            elif value is APPEND:
                node.append(copy.deepcopy(node[last]))
            else:
                node[last] = value
        content = json.dumps(content)
    path = folder / 'coco.json'
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return path


DELETE, APPEND = object(), object()
