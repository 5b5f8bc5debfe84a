"""Making several trained models one."""
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from mmengine.config import Config

from mmsart.apis.config import load_config
from mmsart.apis.methods import describe_source
from mmsart.apis.models import ModelSource, NoConfigError, find_source
from mmsart.apis.options import split_option
from mmsart.apis.work_dirs import check_free
from mmsart.engine.runner.checkpoint_files import write_last_checkpoint
from mmsart.postprocessing.fusion import FUSE_IOU
from mmsart.utils import UserError, atomic_write, check_apart, check_writable
from mmsart.weights import import_checkpoint

WEIGHTS_FILE, CONFIG_FILE = 'ensemble.pth', 'ensemble.py'
TRAINING = ('train_dataloader', 'train_cfg', 'optim_wrapper', 'param_scheduler', 'custom_hooks',
            'load_from', 'resume', 'auto_scale_lr', 'val_loss_dataloader')
"""Parts of a config that a model which is not trained has no use for."""


def make_ensemble(config: str, weights: Sequence[str | os.PathLike], out: str | os.PathLike,
                  shares: Sequence[float] | None = None, iou_thr: float = FUSE_IOU,
                  cfg_options: Sequence[str] = ()) -> Path:
    """Write a folder that is to every command the work dir of one trained model.

    Args:
        config: config with the data, their transforms and the metrics. Members are built by the
            configs that they carry, or by this one where they carry none.
        weights: of the members: names of models of the package, checkpoints or work dirs.
        out: the folder; gets ``ensemble.pth`` and ``ensemble.py``.
        shares: weights of the members in the fusion, None for equal ones.
        iou_thr: see :func:`~mmsart.postprocessing.fusion.fuse_detections`.
        cfg_options: ``KEY=VALUE`` strings for `config`; those of its model for the members that
            carry no config.

    Returns:
        The checkpoint.

    Raises:
        MissingFileError: a member is missing.
        UserError: the members do not fit together, an option would change nothing, or the
            folder holds a training or a member.
    """
    folder = Path(out)
    check_free(folder, WEIGHTS_FILE)
    cfg = load_config(config, cfg_options)
    carried = [_carried(each) for each in weights]
    _check_options(cfg_options, all(carried))
    members = [own or find_source(each, config, cfg_options)
               for own, each in zip(carried, weights, strict=True)]
    _check_alike(members)
    for name in (WEIGHTS_FILE, CONFIG_FILE):
        check_apart(folder / name, [config, *(member.weights for member in members)])
    model = dict(type='MaskEnsemble', members=[member.model.to_dict() for member in members],
                 weights=shares and list(shares), fuse_iou_thr=iou_thr)
    kept = {key: value for key, value in cfg.to_dict().items()
            if key not in (*TRAINING, 'cfg_options')}
    merged = Config({**kept, 'model': model}, filename=cfg.filename)
    check_writable(folder)
    state = {f'members.{number}.{name}': value for number, member in enumerate(members)
             for name, value in import_checkpoint(member.weights).state_dict.items()}
    meta: dict[str, Any] = dict(
        cfg=merged.pretty_text,
        dataset_meta=dict(classes=members[0].classes, palette=members[0].palette),
        members=[dict(describe_source(member), share=share) for member, share in
                 zip(members, shares or [1.0] * len(members), strict=True)])
    with atomic_write(folder / CONFIG_FILE) as temporary:
        temporary.write_text(merged.pretty_text)
    with atomic_write(folder / WEIGHTS_FILE) as temporary:
        torch.save(dict(state_dict=state, meta=meta), temporary)
    write_last_checkpoint(folder, str(folder / WEIGHTS_FILE))
    return folder / WEIGHTS_FILE


def _carried(weights: str | os.PathLike) -> ModelSource | None:
    """Find a member by the config that it carries; None where it carries none."""
    try:
        return find_source(weights)
    except NoConfigError:
        return None


def _check_options(cfg_options: Sequence[str], all_carry_theirs: bool) -> None:
    """Refuse options that would change nothing."""
    for option in cfg_options:
        part = split_option(option)[0].partition('.')[0]
        if part in TRAINING:
            raise UserError(f'--cfg-options: found {option}, expected none of {part}: an ensemble '
                            'is not trained')
        if part == 'model' and all_carry_theirs:
            raise UserError(f'--cfg-options: found {option}, expected none of model: each member '
                            'carries the config of its own')


def _check_alike(members: Sequence[ModelSource]) -> None:
    first = members[0]
    for member in members[1:]:
        if member.classes != first.classes:
            raise UserError(f'{member.weights}: found classes {", ".join(member.classes)}, '
                            f'expected {", ".join(first.classes)} as in {first.weights}')
        steps = [_without_loading(each.pipeline) for each in (member, first)]
        if steps[0] != steps[1]:
            raise UserError(f'{member.weights}: found another test pipeline than that of '
                            f'{first.weights}, expected the same: members see one image')


def _without_loading(pipeline: Sequence[dict]) -> list[dict]:
    """Leave out how files are read, and which meta information comes along."""
    return [{key: value for key, value in step.items() if key != 'meta_keys'}
            for step in pipeline if not str(step['type']).startswith('Load')]
