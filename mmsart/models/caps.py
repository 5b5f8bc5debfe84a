"""Caps on what a detector may find, and the images in which they leave something out."""
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from mmdet.models.dense_heads.base_dense_head import BaseDenseHead
from mmdet.structures import DetDataSample
from torch import Tensor, nn

from mmsart.models.detectors.members import detectors_by_key
from mmsart.utils.bare_model import bare_model

# From here on a proposal is more likely to be an object than not; nearly all below are background,
# which the caps are there to cut.
OBJECTNESS = 0.5
# Heads without a threshold of their own (queries of a transformer) always fill their cap.
DETECTION_SCORE = 0.05


@dataclass(frozen=True)
class ReachedCap:
    """A cap that was reached in an image, so that it may hold more.

    Attributes:
        image: name of the image's file, or its id.
        key: of the config, such as ``model.test_cfg.rcnn.max_per_img``, or that of a member,
            ``model.members.0.test_cfg.rcnn.max_per_img``.
        value: of that key.
    """

    image: str
    key: str
    value: int


@contextmanager
def watch_caps(model: nn.Module) -> Iterator[list[ReachedCap]]:
    """Note the caps that a detector reaches while it predicts.

    Watched are, in any mmdet detector, the number of detections of an image (``max_per_img``), of
    proposals (``rpn.max_per_img``) and of candidates on a level of the pyramid (``nms_pre``).
    Detections and candidates of one-stage detectors count if they pass the head's ``score_thr``,
    proposals and their candidates from an objectness of :data:`OBJECTNESS`. Costs a comparison
    for each anchor.

    Args:
        model: the detector, also one that is wrapped for several processes.

    Yields:
        A list that grows with each batch of predictions.
    """
    found: list[ReachedCap] = []
    with ExitStack() as watched:
        for key, detector in detectors_by_key(bare_model(model)).items():
            prefix = f'{key}.test_cfg'
            watched.enter_context(
                _watch_predict(detector, _DetectionCaps(detector, prefix, found)))
            for name in ('rpn_head', 'bbox_head'):
                head = getattr(detector, name, None)
                if isinstance(head, BaseDenseHead):
                    watched.enter_context(
                        _watch_predict(head, _HeadCaps(head, name, prefix, found)))
        yield found


def describe_caps(found: list[ReachedCap], images: int, shown: int = 10) -> list[str]:
    """Say which caps were reached, one line each.

    Args:
        found: of :func:`watch_caps`.
        images: how many were predicted.
        shown: images to name.
    """
    lines = []
    for key, value in dict.fromkeys((cap.key, cap.value) for cap in found):
        names = list(dict.fromkeys(cap.image for cap in found if cap.key == key))
        more = f' and {len(names) - shown} more' if len(names) > shown else ''
        lines.append(
            f'{key}={value} was reached in {len(names)} of {images} images, which may hold more: '
            f'{", ".join(names[:shown])}{more}; raise it')
    return lines


@contextmanager
def _watch_predict(module: Any, check: Callable[..., None]) -> Iterator[None]:
    """Have a function look at the samples, results and raw outputs of a module's ``predict``."""
    predict = module.predict

    def watched(*args: Any, **kwargs: Any) -> Any:
        outputs: list[Any] = []
        with module.register_forward_hook(lambda module, args, output: outputs.append(output)):
            results = predict(*args, **kwargs)
        for value in (*args, *kwargs.values()):
            if _are_samples(value):
                check(value, results, outputs)
        return results

    module.predict = watched
    try:
        yield
    finally:
        del module.predict


class _DetectionCaps:
    """Look at the number of detections of each image."""

    def __init__(self, detector: nn.Module, prefix: str, found: list[ReachedCap]) -> None:
        settings = getattr(detector, 'test_cfg', None) or {}
        if isinstance(settings.get('rcnn'), Mapping):
            settings, prefix = settings['rcnn'], f'{prefix}.rcnn'
        name = next((name for name in ('max_per_img', 'max_per_image') if name in settings), '')
        self.key, self.most = f'{prefix}.{name}', settings.get(name, -1)
        # A head with a threshold fills its cap with what passes it.
        self.threshold = 0.0 if 'score_thr' in settings else DETECTION_SCORE
        self.found = found

    def __call__(self, samples: list, results: Any, outputs: list) -> None:
        for sample in samples:  # where the results are
            scores = getattr(getattr(sample, 'pred_instances', None), 'scores', None)
            if scores is not None and 0 < self.most <= len(scores) \
                    and scores.min() >= self.threshold:
                self.found.append(ReachedCap(_image_name(sample), self.key, self.most))


class _HeadCaps:
    """Look at a dense head's candidates on each level and, of an RPN, at its proposals."""

    def __init__(self, head: BaseDenseHead, name: str, prefix: str,
                 found: list[ReachedCap]) -> None:
        settings = head.test_cfg or {}
        self.is_rpn = name == 'rpn_head'
        self.prefix = f'{prefix}.rpn' if self.is_rpn else prefix
        self.threshold = (
            OBJECTNESS if self.is_rpn else max(settings.get('score_thr', 0.), DETECTION_SCORE))
        self.candidates = settings.get('nms_pre', -1)
        self.proposals = settings.get('max_per_img', -1) if self.is_rpn else -1
        self.head, self.found = head, found

    def __call__(self, samples: list, results: Any, outputs: list) -> None:
        if self.candidates > 0 and outputs:
            for number in _crowded_images(self.head, outputs[0], self.candidates, self.threshold):
                self._note(samples[number], 'nms_pre', self.candidates)
        if self.proposals > 0:
            for sample, result in zip(samples, results, strict=True):
                if len(result) >= self.proposals and result.scores.min() >= self.threshold:
                    self._note(sample, 'max_per_img', self.proposals)

    def _note(self, sample: DetDataSample, name: str, value: int) -> None:
        self.found.append(ReachedCap(_image_name(sample), f'{self.prefix}.{name}', value))


def _crowded_images(head: BaseDenseHead, output: Any, most: int, threshold: float) -> list[int]:
    """Return the numbers, in the batch, of images with a level of more than `most` candidates."""
    levels = output[0] if isinstance(output, tuple) and output else []
    classes = getattr(head, 'cls_out_channels', 0)
    if not isinstance(levels, tuple | list) or not classes or not all(
            isinstance(level, Tensor) and level.dim() == 4 and level.shape[1] % classes == 0
            for level in levels):
        return []  # a head that says in another way what it sees
    crowded: set[int] = set()
    for level in levels:
        if level[0].numel() <= most:
            continue
        if getattr(head, 'use_sigmoid_cls', True):
            passes = level.sigmoid() > threshold
        else:  # background comes last
            passes = level.unflatten(1, (-1, classes)).softmax(2)[:, :, :-1] > threshold
        crowded.update(torch.nonzero(passes.flatten(1).sum(1) > most).flatten().tolist())
    return sorted(crowded)


def _are_samples(value: Any) -> bool:
    return isinstance(value, list) and bool(value) and isinstance(value[0], DetDataSample)


def _image_name(sample: DetDataSample) -> str:
    path = sample.metainfo.get('img_path')
    return Path(path).name if path else str(sample.metainfo.get('img_id', '?'))
