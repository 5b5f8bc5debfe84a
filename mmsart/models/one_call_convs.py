"""Layers of a trained detector in one call of oneDNN each: convolutions with their activation.

`F.conv2d` takes other, slower code for 1 x 1 convolutions on one thread, and an activation reads
and writes the whole map once more. Compiled graphs know both; here that is done layer by layer,
so that images of any size start at once.
"""
import math
from collections import Counter
from collections.abc import Callable
from typing import Any

import torch
import torch.nn.functional as F
from mmcv.cnn import ConvModule
from mmcv.cnn.bricks import Conv2dAdaptivePadding
from mmcv.cnn.bricks.wrappers import Conv2d, ConvTranspose2d
from mmdet.models.roi_heads.mask_heads import FCNMaskHead
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

Undo = Callable[[], None]

PLAIN_CONVS = (nn.Conv2d, Conv2d, Conv2dAdaptivePadding)
"""Those that do with their weights what `F.conv2d` does; other subclasses change them first."""

_ACTIVATIONS: dict[type, tuple[str, list[float]]] = {
    nn.Identity: ('none', []), nn.ReLU: ('relu', []), nn.ReLU6: ('hardtanh', [0., 6.])}
"""By oneDNN's names, with their numbers."""

_ROIS = 2500
"""About how many RoIs box heads see: oneDNN lays weights out for a number of rows."""

_NNPACK_BATCH = 16
"""From this batch size on torch asks NNPACK, where oneDNN is off."""


def fuse_calls(detector: nn.Module) -> list[Undo]:
    """Let convolutions, linear layers and mask heads compute what they do in fewer calls.

    Args:
        detector: in evaluation mode on the CPU, BatchNorm folded and channels last; changed in
            place. Weights stay where they are.

    Returns:
        What puts everything back.
    """
    if not _has_one_call():
        return []
    undo: list[Undo] = []
    fused: set[nn.Module] = set()
    owners = Counter(child for module in detector.modules() for child in module.children())
    for module in detector.modules():
        # What a shared convolution is followed by differs from owner to owner.
        if isinstance(module, ConvModule) and _ends_in_activation(module) \
                and owners[module.conv] == 1:
            conv: Any = module.conv
            undo.append(_set(conv, 'forward', _OneCall(conv, module.activate)))
            undo.append(_set(module, 'activate', nn.Identity()))
            fused.add(conv)
    for module in detector.modules():
        if isinstance(module, nn.Conv2d) and _is_plain(module) and module not in fused:
            undo.append(_set(module, 'forward', _OneCall(module, nn.Identity())))
        elif isinstance(module, FCNMaskHead) and _MaskForward.fits(module):
            undo.append(_set(module, 'forward', _MaskForward(module)))
        elif type(module) is nn.Linear and module.weight.dtype == torch.float32:
            undo.append(_set(module, 'forward', _Linear(module)))
    return undo


def _has_one_call() -> bool:
    return torch.backends.mkldnn.is_available() and hasattr(
        torch.ops.mkldnn, '_convolution_pointwise') and hasattr(
        torch.ops.mkldnn, '_linear_pointwise')


def _is_plain(module: Any) -> bool:
    """Return whether it is a convolution whose forward is known."""
    return type(module) in PLAIN_CONVS \
        and module.padding_mode == 'zeros' and not isinstance(module.padding, str)


def _ends_in_activation(module: ConvModule) -> bool:
    """Return whether only a folded norm may be between the convolution and a known activation."""
    return (_is_plain(module.conv) and module.order == ('conv', 'norm', 'act')
            and module.with_activation and (
                not module.with_norm or isinstance(module.norm, nn.Identity))
            and type(module.activate) in _ACTIVATIONS)


class _OneCall:
    """Forward of a convolution and its activation.

    Args:
        conv: the convolution.
        activation: what follows it.
    """

    def __init__(self, conv: nn.Conv2d, activation: nn.Module) -> None:
        self._conv, self._activation = conv, activation
        self.activation, numbers = _ACTIVATIONS[type(activation)]
        self._attributes = (self.activation, numbers, '')

    def __call__(self, x: Tensor) -> Tensor:
        conv = self._conv
        if not _takes(x, conv.weight):
            return self._activation(type(conv).forward(conv, x))
        padding: Any = conv.padding
        if isinstance(conv, Conv2dAdaptivePadding):
            x, padding = _pad_same(x, conv)
        return torch.ops.mkldnn._convolution_pointwise(
            x, conv.weight, conv.bias, padding, conv.stride, conv.dilation, conv.groups,
            *self._attributes)


class _Linear:
    """Forward of a linear layer by oneDNN, which takes half the time of torch's own with AVX512.

    Args:
        linear: the layer.
    """

    def __init__(self, linear: nn.Linear) -> None:
        self._linear = linear
        self._weight = torch.ops.mkldnn._reorder_linear_weight(
            linear.weight.detach().contiguous(), _ROIS)

    def __call__(self, x: Tensor) -> Tensor:
        linear = self._linear
        if not _takes(x, linear.weight, 2):
            return nn.Linear.forward(linear, x)
        return torch.ops.mkldnn._linear_pointwise(x, self._weight, linear.bias, 'none', [], '')


