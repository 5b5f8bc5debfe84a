"""Which models can keep channels last in memory."""
from torch import nn

SAFE_CHANNELS = 8  # floats in a vector of AVX2


def find_unsafe_conv(model: nn.Module) -> str | None:
    """Find a convolution that oneDNN computes outside its memory when channels come last.

    On processors with AVX2 alone, 1 x 1 convolutions with a stride over fewer than eight channels
    write beyond a buffer (measured with torch 2.13 and every width from 1 to 16: aborts and
    segmentation faults below 8, none from 8 on, none with AVX512).

    Args:
        model: the whole model; maps in that order go from one part to the next.

    Returns:
        Name of the first one, or None.
    """
    for name, module in model.named_modules():
        if isinstance(module, nn.Conv2d) and module.kernel_size == (1, 1) \
                and max(module.stride) > 1 and module.groups == 1 \
                and module.in_channels < SAFE_CHANNELS:
            return name
    return None
