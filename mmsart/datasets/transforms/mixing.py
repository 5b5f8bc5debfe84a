"""Stand-ins for transforms of mmdet that reach into full-size bitmaps."""
import cv2
import numpy as np
from mmdet.datasets.transforms import CopyPaste, RandomAffine, RandomErasing
from mmdet.registry import TRANSFORMS
from mmdet.structures.bbox import autocast_box_type

from mmsart.datasets.transforms.instances import PER_INSTANCE, keep


@TRANSFORMS.register_module()
class CroppedCopyPaste(CopyPaste):
    """Paste cells of one image into another; mmdet's `CopyPaste` for `CroppedMasks`.

    The result is mmdet's, except that the image keeps its dtype where mmdet makes it int64.
    Weights of cells go along; where one image has some, those of the other weigh 1. Arguments are
    those of mmdet's transform.
    """

    def _select_object(self, results: dict) -> dict:
        """Leave a random choice of the source's instances, with all that stands beside them."""
        chosen = self._get_selected_inds(len(results['gt_masks']))
        for key in ('gt_bboxes', 'gt_masks'):
            results[key] = results[key][chosen]
        keep(results, chosen)
        return results

    def _copy_paste(self, dst_results: dict, src_results: dict) -> dict:
        """Put the source's instances over the destination's and drop what they hide."""
        source = src_results['gt_masks']
        if not len(source):
            return dst_results
        if 'gt_weights' in dst_results or 'gt_weights' in src_results:
            for results in (dst_results, src_results):
                results.setdefault('gt_weights', np.ones(len(results['gt_masks']), np.float32))
        pasted = source.union()
        masks = dst_results['gt_masks'].erase(pasted)
        old_boxes = dst_results['gt_bboxes']
        boxes = masks.get_bboxes(type(old_boxes))
        moved = (boxes.tensor - old_boxes.tensor).abs()
        kept = ((moved <= self.bbox_occluded_thr).all(dim=-1).numpy()
                | (masks.areas > self.mask_occluded_thr))
        dst_results['img'] = np.where(pasted[..., None], src_results['img'], dst_results['img'])
        dst_results['gt_bboxes'] = boxes.cat([boxes[kept], src_results['gt_bboxes']])
        dst_results['gt_masks'] = masks.cat([masks[kept], source])
        for key in PER_INSTANCE:
            if key in dst_results:
                dst_results[key] = np.concatenate([dst_results[key][kept], src_results[key]])
        return dst_results


@TRANSFORMS.register_module()
class CroppedRandomErasing(RandomErasing):
    """Erase rectangles; mmdet's `RandomErasing` for `CroppedMasks`.

    Arguments are those of mmdet's transform; ``mask_border_value`` must be 0.
    """

    def __init__(self, *args: object, **kwargs: object) -> None:
        super().__init__(*args, **kwargs)
        assert self.mask_border_value == 0, (
            f'mask_border_value is {self.mask_border_value}, expected 0: erased pixels of a '
            'mask kept in its box cannot become part of it')

    def _transform_masks(self, results: dict, patches: np.ndarray) -> None:
        """Take the rectangles, int (K, 4) xyxy, away from the masks."""
        region = np.zeros(results['img_shape'], bool)
        for x1, y1, x2, y2 in patches:
            region[y1:y2, x1:x2] = True
        results['gt_masks'] = results['gt_masks'].erase(region)


@TRANSFORMS.register_module()
class CroppedRandomAffine(RandomAffine):
    """Rotate, scale, shear and move at random; mmdet's `RandomAffine`, which refuses masks.

    Masks are warped as mmdet's `Rotate` warps them: bilinear, with zeros around. Arguments are
    those of mmdet's transform.
    """

    @autocast_box_type()
    def transform(self, results: dict) -> dict:
        """Warp image, boxes and masks, and drop the instances that leave the image."""
        height = results['img'].shape[0] + self.border[1] * 2
        width = results['img'].shape[1] + self.border[0] * 2
        matrix = self._get_random_homography_matrix(height, width)
        results['img'] = cv2.warpPerspective(
            results['img'], matrix, dsize=(width, height), borderValue=self.border_val)
        results['img_shape'] = (height, width)
        boxes = results['gt_bboxes']
        boxes.project_(matrix)
        if self.bbox_clip_border:
            boxes.clip_((height, width))
        kept = boxes.is_inside((height, width)).numpy()
        masks = results['gt_masks'].warp_affine(matrix[:2].astype(np.float64), (height, width))
        results['gt_bboxes'], results['gt_masks'] = boxes[kept], masks[kept]
        keep(results, kept)
        return results
