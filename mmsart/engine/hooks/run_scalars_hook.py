"""What a curve needs and the stock log leaves out."""
import resource
import sys
from typing import Any

from mmengine.hooks import Hook
from mmengine.registry import HOOKS
from mmengine.runner import Runner

from mmsart.engine.part_lrs import part_lrs
from mmsart.utils.bare_model import bare_model


@HOOKS.register_module()
class RunScalarsHook(Hook):
    """Log the learning rate of each part, the stage and the memory of the process.

    The stock log names one learning rate, that of the optimizer's own settings, which no
    parameter need have. Scalars: ``lr/<part>_lr`` (0 while nothing of the part learns), ``stage``
    (index, where the training has stages) and ``host_memory`` (peak resident size of this
    process so far, in MiB, without loader processes).

    Args:
        interval: iterations between two values. The log shows the last value.
    """

    priority = 'VERY_HIGH'

    def __init__(self, interval: int = 1) -> None:
        self.interval = interval

    def before_train_iter(self, runner: Runner, batch_idx: int, data_batch: Any = None) -> None:
        """Record the values with which this iteration is made."""
        if batch_idx % self.interval:
            return
        model = bare_model(runner.model)
        hub = runner.message_hub
        rates = part_lrs(model, runner.optim_wrapper.optimizer)
        named = {f'train/lr/{part}_lr': rate for part, rate in rates.items()}
        for key in [key for key in hub.log_scalars if key.startswith('train/lr/')]:
            if key not in named:  # of an earlier stage; the log would repeat it for ever
                del hub.log_scalars[key]
        for key, rate in named.items():
            hub.update_scalar(key, rate)
        stage = getattr(runner.train_loop, 'stage_index', None)
        if stage is not None:
            hub.update_scalar('train/stage', stage)
        hub.update_scalar('train/host_memory', peak_resident_mib())


def peak_resident_mib() -> float:
    """Return the peak resident size of this process so far, in MiB."""
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / (2**20 if sys.platform == 'darwin' else 2**10)  # bytes there, KiB elsewhere
