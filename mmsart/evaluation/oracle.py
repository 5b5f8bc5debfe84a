"""What the score would be if one part of a model were perfect: where its points are lost.

Each oracle replaces one part by the truth and leaves the rest as it is; TIDE (Bolya et al.,
ECCV 2020) takes errors away one kind at a time in the same way.
"""
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from mmdet.structures.bbox import bbox_overlaps

from mmsart.evaluation.functional import mask_ious, match_pairs, score_image, summarize
from mmsart.evaluation.functional.error_kinds import HIT_IOU
from mmsart.postprocessing import PostProcessor
from mmsart.structures.detections import Detections
from mmsart.structures.mask.paste import paste_masks
from mmsart.structures.mask.patch_masks import PatchMasks
from mmsart.structures.mask.roi_targets import roi_targets
from mmsart.structures.predictions import Predictions

MASK_SIZE = 28
"""Side of the grid on which the mask heads paint."""

ALL_PASS: dict[str, Any] = dict(
    score_thr=0.0, min_area=0, max_area=None, nms_iou_thr=None, max_lost_share=1.0, pieces='keep')
"""Settings of post-processing with which no detection is dropped but one without a pixel."""


@dataclass(frozen=True)
class Oracle:
    """Post-processing with one part of the model replaced by the truth.

    Attributes:
        classes: names in label order.
        settings: complete settings of post-processing.
    """

    classes: Sequence[str]
    settings: Mapping[str, Any]

    def process(self, detections: Detections, **changes: Any) -> Detections:
        """Run the post-processing, with some of its settings changed."""
        return PostProcessor(self.classes, **{**self.settings, **changes})(detections)

    def as_it_is(self, image: Predictions) -> Detections:
        """Change nothing."""
        return self.process(image.detections)

    def perfect_types(self, image: Predictions) -> Detections:
        """Give every detection the image's type, before thresholds look at it."""
        if image.cell_type not in self.classes:
            return self.as_it_is(image)
        label = self.classes.index(image.cell_type)
        labels = np.full(len(image.detections), label)
        return self.process(replace(image.detections, labels=labels), vote='off')

    def no_false_positives(self, image: Predictions) -> Detections:
        """Drop the final cells that hit no true one."""
        final = self.as_it_is(image)
        hits, _ = match_pairs(
            mask_ious(final.masks.to_runs(), _truth(image).to_runs()), HIT_IOU)
        return final[hits]

    def perfect_scores(self, image: Predictions) -> Detections:
        """Keep of all detections exactly those that hit, the better ones on top.

        Whatever their scores: one for each true cell that any detection hits, as many as can be.
        """
        ready = self.process(image.detections, **ALL_PASS, remove_overlap=False)
        ious = mask_ious(ready.masks.to_runs(), _truth(image).to_runs())
        hits, partners = match_pairs(ious, HIT_IOU)
        best = replace(ready[hits], scores=ious.tocsr()[hits][:, partners].diagonal())
        return PostProcessor(self.classes)(best)

    def true_masks(self, image: Predictions) -> Detections:
        """Paint true cells into the boxes of final ones.

        A box and a true cell belong together in the one-to-one matching of boxes at an IoU above
        0.5, which is where a mask head learns; the cell is cut at the box. Other cells stay as
        they are.
        """
        final, truth = self.as_it_is(image), _truth(image).tighten()
        ious = bbox_overlaps(torch.from_numpy(final.bboxes), torch.from_numpy(truth.boxes).float())
        rows, columns = match_pairs(ious.numpy(), HIT_IOU)
        patches, boxes = final.masks.patches(), final.masks.boxes.copy()
        for row, column in zip(rows.tolist(), columns.tolist(), strict=True):
            boxes[row], patches[row] = _cut(truth, column, final.bboxes[row])
        masks = final.masks.from_patches(patches, boxes, truth.height, truth.width)
        kept = masks.areas > 0
        return replace(final, masks=masks)[kept]

    def predicted_masks(self, image: Predictions) -> Detections:
        """Keep all masks that were painted into true boxes, the better ones on top.

        Args:
            image: of a test with ``--true-boxes``.
        """
        return self.process(image.detections, **ALL_PASS, vote='off')

    def disjoint_truth(self, image: Predictions) -> Detections:
        """Predict the truth, each pixel given to one cell, as a submission needs it."""
        return PostProcessor(self.classes)(_as_detections(_truth(image)))

    def coarse_truth(self, image: Predictions) -> Detections:
        """Predict the truth as a mask head's grid can hold it."""
        truth = _truth(image).tighten()
        if not len(truth):
            return _as_detections(truth)
        boxes = torch.from_numpy(truth.boxes).float()
        grids = roi_targets(truth, boxes, torch.arange(len(truth)), (MASK_SIZE, MASK_SIZE))
        pasted = paste_masks(grids, boxes, image.size, 0.5)
        return PostProcessor(self.classes)(_as_detections(pasted))


