"""What makes a trained detector fast on a CPU without changing what it finds."""
import math
from collections.abc import Callable, Mapping
from itertools import pairwise
from typing import Any

import numpy as np
import torch
from mmcv.cnn import ConvModule
from mmdet.models.roi_heads.roi_extractors import BaseRoIExtractor
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm
from torch.nn.utils.fusion import fuse_conv_bn_eval

from mmsart.models.detectors.members import detectors_of
from mmsart.models.memory_format import find_unsafe_conv
from mmsart.models.one_call_convs import PLAIN_CONVS, fuse_calls
from mmsart.models.roi_heads.bag_roi_extractor import BagRoIExtractor

TOLERANCE = 1e-3
"""Of the largest feature: more than rounding ever shifts, less than a wrong fold does."""
PROBE_SIZE = 64


def fold_for_inference(detector: nn.Module) -> Callable[[], None]:
    """Fold BatchNorm into the convolutions before it and put channels last in memory.

    Both change the order of sums, so that features agree to about 1e-6 of their size and masks to
    single pixels. Nothing changes on a GPU, and a backbone or neck whose layers are not in the
    order that folding supposes stays as it is.

    Args:
        detector: a detector of mmdet in evaluation mode, with float32 weights; changed in place.

    Returns:
        A function that puts everything back.
    """
    if next(detector.parameters()).device.type != 'cpu':
        return lambda: None
    members = detectors_of(detector)
    if members != [detector]:
        return _all_of([fold_for_inference(member) for member in members])
    before = _probe(detector)
    folds = [_Fold(*place) for place in _conv_modules(detector)]
    if before is not None:
        # Not all convolutions of a backbone are ConvModules, whose order of layers is known.
        parts = [part for name, part in detector.named_children() if name in ('backbone', 'neck')]
        more = [_Fold(*place) for part in parts for place in _neighbours(part)]
        if _alike(before, _probe(detector)):
            folds += more
        else:
            for fold in reversed(more):
                fold.undo()
    put_back = _put_channels_last(detector)
    if put_back and before is not None and not _alike(before, _probe(detector)):
        put_back()  # some layers read memory in the usual order alone
        put_back = None
    fused = fuse_calls(detector) if put_back and before is not None else []
    if before is not None and fused and not _alike(before, _probe(detector)):
        while fused:
            fused.pop()()

    def undo() -> None:
        for release in reversed(fused):
            release()
        for fold in reversed(folds):
            fold.undo()
        if put_back:
            put_back()

    return undo


def skip_hopeless(detector: nn.Module, settings: Mapping[str, Any]) -> None:
    """Keep detections that no post-processing will keep from the mask head.

    Scores can only fall behind the box head, and thresholds follow the vote; so what is below all
    thresholds, and below the score from which detections vote, needs no mask. The final cells are
    the same to the bit. Only where nothing else reads the detections: neither a tuner nor a metric
    of its own.

    Args:
        detector: its RoI head's ``test_cfg.score_thr`` is raised; one without stays as it is.
        settings: complete settings of post-processing.
    """
    test_cfg = getattr(getattr(detector, 'roi_head', None), 'test_cfg', None) or {}
    if not isinstance(test_cfg.get('score_thr'), int | float):
        return
    bounds = list(settings['score_thr'].values())
    if settings['vote'] != 'off':
        bounds.append(settings['vote_min_score'])
    # mmdet keeps scores above its threshold, post-processing those that reach it.
    below = float(np.nextafter(np.float32(min(bounds)), np.float32(-math.inf)))
    test_cfg['score_thr'] = max(test_cfg['score_thr'], below)


def _all_of(functions: list[Callable[[], None]]) -> Callable[[], None]:
    def call() -> None:
        for function in functions:
            function()

    return call


class _Fold:
    """A convolution with BatchNorm folded into it, for as long as it is wanted.

    It takes the convolution's place in one module alone: heads such as RTMDet's share a convolution
    among modules that have a BatchNorm each.

    Args:
        parent: the module that both are children of.
        conv_name: name of the convolution there.
        norm_name: name of the BatchNorm there.
    """

    def __init__(self, parent: nn.Module, conv_name: str, norm_name: str) -> None:
        self._parent, self._names = parent, (conv_name, norm_name)
        self._before = conv, norm = getattr(parent, conv_name), getattr(parent, norm_name)
        setattr(parent, conv_name, fuse_conv_bn_eval(conv, norm))
        setattr(parent, norm_name, nn.Identity())

    def undo(self) -> None:
        """Put convolution and BatchNorm back."""
        for name, module in zip(self._names, self._before, strict=True):
            setattr(self._parent, name, module)


def _conv_modules(detector: nn.Module) -> list[tuple[nn.Module, str, str]]:
    """Find the ConvModules in which BatchNorm follows the convolution."""
    return [(module, 'conv', module.norm_name) for module in detector.modules()
            if isinstance(module, ConvModule) and module.order[:2] == ('conv', 'norm')
            and module.with_norm and _can_fold(module.conv, module.norm)]


def _neighbours(part: nn.Module) -> list[tuple[nn.Module, str, str]]:
    """Find BatchNorms that are declared right behind a convolution with as many channels."""
    found = []
    for parent in part.modules():
        children = list(parent.named_children())
        found += [
            (parent, conv_name, norm_name)
            for (conv_name, conv), (norm_name, norm) in pairwise(children)
            if _can_fold(conv, norm) and conv.out_channels == norm.num_features]
    return found


def _can_fold(conv: Any, norm: Any) -> bool:
    """Return whether weights say all of both; transposed convolutions count channels otherwise."""
    return (type(conv) in PLAIN_CONVS and 'weight' in conv._parameters
            and isinstance(norm, _BatchNorm) and norm.running_mean is not None)


def _put_channels_last(detector: nn.Module) -> Callable[[], None] | None:
    """Put channels last in memory; return what undoes it, None where a convolution forbids it."""
    if find_unsafe_conv(detector):
        return None
    _reorder(detector, torch.channels_last)
    handles = []
    if any(isinstance(module, BaseRoIExtractor) and not isinstance(module, BagRoIExtractor)
           for module in detector.modules()):
        # mmcv's RoIAlign misreads channels_last maps on a CPU.
        last: Any = getattr(detector, 'neck', None) or detector.backbone
        handles.append(last.register_forward_hook(_usual_order))

    def put_back() -> None:
        for handle in handles:
            handle.remove()
        _reorder(detector, torch.contiguous_format)

    return put_back


def _reorder(detector: nn.Module, memory_format: torch.memory_format) -> None:
    # torch's annotations have no form with a memory format alone.
    detector.to(memory_format=memory_format)  # type: ignore[call-overload]


@torch.no_grad()
def _probe(detector: Any) -> list[Tensor] | None:
    """Compute the features of a fixed small image; None where the detector does not take it."""
    generator = torch.Generator().manual_seed(0)
    image = torch.randn(1, 3, PROBE_SIZE, PROBE_SIZE, generator=generator)
    try:
        return list(detector.extract_feat(image))
    except Exception:  # a network of another kind: whatever it raises, it is left alone
        return None


def _alike(before: list[Tensor], after: list[Tensor] | None) -> bool:
    return after is not None and all(
        float((one - other).abs().max()) <= TOLERANCE * max(float(one.abs().max()), 1e-6)
        for one, other in zip(before, after, strict=True))


def _usual_order(module: nn.Module, inputs: Any, maps: Any) -> Any:
    return type(maps)(each.contiguous() for each in maps)
