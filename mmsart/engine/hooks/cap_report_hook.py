"""Hook that names the images that may hold more cells than the model may find."""
from collections.abc import Sequence
from contextlib import ExitStack
from typing import Any

from mmengine.dist import all_gather_object
from mmengine.hooks import Hook
from mmengine.registry import HOOKS
from mmengine.runner import Runner

from mmsart.models.caps import ReachedCap, describe_caps, watch_caps


@HOOKS.register_module()
class CapReportHook(Hook):
    """Warn, after a validation or test, of each cap that was reached.

    mmdet cuts without a word: a dense image then has exactly ``max_per_img`` detections. See
    :func:`mmsart.models.caps.watch_caps` for the caps.
    """

    def __init__(self) -> None:
        self._watching = ExitStack()
        self._found: list[ReachedCap] = []
        self._images = 0

    def before_val_epoch(self, runner: Runner) -> None:
        """Begin to watch."""
        self._found = self._watching.enter_context(watch_caps(runner.model))
        self._images = 0

    def after_val_iter(self, runner: Runner, batch_idx: int, data_batch: Any = None,
                       outputs: Sequence | None = None) -> None:
        """Count the images."""
        self._images += len(outputs or ())

    def after_val_epoch(self, runner: Runner, metrics: dict[str, float] | None = None) -> None:
        """Report, and stop watching."""
        self._watching.close()
        parts = all_gather_object((self._found, self._images))
        found = [cap for part, _ in parts for cap in part]
        for line in describe_caps(found, sum(images for _, images in parts)):
            runner.logger.warning(line)

    before_test_epoch = before_val_epoch
    after_test_iter = after_val_iter
    after_test_epoch = after_val_epoch
