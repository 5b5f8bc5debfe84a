"""What the operators in Python refuse, in words that say what to do."""
from collections.abc import Sequence

import torch
from torch import Tensor


def check_tensors(operator: str, *tensors: Tensor,
                  dtypes: Sequence[torch.dtype] = (torch.float32,)) -> None:
    """Check that an operator in Python can take its arguments.

    Args:
        operator: name of the operator.
        tensors: its arguments, boxes, scores or features.
        dtypes: what each of them may be; all must be alike, as in mmcv.

    Raises:
        RuntimeError: a tensor is of another dtype.
    """
    for tensor in tensors:
        if tensor.dtype not in dtypes or tensor.dtype != tensors[0].dtype:
            expected = ' or '.join(str(dtype) for dtype in dtypes)
            raise RuntimeError(f'{operator}: found {tensor.dtype}, expected {expected}, the same '
                               'for all tensors')
