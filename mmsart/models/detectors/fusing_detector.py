"""What asks one image several questions and joins the answers."""
import copy
from abc import abstractmethod
from collections.abc import Sequence
from typing import Any, ClassVar, cast

from mmdet.structures import DetDataSample, SampleList
from mmengine.config import ConfigDict
from mmengine.model import BaseModel
from torch import Tensor

from mmsart.models.detectors.members import keep_soft_masks
from mmsart.postprocessing.fusion import FUSE_IOU, MASK_THR, fuse_detections
from mmsart.structures.data_samples import to_detections, to_instances
from mmsart.structures.detections import Detections
from mmsart.utils import UserError


class FusingDetector(BaseModel):
    """Answers for each image, fused by :func:`~mmsart.postprocessing.fusion.fuse_detections`.

    The base of :class:`MaskEnsemble` and :class:`MaskTTA`; it is tested and not trained.

    Args:
        weights: of the answers, above 0; None for equal ones.
        fuse_iou_thr: IoU above which masks of two answers are one cell, in [0, 1).
        mask_thr: where bare masks were cut, see :func:`fuse_detections`.
        **kwargs: of :class:`mmengine.model.BaseModel`.

    Raises:
        UserError: the threshold is out of range.
    """

    trained_by: ClassVar[str]  # what a user who trains it is told

    def __init__(self, weights: Sequence[float] | None, fuse_iou_thr: float = FUSE_IOU,
                 mask_thr: float | Sequence[float] = MASK_THR, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        if not isinstance(fuse_iou_thr, int | float) or not 0 <= fuse_iou_thr < 1:
            raise UserError(f'model.fuse_iou_thr: found {fuse_iou_thr!r}, expected a number in '
                            '[0, 1)')
        self.weights = weights
        self.fuse_iou_thr = fuse_iou_thr
        self._mask_thr = mask_thr

    @abstractmethod
    def answers(self, inputs: Sequence[Tensor],
                samples: SampleList) -> Sequence[list[Detections]]:
        """Find cells by each question.

        Args:
            inputs: images as the test pipeline packs them, (3, h, w) each.
            samples: meta information of each image; left as it is.

        Returns:
            For each question the detections of each image, in the frame of the image on disk.
        """

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
            UserError: another mode is asked for.
        """
        if mode != 'predict' or data_samples is None:
            raise UserError(f'{type(self).__name__}: found a training, expected a test: '
                            f'{self.trained_by}')
        found = self.answers(inputs, data_samples)
        for image, sample, *answers in zip(inputs, data_samples, *found, strict=True):
            fused = fuse_detections(answers, self.weights, self.fuse_iou_thr, self._mask_thr)
            sample.pred_instances = to_instances(fused, image.device)
        return data_samples


def ask(detector: Any, inputs: Sequence[Tensor], samples: SampleList) -> list[Detections]:
    """Ask a detector about images, by its own normalisation and padding.

    Args:
        detector: a detector of mmdet, or what asks detectors itself.
        inputs: images as the test pipeline packs them, (3, h, w) each.
        samples: their meta information. What is padded and found is written into copies.

    Returns:
        The detections of each image.

    Raises:
        UserError: it finds boxes without masks.
    """
    own = [DetDataSample(metainfo=sample.metainfo) for sample in samples]
    found = detector.test_step(dict(inputs=list(inputs), data_samples=own))
    if any('masks' not in sample.pred_instances for sample in found):
        raise UserError(f'model: found a {type(detector).__name__} that gives boxes alone, '
                        'expected a detector with masks')
    return [to_detections(sample) for sample in found]


def is_positive(value: Any) -> bool:
    """Return whether a value of a config is a number above 0."""
    return isinstance(value, int | float) and value > 0


def with_soft_masks(detector: dict) -> dict:
    """Return a copy of a detector's config that keeps the probabilities of masks, if it has any."""
    detector = cast(dict, copy.deepcopy(ConfigDict(detector)))
    keep_soft_masks(detector)
    return detector
