"""Any detector with masks, asked about several views of an image."""
from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields
from typing import Any

import torch
import torch.nn.functional as F
from mmdet.registry import MODELS
from mmdet.structures import DetDataSample, SampleList
from torch import Tensor, nn

from mmsart.models.detectors.fusing_detector import (
    FusingDetector,
    ask,
    is_positive,
    with_soft_masks,
)
from mmsart.postprocessing.fusion import FUSE_IOU, MASK_THR
from mmsart.structures.detections import Detections
from mmsart.structures.orientation import FLIPS, Orientation
from mmsart.utils import UserError


@dataclass(frozen=True)
class View:
    """A way to look at an image.

    Attributes:
        flip: ``''``, ``'horizontal'``, ``'vertical'`` or ``'diagonal'``.
        turns: by 90 degrees, counter-clockwise, after the flip, 0 to 3.
        scale: factor of its height and width, above 0.
        weight: what the view counts, above 0.

    Raises:
        UserError: a value is out of range.
    """

    flip: str = ''
    turns: int = 0
    scale: float = 1.0
    weight: float = 1.0

    def __post_init__(self) -> None:
        for name, right, expected in (
                ('flip', self.flip in FLIPS, f'one of {", ".join(map(repr, FLIPS))}'),
                ('turns', self.turns in range(4), 'a whole number from 0 to 3'),
                ('scale', is_positive(self.scale), 'a number above 0'),
                ('weight', is_positive(self.weight), 'a number above 0')):
            if not right:
                raise UserError(f'model.views: {name}: found {getattr(self, name)!r}, expected '
                                f'{expected}')

    @property
    def orientation(self) -> Orientation:
        """How the image is laid."""
        return Orientation(self.flip, self.turns)

    def show(self, image: Tensor, sample: DetDataSample) -> tuple[Tensor, DetDataSample]:
        """Lay and scale an image.

        Args:
            image: (3, h, w), as the test pipeline packs it.
            sample: its meta information.

        Returns:
            The view, (3, h', w'), and the meta information of an image that was loaded like this:
            what is found comes in the frame of the image on disk, laid in the same way.
        """
        orientation = self.orientation
        laid = torch.rot90(image.flip(orientation.axes), self.turns, (-2, -1))
        height, width = laid.shape[-2:]
        size = (max(round(height * self.scale), 1), max(round(width * self.scale), 1))
        if size != (height, width):  # the arithmetic of mmdet's Resize, without its rounding
            laid = F.interpolate(laid[None].float(), size, mode='bilinear')[0]
        on_disk = orientation.size(tuple(sample.ori_shape[:2]))
        shown = DetDataSample(metainfo=sample.metainfo)
        shown.set_metainfo(dict(
            ori_shape=on_disk, img_shape=size,
            scale_factor=(size[1] / on_disk[1], size[0] / on_disk[0])))
        return laid.contiguous(), shown


@MODELS.register_module()
class MaskTTA(FusingDetector):
    """Any detector with masks that looks at mirrored, turned and scaled views of each image.

    The detector is asked about each view as if it were an image of its own; what it finds is
    brought back and fused by :func:`~mmsart.postprocessing.fusion.fuse_detections`: scores are
    weighted means over all views, with 0 for those in which a cell was not found, soft masks are
    weighted means, and of bare masks pixels stay that half of the weight has. For Mask R-CNN with
    flips alone `FlipTTAMaskRCNN` does the same in the heads, with one set of proposals.

    Weights have the detector's own names, so that any checkpoint of it can be tested with views;
    it is trained by its own config.

    Args:
        detector: its config; a ``test_cfg.rcnn`` gets ``keep_mask_logits``.
        views: dicts of :class:`View`; the image as it is, is ``dict()``.
        fuse_iou_thr: IoU above which masks of two views are one cell, in [0, 1).
        **kwargs: of :class:`mmengine.model.BaseModel`.

    Raises:
        UserError: a view or the threshold is out of range.
    """

    trained_by = 'the detector is trained by its own config'

    def __init__(
            self, detector: dict,
            views: Sequence[dict] = ({}, {'flip': 'horizontal'}, {'flip': 'vertical'},
                                     {'flip': 'diagonal'}),
            fuse_iou_thr: float = FUSE_IOU, **kwargs: Any) -> None:
        looks = _read_views(views)
        rcnn = (detector.get('test_cfg') or {}).get('rcnn') or {}
        super().__init__([view.weight for view in looks], fuse_iou_thr,
                         rcnn.get('mask_thr_binary', MASK_THR), **kwargs)
        self.views = looks
        self.detector = MODELS.build(with_soft_masks(detector))
        self.register_load_state_dict_pre_hook(_add_prefix)

    @property
    def members(self) -> list[nn.Module]:
        """The detector, for :func:`~mmsart.models.detectors.members.detectors_of`."""
        return [self.detector]

    def state_dict(self, *args: Any, **kwargs: Any) -> Any:
        """Return the detector's weights under its own names."""
        return self.detector.state_dict(*args, **kwargs)

    def answers(self, inputs: Sequence[Tensor],
                samples: SampleList) -> Sequence[list[Detections]]:
        """Ask about each view; see :class:`FusingDetector`."""
        return [self._look(view, inputs, samples) for view in self.views]

    def _look(self, view: View, inputs: Sequence[Tensor],
              samples: SampleList) -> list[Detections]:
        shown, laid = zip(*map(view.show, inputs, samples), strict=True)
        return [view.orientation.undo(found) for found in ask(self.detector, shown, laid)]


def _read_views(views: Sequence[dict]) -> list[View]:
    names = [field.name for field in fields(View)]
    if not isinstance(views, list | tuple) or not views or not all(
            isinstance(view, dict) and set(view) <= set(names) for view in views):
        raise UserError(f'model.views: found {views!r}, expected a list of one or more dicts with '
                        f'some of {", ".join(names)}')
    return [View(**view) for view in views]


def _add_prefix(module: nn.Module, state_dict: dict, prefix: str, *_: Any) -> None:
    """Name weights as the module holds them before they are loaded."""
    for name in [name for name in state_dict if name.startswith(prefix)]:
        state_dict[f'{prefix}detector.{name.removeprefix(prefix)}'] = state_dict.pop(name)
