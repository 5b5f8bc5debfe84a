"""Mend masks that an annotator or a program left with holes, crumbs and doubles."""
import numpy as np
from mmcv.transforms import BaseTransform
from mmdet.registry import TRANSFORMS
from mmdet.structures.bbox import autocast_box_type

from mmsart.datasets.transforms.instances import keep
from mmsart.structures.mask.cropped_masks import CroppedMasks
from mmsart.structures.mask.intersections import intersections
from mmsart.structures.mask.morphology import fill_patch, largest_piece
from mmsart.structures.mask.patch_masks import PatchMasks


@TRANSFORMS.register_module()
class RepairMasks(BaseTransform):
    """Fill holes, keep the largest piece, and drop cells that are crumbs or parts of another.

    For training alone, right after the masks are loaded: what is scored stays as it was annotated.
    A cell that is dropped becomes background. Filling never makes a neighbour a part of a cell:
    which cells lie in another one is asked before the holes are filled.

    Required keys: ``gt_masks`` (`CroppedMasks`), ``gt_bboxes``. Modified keys: these, and
    ``gt_bboxes_labels``, ``gt_ignore_flags`` and ``gt_weights`` where they are there. Boxes of
    masks that changed bound them again.

    Args:
        fill_holes: fill background that is cut off (4-connected) from the outside of a mask.
        connectivity: 4 or 8; of a mask in several pieces only the largest is kept. With 4, parts
            that hang by a corner are pieces of their own.
        min_area: cells of fewer pixels are dropped.
        max_inside: a cell of which a larger share than this lies in one larger mask is dropped,
            in (0, 1]; 1 drops none.
    """

    def __init__(self, fill_holes: bool = True, connectivity: int = 4, min_area: int = 0,
                 max_inside: float = 1.0) -> None:
        assert connectivity in (4, 8), connectivity
        assert 0 < max_inside <= 1, max_inside
        self.fill_holes = fill_holes
        self.connectivity = connectivity
        self.min_area = min_area
        self.max_inside = max_inside

    @autocast_box_type()
    def transform(self, results: dict) -> dict:
        """Repair the masks of one image."""
        masks = results['gt_masks']
        kept: np.ndarray = np.arange(len(masks))
        if self.max_inside < 1:
            kept = np.flatnonzero(~lies_inside(masks, self.max_inside))
        repaired = self._repair(masks[kept])
        large = repaired.areas >= self.min_area
        kept, repaired = kept[large], repaired[large]
        changed = repaired.areas != masks.areas[kept]
        results['gt_masks'] = repaired
        boxes = results['gt_bboxes'][kept]
        boxes.tensor[changed] = repaired.get_bboxes(type(boxes)).tensor[changed]
        results['gt_bboxes'] = boxes
        keep(results, kept)
        return results

    def _repair(self, masks: CroppedMasks) -> CroppedMasks:
        patches = masks.patches()
        if self.fill_holes:  # first: an outline of diagonal steps alone has a piece for each step
            patches = [fill_patch(patch) for patch in patches]
        patches = [largest_piece(patch, self.connectivity) for patch in patches]
        return masks.from_patches(patches, masks.boxes, masks.height, masks.width)

    def __repr__(self) -> str:
        return (f'{type(self).__name__}(fill_holes={self.fill_holes}, '
                f'connectivity={self.connectivity}, min_area={self.min_area}, '
                f'max_inside={self.max_inside})')


def lies_inside(masks: PatchMasks, max_inside: float) -> np.ndarray:
    """Tell which masks lie in a larger one.

    Args:
        masks: N cells of an image.
        max_inside: largest share of a mask that one larger mask may cover; of equal masks the
            first is the larger one.

    Returns:
        bool (N,).
    """
    areas = masks.areas
    shared = intersections(masks, masks).tocoo()
    mine, other = shared.coords
    larger = (areas[other] > areas[mine]) | ((areas[other] == areas[mine]) & (other < mine))
    deep = shared.data > max_inside * areas[mine]
    inside = np.zeros(len(masks), bool)
    inside[mine[larger & deep]] = True
    return inside
