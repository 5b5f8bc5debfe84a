"""Boxes that fit their masks again."""
from mmcv.transforms import BaseTransform
from mmdet.registry import TRANSFORMS


@TRANSFORMS.register_module()
class BoxesFromMasks(BaseTransform):
    """Replace each box by the bounding box of its mask.

    For use after a rotation. The stock transform bounds the corners of the rotated *box*: at 15
    degrees that of a square cell grows by 22 % a side, and the box head would learn loose boxes.

    Required keys: ``gt_masks``. Modified keys: ``gt_bboxes``, of the type it had; an empty mask
    gives an empty box, which ``FilterAnnotations`` removes.
    """

    def transform(self, results: dict) -> dict:
        """Set ``gt_bboxes`` (float32, half-open xyxy in pixels of ``img``)."""
        results['gt_bboxes'] = results['gt_masks'].get_bboxes(type(results['gt_bboxes']))
        return results
