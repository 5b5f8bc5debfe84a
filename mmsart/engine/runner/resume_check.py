"""Whether a run may go on from a checkpoint: its stages, optimizer and schedulers must be the same.

mmengine restores the state of optimizer and schedulers over whatever the config says, so that
other settings would be lost without a word. A longer run is no other setting.
"""
import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from mmengine.dist import get_world_size

from mmsart.engine.runner.stages import Stage, plain_types, read_stages
from mmsart.utils import UserError

SCHEDULE_KEYS = ('optim_wrapper', 'param_scheduler', 'auto_scale_lr')
LENGTHS = ('max_epochs', 'max_iters')
REMEDY = ('resume with the settings of the run, or give the checkpoint as load_from and start a '
          'new work_dir')


def plain_schedule(cfg: Mapping[str, Any]) -> dict[str, Any]:
    """Return what a schedule without stages is made of, for its checkpoints."""
    return {key: plain_types(cfg.get(key)) for key in SCHEDULE_KEYS}


def lr_scaling(cfg: Mapping[str, Any]) -> dict[str, int] | None:
    """Return what the learning rates of each stage are scaled by; None where they are not.

    Args:
        cfg: config of a run.

    Returns:
        ``base_batch_size``, that of the config's rates, and ``batch_size`` of all processes.
    """
    scale = cfg.get('auto_scale_lr') or {}
    if not scale.get('enable'):
        return None
    return dict(base_batch_size=scale['base_batch_size'],
                batch_size=cfg['train_dataloader']['batch_size'] * get_world_size())


def check_resume(checkpoint: Mapping[str, Any], cfg: Mapping[str, Any]) -> None:
    """Check that a run of a config may go on from a checkpoint.

    Args:
        checkpoint: as a run of this project has written it.
        cfg: config of the run.

    Raises:
        UserError: the checkpoint holds weights only, or is of a run with other settings.
    """
    if 'optimizer' not in checkpoint:
        raise UserError('resume: the checkpoint holds weights only, as best_*.pth do; resume '
                        'from an epoch_*.pth, or give it as load_from')
    stages = (cfg.get('train_cfg') or {}).get('stages')
    state = checkpoint.get('stage_state')
    if stages:
        if state is None:
            raise UserError('resume: the checkpoint is not from a run in stages; '
                            'give it as load_from to start from its weights')
        check_stages(state, read_stages(stages))
        if 'lr_scaling' in state:
            _refuse_difference(state['lr_scaling'], lr_scaling(cfg),
                               'auto_scale_lr (--auto-scale-lr)')
    elif state is not None:
        raise UserError('resume: the checkpoint is from a run in stages, the config has none; '
                        'give it as load_from to start from its weights')
    elif 'schedule' in checkpoint:
        for key, value in plain_schedule(cfg).items():
            _refuse_difference(checkpoint['schedule'].get(key), value, key)


def check_epoch_length(state: Mapping[str, Any], length: int) -> None:
    """Check that a checkpoint written within an epoch fits the epochs of a run.

    Args:
        state: the ``stage_state`` of the checkpoint.
        length: batches of an epoch of this process.

    Raises:
        UserError: the batches that are left cannot be told.
    """
    if state['batch'] and state['epoch_length'] != length:
        raise UserError(
            f'resume: the checkpoint was written within an epoch of {state["epoch_length"]} '
            f'batches, this run has {length}; expected the same data, batch size and number of '
            'processes')


def check_stages(state: Mapping[str, Any], stages: Sequence[Stage]) -> None:
    """Check that a checkpoint's stages, as far as they have begun, are those of the config.

    Args:
        state: the ``stage_state`` of the checkpoint.
        stages: stages of the config.

    Raises:
        UserError: a stage up to the one under way is missing or differs; but that one may be
            longer, or shorter by what it has not done yet.
    """
    saved, current = state['stages'], state['stage_index']
    if len(stages) <= current:
        raise UserError(
            f'train_cfg.stages: the checkpoint was written in stage {current + 1} '
            f'({saved[current]["name"]}), the config has {len(stages)}; {REMEDY}')
    done = dict(max_epochs=state['stage_epoch'], max_iters=state['stage_iter'])
    for number, stage in enumerate(stages[:current + 1]):
        place = f'train_cfg.stages[{number}]'
        for key, text in stage.fingerprint().items():
            found, value = json.loads(saved[number].get(key, 'null')), json.loads(text)
            if number == current and key in LENGTHS and None not in (found, value):
                if value < done[key]:
                    raise UserError(f'{place}.{key}: {value} in the config, {done[key]} are done '
                                    f'in the checkpoint; expected at least {done[key]}')
                continue
            _refuse_difference(found, value, f'{place}.{key}')


def _refuse_difference(saved: Any, new: Any, place: str) -> None:
    for where, old, now in _differences(saved, new, place):
        raise UserError(f'{where}: {json.dumps(now)} in the config, {json.dumps(old)} in the '
                        f'checkpoint; {REMEDY}')


def _differences(saved: Any, new: Any, place: str) -> Iterator[tuple[str, Any, Any]]:
    """List the places in which two settings differ, with both values."""
    if isinstance(saved, dict) and isinstance(new, dict):
        for key in {**saved, **new}:
            yield from _differences(saved.get(key), new.get(key), f'{place}.{key}')
    elif isinstance(saved, list) and isinstance(new, list) and len(saved) == len(new):
        for number, (old, now) in enumerate(zip(saved, new, strict=True)):
            yield from _differences(old, now, f'{place}[{number}]')
    elif saved != new:
        yield place, saved, new
