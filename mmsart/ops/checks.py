"""What the operators in Python refuse, in words that say what to do."""
from collections.abc import Sequence

import torch
from torch import Tensor

from mmsart.ops import COMPILE_MMCV


def check_tensors(operator: str, *tensors: Tensor,
                  dtypes: Sequence[torch.dtype] = (torch.float32,)) -> None:
    """Check that an operator in Python can take its arguments.

    Args:
        operator: name of the operator.
        tensors: its arguments, boxes, scores or features.
        dtypes: what each of them may be; all must be alike, as in mmcv.

    Raises:
        NotImplementedError: a tensor is not on the CPU.
        RuntimeError: a tensor is of another dtype.
    """
    for tensor in tensors:
        if tensor.device.type != 'cpu':
            raise NotImplementedError(
                f"mmcv's operator {operator} is not compiled here, and mmsart's in Python runs on "
                f'the CPU, not on {tensor.device}; to compile it: {COMPILE_MMCV}')
        if tensor.dtype not in dtypes or tensor.dtype != tensors[0].dtype:
            expected = ' or '.join(str(dtype) for dtype in dtypes)
            raise RuntimeError(f'{operator}: found {tensor.dtype}, expected {expected}, the same '
                               'for all tensors')
