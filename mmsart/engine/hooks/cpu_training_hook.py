"""What makes convolutions fast on a CPU: bfloat16 and channels_last, for training only."""
from collections.abc import Sequence
from typing import Any

import torch
from mmdet.models.roi_heads.roi_extractors import BaseRoIExtractor
from mmengine.hooks import Hook
from mmengine.registry import HOOKS
from mmengine.runner import Runner
from torch import Tensor, nn

from mmsart.models.memory_format import SAFE_CHANNELS, find_unsafe_conv
from mmsart.models.roi_heads.bag_roi_extractor import BagRoIExtractor
from mmsart.utils import UserError
from mmsart.utils.bare_model import bare_model


@HOOKS.register_module()
class CpuTrainingHook(Hook):
    """Train parts of a model in bfloat16 and with channels last in memory, on a CPU.

    mmengine's `AmpOptimWrapper` asks for a GPU, and under one autocast over the whole model boxes
    come out in bfloat16, which mmcv's NMS on the CPU does not take. Here each part named runs
    under its own autocast and gives float32 back. Weights, gradients and losses stay in float32.
    A validation runs as tools/test.py does, in float32 and with the usual order in memory (another
    order rounds otherwise), so that both give the same score.

    mmcv's RoIAlign reads channels_last maps wrongly on a CPU, without a word; so with
    ``channels_last`` the RoI extractors have to be :class:`BagRoIExtractor`. A model with a
    convolution that oneDNN cannot compute in that order (see :func:`find_unsafe_conv`) keeps the
    usual one, and the log says so.

    Does nothing on a GPU.

    Args:
        parts: dotted names of the model's modules; each takes and gives tensors or tuples of them.
        bfloat16: compute them in bfloat16 where the CPU has the instructions; elsewhere it would
            cost time, and float32 stays.
        channels_last: keep their weights, and so their maps, with channels last.

    Raises:
        UserError: at the start, where the model lacks one of the parts or has a RoI extractor that
            does not take channels_last maps.
    """

    def __init__(
        self, parts: Sequence[str] = (
            'backbone', 'neck', 'rpn_head', 'roi_head.bbox_head', 'roi_head.mask_head'),
        bfloat16: bool = True, channels_last: bool = True,
    ) -> None:
        self.parts = tuple(parts)
        self.bfloat16 = bfloat16
        self.channels_last = channels_last
        self._handles: list[Any] = []
        self._reordered: list[nn.Module] = []

    def before_train(self, runner: Runner) -> None:
        """Switch the parts over."""
        model = bare_model(runner.model)
        if next(model.parameters()).device.type != 'cpu':
            return
        bfloat16 = self.bfloat16 and has_bfloat16_instructions()
        channels_last = self.channels_last
        if channels_last and (unsafe := find_unsafe_conv(model)):
            runner.logger.warning(
                f'CpuTrainingHook: channels last is off: {unsafe} is a 1 x 1 convolution with a '
                f'stride over fewer than {SAFE_CHANNELS} channels, which ends the process on some '
                'processors')
            channels_last = False
        if channels_last:
            _check_extractors(model)
        for name in self.parts:
            part = _part(model, name)
            if channels_last:
                self._reordered.append(part)
            if bfloat16:
                # Functions, no methods: EMA copies the model with its hooks.
                self._handles += [
                    part.register_forward_pre_hook(_enter),
                    part.register_forward_hook(_leave, always_call=True)]
        self._reorder(torch.channels_last)
        runner.logger.info(
            f'CpuTrainingHook: {"bfloat16" if bfloat16 else "float32"}'
            f'{", channels last" if channels_last else ""} in {", ".join(self.parts)}')

    def after_train(self, runner: Runner) -> None:
        """Leave the model as it was."""
        for handle in self._handles:
            handle.remove()
        self._handles.clear()
        self._reorder(torch.contiguous_format)
        self._reordered.clear()

    def before_val_epoch(self, runner: Runner) -> None:
        """Compute as tools/test.py does."""
        self._reorder(torch.contiguous_format)

    def after_val_epoch(self, runner: Runner, metrics: dict[str, float] | None = None) -> None:
        """Go back to the order of training."""
        self._reorder(torch.channels_last)

    def _reorder(self, memory_format: torch.memory_format) -> None:
        for part in self._reordered:
            # torch's annotations have no form with a memory format alone.
            part.to(memory_format=memory_format)  # type: ignore[call-overload]


def has_bfloat16_instructions() -> bool:
    """Return whether the CPU multiplies bfloat16 natively (AVX512-BF16 or AMX) and oneDNN may.

    The environment's ``ONEDNN_MAX_CPU_ISA`` can hold oneDNN to fewer instructions than there are.
    """
    native = torch.cpu._is_avx512_bf16_supported() or torch.cpu._is_amx_tile_supported()
    return bool(native and torch.ops.mkldnn._is_mkldnn_bf16_supported())


def _part(model: nn.Module, name: str) -> nn.Module:
    try:
        return model.get_submodule(name)
    except AttributeError as error:
        raise UserError(f'CpuTrainingHook: parts has {name!r}, expected a module of the model; '
                        f'{error}') from error


def _check_extractors(model: nn.Module) -> None:
    for name, module in model.named_modules():
        if isinstance(module, BaseRoIExtractor) and not isinstance(module, BagRoIExtractor):
            raise UserError(
                f'CpuTrainingHook: {name} is a {type(module).__name__}, expected a '
                'BagRoIExtractor: mmcv\'s RoIAlign misreads channels_last maps on a CPU')


def _enter(module: nn.Module, args: tuple) -> None:
    if module.training:
        context = torch.autocast('cpu', torch.bfloat16)
        context.__enter__()
        module.__dict__['_bfloat16_context'] = context


def _leave(module: nn.Module, args: tuple, output: Any) -> Any:
    context = module.__dict__.pop('_bfloat16_context', None)
    if context is None:
        return output
    context.__exit__(None, None, None)
    return _as_float(output)


def _as_float(output: Any) -> Any:
    if isinstance(output, Tensor):
        return output.float()
    if isinstance(output, (tuple, list)):
        return type(output)(_as_float(value) for value in output)
    return output
