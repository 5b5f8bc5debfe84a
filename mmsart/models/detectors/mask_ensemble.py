"""Several detectors that answer as one."""
import copy
from collections.abc import Sequence
from typing import Any, cast

from mmdet.registry import MODELS
from mmdet.structures import DetDataSample, SampleList
from mmengine.config import ConfigDict
from mmengine.model import BaseModel
from torch import Tensor, nn

from mmsart.postprocessing.fusion import FUSE_IOU, fuse_detections
from mmsart.structures.data_samples import to_detections, to_instances
from mmsart.structures.detections import Detections
from mmsart.utils import UserError


@MODELS.register_module()
class MaskEnsemble(BaseModel):
    """Detectors of any kind with soft masks, whose detections are fused.

    Each member normalises and pads the image as it was trained to; what they find is joined by
    :func:`~mmsart.postprocessing.fusion.fuse_detections` in the frame of the image on disk, and
    all behind it, from the tuner to the files, sees one detector. Members are trained one by one.

    Args:
        members: the configs of two detectors or more; their ``test_cfg.rcnn`` gets
            ``keep_mask_logits``.
        weights: of the members, above 0; None for equal ones.
        fuse_iou_thr: IoU above which masks of two members are one cell, in [0, 1).
        **kwargs: of :class:`mmengine.model.BaseModel`.

    Raises:
        UserError: the members are fewer than two, or the other arguments out of range.
    """

    def __init__(self, members: Sequence[dict], weights: Sequence[float] | None = None,
                 fuse_iou_thr: float = FUSE_IOU, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        if not isinstance(members, list | tuple) or len(members) < 2:
            raise UserError(f'model.members: found {members!r}, expected a list of two models or '
                            'more')
        if weights is not None and (
                len(weights) != len(members) or not all(weight > 0 for weight in weights)):
            raise UserError(f'model.weights: found {weights!r}, expected {len(members)} numbers '
                            'above 0, one for each member')
        if not 0 <= fuse_iou_thr < 1:
            raise UserError(f'model.fuse_iou_thr: found {fuse_iou_thr!r}, expected a number in '
                            '[0, 1)')
        self.members = nn.ModuleList(MODELS.build(_with_soft_masks(each)) for each in members)
        self.weights = weights
        self.fuse_iou_thr = fuse_iou_thr

    def forward(self, inputs: Sequence[Tensor], data_samples: SampleList | None = None,
                mode: str = 'tensor') -> SampleList:
        """Detect cells.

        Args:
            inputs: images as the test pipeline packs them, (3, h, w) each.
            data_samples: meta information of each image.
            mode: ``'predict'``.

        Returns:
            ``data_samples`` with ``pred_instances``.

        Raises:
            UserError: another mode is asked for: an ensemble is not trained.
        """
        if mode != 'predict' or data_samples is None:
            raise UserError('MaskEnsemble: found a training, expected a test: its members are '
                            'trained one by one')
        found = [self._ask(member, inputs, data_samples) for member in self.members]
        device = inputs[0].device
        for sample, *answers in zip(data_samples, *found, strict=True):
            fused = fuse_detections(answers, self.weights, self.fuse_iou_thr)
            sample.pred_instances = to_instances(fused, device)
        return data_samples

    @staticmethod
    def _ask(member: Any, inputs: Sequence[Tensor], samples: SampleList) -> list[Detections]:
        # Copies, since what a member pads and finds is written into the samples.
        own = [DetDataSample(metainfo=sample.metainfo) for sample in samples]
        data = member.data_preprocessor(dict(inputs=list(inputs), data_samples=own), False)
        return [to_detections(sample)
                for sample in member.predict(data['inputs'], data['data_samples'])]


def _with_soft_masks(member: dict) -> dict:
    member = cast(dict, copy.deepcopy(ConfigDict(member)))
    rcnn = (member.get('test_cfg') or {}).get('rcnn')
    if rcnn is None:
        raise UserError(f'model.members: found a {member.get("type")} without test_cfg.rcnn, '
                        'expected a two-stage detector with masks')
    rcnn['keep_mask_logits'] = True
    return member