def _takes(x: Tensor, weight: Tensor, dims: int = 4) -> bool:
    """Return whether the one call can do it: it knows neither gradients nor autocast."""
    return (x.device.type == 'cpu' and x.dtype == weight.dtype == torch.float32
            and x.dim() == dims and x.numel() > 0 and not torch.is_grad_enabled()
            and not torch.is_autocast_enabled('cpu'))


def _pad_same(x: Tensor, conv: nn.Conv2d) -> tuple[Tensor, list[int]]:
    """Pad as TensorFlow does; leave it to the convolution where it is the same on both sides."""
    pads = []
    for size, kernel, stride, dilation in zip(
            x.shape[-2:], conv.kernel_size, conv.stride, conv.dilation, strict=True):
        missing = (math.ceil(size / stride) - 1) * stride + (kernel - 1) * dilation + 1 - size
        pads.append((max(missing, 0) // 2, max(missing, 0) - max(missing, 0) // 2))
    if all(before == after for before, after in pads):
        return x, [before for before, _ in pads]
    (top, bottom), (left, right) = pads
    return F.pad(x, (left, right, top, bottom)), [0, 0]


class _MaskForward:
    """Forward of an `FCNMaskHead` whose masks grow by a transposed convolution without overlap.

    That is a 1 x 1 convolution with four times the channels, and the last layer can read these as
    they lie: only logits are put in their places.

    Args:
        head: with folded BatchNorm.
    """

    def __init__(self, head: FCNMaskHead) -> None:
        self._head = head
        up: Any = head.upsample
        weight = up.weight.detach()  # (in, out, 2, 2)
        self._weight = weight.permute(2, 3, 1, 0).reshape(-1, weight.shape[0], 1, 1).contiguous(
            memory_format=torch.channels_last)
        self._bias = up.bias.detach().repeat(weight[0, 0].numel())
        self._layers = [conv.conv for conv in head.convs]
        # NNPACK has Winograd's algorithm, 2 to 2.5 times as fast as oneDNN's with vectors of AVX2
        # and no faster with those of AVX512, of which it knows nothing.
        self._by_nnpack = (torch.backends.cpu.get_cpu_capability() == 'AVX2'
                           and torch._nnpack_available() and all(map(_is_same_size, head.convs)))

    @staticmethod
    def fits(head: FCNMaskHead) -> bool:
        """Return whether a head has these layers."""
        if type(head).forward is not FCNMaskHead.forward:
            return False  # others need not have its layers
        up, last = head.upsample, head.conv_logits
        return (type(up) in (nn.ConvTranspose2d, ConvTranspose2d) and up.kernel_size == (2, 2)
                and up.stride == (2, 2) and up.groups == 1 and up.bias is not None
                and up.padding == up.output_padding == (0, 0) and head.upsample_method == 'deconv'
                and _is_plain(last) and last.kernel_size == (1, 1) and last.padding == (0, 0)
                and last.stride == (1, 1) and last.groups == 1)

    def __call__(self, x: Tensor) -> Tensor:
        head = self._head
        if not _takes(x, self._weight):
            return type(head).forward(head, x)
        if self._by_nnpack and len(x) >= _NNPACK_BATCH:
            x = self._convolve_by_nnpack(x)
        else:
            for conv in head.convs:
                x = conv(x)
        x = torch.ops.mkldnn._convolution_pointwise(
            x.contiguous(memory_format=torch.channels_last), self._weight, self._bias, [0, 0],
            [1, 1], [1, 1], 1, 'relu', [], '')
        count, _, height, width = x.shape
        last: Any = head.conv_logits
        pixels = x.permute(0, 2, 3, 1).reshape(-1, last.in_channels)
        logits = F.linear(pixels, last.weight.flatten(1), last.bias)
        logits = logits.view(count, height, width, 2, 2, -1)
        return logits.permute(0, 5, 1, 3, 2, 4).reshape(count, -1, 2 * height, 2 * width)

    def _convolve_by_nnpack(self, x: Tensor) -> Tensor:
        x = x.contiguous()  # the one order that NNPACK knows
        with torch.backends.mkldnn.flags(enabled=False):
            for conv in self._layers:
                x = F.conv2d(x, conv.weight.contiguous(), conv.bias, padding=1).relu_()
        return x


def _is_same_size(module: ConvModule) -> bool:
    conv: Any = module.conv
    return (_is_plain(conv) and conv.kernel_size == (3, 3) and conv.padding == (1, 1)
            and conv.stride == conv.dilation == (1, 1) and conv.groups == 1
            and isinstance(getattr(conv, 'forward', None), _OneCall)
            and not isinstance(module.norm if module.with_norm else None, _BatchNorm)
            and conv.forward.activation == 'relu')


def _set(module: nn.Module, name: str, value: Any) -> Undo:
    """Set an attribute of a module; return what brings the former state back."""
    if name == 'forward':
        module.forward = value  # type: ignore[method-assign]
        return lambda: delattr(module, 'forward')
    before = getattr(module, name)
    setattr(module, name, value)
    return lambda: setattr(module, name, before)
