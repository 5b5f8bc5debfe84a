"""Schedulers of a run that continues for longer than first planned."""
import copy
import logging
from collections.abc import Mapping, Sequence
from typing import Any

from mmengine.optim.scheduler.param_scheduler import (
    ReduceOnPlateauParamScheduler,
    _ParamScheduler,
)

# What moves while a scheduler runs; all else says what its curve looks like.
MOVING = frozenset((
    'begin', 'end', 'last_step', 'base_values', 'verbose', '_global_step', '_last_value', 'best',
    'num_bad_epochs', 'cooldown_counter', 'last_epoch'))


def all_schedulers(schedulers: Any) -> list[_ParamScheduler]:
    """List a runner's schedulers, those of several optimizers too."""
    if isinstance(schedulers, Mapping):
        return [each for some in schedulers.values() for each in all_schedulers(some)]
    return [each for each in schedulers or [] if isinstance(each, _ParamScheduler)]


def curves_of(schedulers: Any) -> list[dict[str, Any]]:
    """Copy the state of schedulers as the config makes them, before saved states load."""
    return [{key: copy.deepcopy(value) for key, value in vars(each).items() if key != 'optimizer'}
            for each in all_schedulers(schedulers)]


def lengthen(schedulers: Any, made: Sequence[Mapping[str, Any]], logger: logging.Logger) -> None:
    """Extend resumed schedulers to the length that the config says now.

    Those that a longer run prolongs without another curve (steps, milestones, plateaus) go on as
    if the run had been as long from the start. Those whose curve was laid over the length of the
    run (linear, cosine) have come to its end, and stay there.

    Args:
        schedulers: of the runner, with the states of the checkpoint.
        made: what :func:`curves_of` gave for the schedulers of the config.
        logger: gets a warning for each that stays at the end of its curve.
    """
    for scheduler, config in zip(all_schedulers(schedulers), made, strict=True):
        old_end, end = scheduler.end, config['end']
        if end == old_end:
            continue
        state = vars(scheduler)
        if any(state.get(key) != value for key, value in config.items()
               if key not in MOVING):
            logger.warning(
                f'resume: {type(scheduler).__name__} was made for a run of {old_end} '
                f'{"epochs" if scheduler.by_epoch else "iterations"}, not {end}; '
                f'its last value {scheduler.get_last_value()[0]:.3g} is kept from then on')
            continue
        scheduler.end = end
        missed = min(scheduler._global_step + 1, end) - old_end  # steps beyond its old end
        # What a plateau has not looked at is gone; it waits for the next validation.
        if missed > 0 and not isinstance(scheduler, ReduceOnPlateauParamScheduler):
            scheduler._global_step -= missed
            for _ in range(missed):
                scheduler.step()
