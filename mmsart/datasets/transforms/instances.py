"""What stands beside the boxes and masks of an image's instances."""
from typing import Any

import numpy as np

PER_INSTANCE = ('gt_bboxes_labels', 'gt_ignore_flags', 'gt_weights')
"""Keys of arrays with a value per instance; weights are there where some labels are less sure."""


def keep(results: dict[str, Any], kept: np.ndarray) -> None:
    """Leave some instances in the arrays of :data:`PER_INSTANCE` that are there.

    Args:
        results: of a pipeline; its boxes and masks are the caller's.
        kept: indices, or bool (N,).
    """
    for key in PER_INSTANCE:
        if key in results:
            results[key] = results[key][kept]
