"""Loading of annotations into masks that are kept in their boxes."""
from typing import Any

import numpy as np
from mmdet.datasets.transforms import LoadAnnotations
from mmdet.registry import TRANSFORMS

from mmsart.structures.mask.cropped_masks import CroppedMasks
from mmsart.utils import UserError

_NOTHING = [[0.0] * 6]  # what mmdet puts in the place of a mask that it cannot read


@TRANSFORMS.register_module()
class LoadCroppedAnnotations(LoadAnnotations):
    """Load boxes, labels and masks, the masks as `CroppedMasks` and never as full-size bitmaps.

    Takes the competition's run-length text as well as COCO's polygons and RLE (LIVECell), where
    the ``counts`` may be a list, text or bytes. Stands in for mmdet's `LoadAnnotations`.

    Required keys: ``instances`` with ``bbox``, ``bbox_label``, ``ignore_flag`` and ``mask``;
    ``height`` and ``width``.

    Added keys: ``gt_bboxes`` (float32 boxes xyxy), ``gt_bboxes_labels`` (int64),
    ``gt_ignore_flags`` (bool), ``gt_masks`` (`CroppedMasks`).

    Args:
        with_mask: whether to load masks.
        **kwargs: see mmdet's `LoadAnnotations`; ``poly2mask`` is of no effect.
    """

    def __init__(self, with_mask: bool = True, **kwargs: Any) -> None:
        super().__init__(with_mask=with_mask, **kwargs)

    def _load_masks(self, results: dict) -> None:
        """Put ``gt_masks`` and the flags of unreadable masks into the results.

        Raises:
            UserError: the image has another size than its annotation.
        """
        size = (results['height'], results['width'])
        found = results.get('ori_shape', size)
        if tuple(found) != size:
            raise UserError(
                f'{results.get("img_path")}: image of {found[0]} x {found[1]} pixels '
                f'(height x width), expected {size[0]} x {size[1]} as annotated')
        instances = results.get('instances', [])
        masks = [instance['mask'] for instance in instances]
        if all(isinstance(mask, str) for mask in masks):
            results['gt_masks'] = CroppedMasks.from_annotations(masks, *size)
            return
        readable = [_readable(mask) for mask in masks]
        results['gt_masks'] = CroppedMasks.from_coco(
            [_NOTHING if mask is None else mask for mask in readable], *size)
        results['gt_ignore_flags'] = np.array(
            [bool(instance['ignore_flag']) or mask is None
             for instance, mask in zip(instances, readable, strict=True)], bool)


def _readable(mask: Any) -> Any:
    """Give the part of a COCO segmentation that is well-formed, None if there is none.

    The rule is mmdet's: a polygon has an even number of coordinates, six or more, and an RLE has
    ``size`` and ``counts``.
    """
    if isinstance(mask, list):
        return [polygon for polygon in mask if len(polygon) % 2 == 0 and len(polygon) >= 6] or None
    if isinstance(mask, dict) and mask.get('size') is not None and mask.get('counts') is not None:
        return mask
    return None
