"""A cross-validation: a training for each fold, and predictions of all images by models that never
saw them."""
import json
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from mmengine.config import Config

from mmsart.apis.config import LOADERS, load_config
from mmsart.apis.merging import join_predictions
from mmsart.apis.runs import test_model, train_model
from mmsart.datasets.nested import find_datasets
from mmsart.models.detectors.members import keep_soft_masks
from mmsart.utils import UserError, atomic_write, check_writable

SETTINGS_FILE = 'folds.json'
PREDICTIONS_FILE = 'predictions.pkl'
JOINED_FILE = 'out_of_fold.pkl'


def train_folds(config: str, work_dir: str | os.PathLike, folds: int = 5, seed: int = 0,
                only: Sequence[int] | None = None, cfg_options: Sequence[str] = (),
                amp: bool = False) -> Path | None:
    """Train a config on each fold and predict the images that the fold holds back.

    A fold whose predictions are there is done, and one that was begun goes on from its newest
    checkpoint; so the same call, made again, finishes what was interrupted.

    Args:
        config: a config whose data sets split themselves, as those of `SartoriusDataset`, or of
            `CheckedCocoDataset` with a ``split`` and one file for all images.
        work_dir: gets a work dir ``fold0``, ``fold1`` ... for each fold.
        folds: how many.
        seed: of the split.
        only: folds to train now; None for all.
        cfg_options: ``KEY=VALUE`` strings for the config.
        amp: see :func:`mmsart.apis.runs.train_model`.

    Returns:
        The predictions of all folds in one file; None while some are missing.

    Raises:
        UserError: the config has no split, or `work_dir` holds folds of another kind.
        RunStopped: Ctrl-C or SIGTERM has come; a checkpoint is written.
    """
    chosen = range(folds) if only is None else only
    if folds < 2:
        raise UserError(f'--folds: found {folds}, expected at least 2')
    if not all(0 <= fold < folds for fold in chosen):
        raise UserError(f'--only: found {" ".join(map(str, chosen))}, expected numbers from 0 to '
                        f'{folds - 1}')
    folder = Path(work_dir)
    _fold_config(config, folder, folds, 0, seed, cfg_options)  # refused before anything is written
    _check_settings(folder, dict(config=Path(config).name, folds=folds, seed=seed,
                                 cfg_options=list(cfg_options)))
    for fold in chosen:
        target = _predictions(folder, fold)
        if target.is_file():
            print(f'fold {fold}: done ({target})')
            continue
        print(f'fold {fold} of {folds}: {target.parent}')
        train_model(_fold_config(config, folder, folds, fold, seed, cfg_options), 'auto', amp)
        cfg = _fold_config(config, folder, folds, fold, seed, cfg_options)
        keep_soft_masks(cfg.model)  # for the tuner and for a fusion
        test_model(cfg, str(target.parent), out=str(target))
    files = [_predictions(folder, fold) for fold in range(folds)]
    if not all(file.is_file() for file in files):
        return None
    join_predictions(files, folder / JOINED_FILE)
    return folder / JOINED_FILE


def _predictions(folder: Path, fold: int) -> Path:
    return folder / f'fold{fold}' / PREDICTIONS_FILE


def _fold_config(config: str, folder: Path, folds: int, fold: int, seed: int,
                 cfg_options: Sequence[str]) -> Config:
    cfg = load_config(config, cfg_options, str(folder / f'fold{fold}'))
    split = dict(type='kfold', n=folds, fold=fold, seed=seed)
    for loader in LOADERS:
        found: list[Any] = [
            each for each in find_datasets(cfg.get(loader)) if each.get('split') is not None]
        if not found:
            raise UserError(f'{config}: {loader}: found no data set with a split, expected one '
                            'that parts its images itself, as SartoriusDataset and '
                            'CheckedCocoDataset do by split and subset')
        for dataset in found:
            dataset.split = dict(split)
    cfg.split = split
    return cfg


def _check_settings(folder: Path, settings: dict[str, Any]) -> None:
    """Note what is trained on which split, and refuse to mix with folds of another kind."""
    path = check_writable(folder) / SETTINGS_FILE
    if path.is_file():
        known = json.loads(path.read_text())
        for name, value in settings.items():
            if known.get(name) != value:
                raise UserError(f'{path}: {name}: found {known.get(name)}, expected {value}; '
                                'another --work-dir keeps these folds apart from those that are '
                                'there')
        return
    with atomic_write(path) as temporary:
        temporary.write_text(json.dumps(settings) + '\n')
