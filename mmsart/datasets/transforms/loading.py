"""Loading of annotations into masks that are kept in their boxes."""
from typing import Any

import numpy as np
from mmdet.datasets.transforms import LoadAnnotations
from mmdet.registry import TRANSFORMS

from mmsart.structures.mask.coco_segmentations import BadSegmentationError
from mmsart.structures.mask.cropped_masks import CroppedMasks
from mmsart.structures.mask.runs import BadRleError
from mmsart.utils import UserError


# Configs of version 0.1.0 call it by the second name.
@TRANSFORMS.register_module(name=['LoadCroppedAnnotations', 'LoadSartoriusAnnotations'])
class LoadCroppedAnnotations(LoadAnnotations):
    """Load boxes, labels and masks, the masks as `CroppedMasks` and never as full-size bitmaps.

    Takes the competition's run-length text as well as COCO's polygons and RLE (LIVECell), where
    the ``counts`` may be a list, text or bytes. Stands in for mmdet's `LoadAnnotations`.

    Required keys: ``instances`` with ``bbox``, ``bbox_label``, ``ignore_flag`` and ``mask``;
    ``height`` and ``width``.

    Added keys: ``gt_bboxes`` (float32 boxes xyxy), ``gt_bboxes_labels`` (int64),
    ``gt_ignore_flags`` (bool), ``gt_masks`` (`CroppedMasks`); ``gt_weights`` (float32) where
    instances have a ``weight``.

    Args:
        with_mask: whether to load masks.
        **kwargs: see mmdet's `LoadAnnotations`; ``poly2mask`` is of no effect.
    """

    def __init__(self, with_mask: bool = True, **kwargs: Any) -> None:
        super().__init__(with_mask=with_mask, **kwargs)

    def transform(self, results: dict) -> dict:
        """Load what the annotations hold, see the class."""
        results = super().transform(results)
        instances = results.get('instances', [])
        if any('weight' in instance for instance in instances):
            results['gt_weights'] = np.array(
                [instance.get('weight', 1) for instance in instances], np.float32)
        return results

    def _load_masks(self, results: dict) -> None:
        """Put ``gt_masks`` into the results.

        Raises:
            UserError: the image has another size than its annotation, or a mask is malformed or
                none of this image.
        """
        size = (int(results['height']), int(results['width']))  # JSON may say 96.0
        found = results.get('ori_shape', size)
        if tuple(found) != size:
            raise UserError(
                f'{results.get("img_path")}: image of {found[0]} x {found[1]} pixels '
                f'(height x width), expected {size[0]} x {size[1]} as annotated')
        masks = [instance.get('mask') for instance in results.get('instances', [])]
        try:
            results['gt_masks'] = CroppedMasks.from_annotations(masks, *size)
        except (BadRleError, BadSegmentationError) as error:
            raise UserError(f'{results.get("img_path")}: instance {error.index}: mask: '
                            f'{error.problem}') from error
