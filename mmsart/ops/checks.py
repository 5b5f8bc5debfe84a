"""What the operators in Python take, and what they refuse, in words that say what to do."""
from collections.abc import Sequence

import torch
from torch import Tensor

HALF = (torch.float16, torch.bfloat16)


def widened(operator: str, *tensors: Tensor,
            dtypes: Sequence[torch.dtype] = (torch.float32,)) -> tuple[Tensor, ...]:
    """Return an operator's arguments in a precision that it computes in.

    Under automatic mixed precision features and scores are in half precision, beside boxes in
    float32.

    Args:
        operator: name of the operator.
        tensors: its arguments, boxes, scores or features; those in half precision become float32.
        dtypes: in which the operator computes; all must be alike then, as in mmcv.

    Returns:
        The tensors, the same ones where nothing is to be done.

    Raises:
        RuntimeError: a tensor is of another dtype.
    """
    wide = tuple(tensor.float() if tensor.dtype in HALF else tensor for tensor in tensors)
    for tensor in wide:
        if tensor.dtype not in dtypes or tensor.dtype != wide[0].dtype:
            expected = ' or '.join(str(dtype) for dtype in dtypes)
            raise RuntimeError(f'{operator}: found {tensor.dtype}, expected {expected} or half '
                               'precision, the same for all tensors')
    return wide
