"""Several detectors that answer as one."""
from collections.abc import Sequence
from typing import Any

from mmdet.registry import MODELS
from mmdet.structures import SampleList
from torch import Tensor, nn

from mmsart.models.detectors.fusing_detector import (
    FusingDetector,
    ask,
    is_positive,
    with_soft_masks,
)
from mmsart.postprocessing.fusion import FUSE_IOU
from mmsart.structures.detections import Detections
from mmsart.utils import UserError


@MODELS.register_module()
class MaskEnsemble(FusingDetector):
    """Detectors of any kind with masks, whose detections are fused.

    Each member normalises and pads the image as it was trained to; what they find is joined by
    :func:`~mmsart.postprocessing.fusion.fuse_detections` in the frame of the image on disk, and
    all behind it, from the tuner to the files, sees one detector. Members are trained one by one.

    Args:
        members: the configs of two detectors or more; a ``test_cfg.rcnn`` gets
            ``keep_mask_logits``. Where one has no soft masks, as SOLOv2, pixels are voted on.
        weights: of the members, above 0; None for equal ones.
        fuse_iou_thr: IoU above which masks of two members are one cell, in [0, 1).
        **kwargs: of :class:`mmengine.model.BaseModel`.

    Raises:
        UserError: the members are fewer than two, or the other arguments out of range.
    """

    trained_by = 'its members are trained one by one'

    def __init__(self, members: Sequence[dict], weights: Sequence[float] | None = None,
                 fuse_iou_thr: float = FUSE_IOU, **kwargs: Any) -> None:
        super().__init__(weights, fuse_iou_thr, **kwargs)
        if not isinstance(members, list | tuple) or len(members) < 2:
            raise UserError(f'model.members: found {members!r}, expected a list of two models or '
                            'more')
        if weights is not None and (
                len(weights) != len(members) or not all(map(is_positive, weights))):
            raise UserError(f'model.weights: found {weights!r}, expected {len(members)} numbers '
                            'above 0, one for each member')
        self.members = nn.ModuleList(MODELS.build(with_soft_masks(each)) for each in members)

    def answers(self, inputs: Sequence[Tensor],
                samples: SampleList) -> Sequence[list[Detections]]:
        """Ask each member; see :class:`FusingDetector`."""
        return [ask(member, inputs, samples) for member in self.members]