def oracle_table(
        images: Sequence[Predictions], true_boxes: Sequence[Predictions] | None,
        classes: Sequence[str], settings: Mapping[str, Any]) -> dict[str, dict[str, float]]:
    """Score the predictions with each part replaced by the truth.

    Args:
        images: predictions with truth.
        true_boxes: of the same images with the network's boxes replaced by true ones; None leaves
            that row out.
        classes: names in label order.
        settings: complete settings of post-processing.

    Returns:
        For each row, by name, what :func:`mmsart.evaluation.functional.summarize` gives.
    """
    oracle = Oracle(tuple(classes), settings)
    rows: dict[str, tuple[Callable[[Predictions], Detections], Sequence[Predictions]]] = {
        'as it is': (oracle.as_it_is, images),
        'perfect types': (oracle.perfect_types, images),
        'no false positives': (oracle.no_false_positives, images),
        'perfect scores': (oracle.perfect_scores, images),
        'true masks in predicted boxes': (oracle.true_masks, images),
        'predicted masks in true boxes': (oracle.predicted_masks, true_boxes or ()),
        f'truth on a grid of {MASK_SIZE} x {MASK_SIZE}': (oracle.coarse_truth, images),
        'truth without overlap': (oracle.disjoint_truth, images)}
    return {name: _score(function, members, classes)
            for name, (function, members) in rows.items() if members}


def format_table(table: Mapping[str, Mapping[str, float]], classes: Sequence[str]) -> str:
    """Lay the table out, a row for each oracle, with what it gains over the first."""
    first = next(iter(table.values()))
    keys = [key for key in ('mAP', 'mAP_mix', *(f'mAP_{name}' for name in classes), 'AP50', 'AP75')
            if key in first]
    main = 'mAP_mix' if 'mAP_mix' in first else 'mAP'
    lines = [f'{"":32}' + ''.join(f'{key:>12}' for key in keys) + f'{"gain":>9}']
    for name, row in table.items():
        lines.append(f'{name:32}' + ''.join(f'{row[key]:12.4f}' for key in keys)
                     + f'{row[main] - first[main]:+9.4f}')
    return '\n'.join(lines) + f'\ngain: of {main}'


def _score(function: Callable[[Predictions], Detections], images: Sequence[Predictions],
           classes: Sequence[str]) -> dict[str, float]:
    scores = [score_image(function(image).masks.to_runs(), _truth(image).to_runs())
              for image in images]
    return summarize(scores, [image.cell_type for image in images], classes)


def _truth(image: Predictions) -> PatchMasks:
    assert image.truth is not None, f'image {image.img_id}: expected its truth'
    return image.truth


def _as_detections(masks: PatchMasks) -> Detections:
    """Take masks for detections; the smaller ones lie on top, where they overlap."""
    scores = 1 / (1 + masks.areas)
    return Detections(scores, np.zeros(len(masks)), masks, masks.boxes)


def _cut(masks: PatchMasks, index: int, bbox: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Cut a mask at a box, rounded to whole pixels; return its new box and patch."""
    x1, y1, x2, y2 = masks.boxes[index].tolist()
    left, top, right, bottom = np.rint(bbox).astype(int).tolist()
    box = max(x1, left), max(y1, top), min(x2, right), min(y2, bottom)
    patch = masks.patch(index)[box[1] - y1:box[3] - y1, box[0] - x1:box[2] - x1]
    return np.array(box, np.int32), patch
