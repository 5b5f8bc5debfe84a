"""Work dirs: which training a folder holds, so that no two of them mix."""
import re
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from mmengine.config import Config

from mmsart.engine.runner.checkpoint_files import (
    INTERRUPTED,
    POINTER,
    find_resumable,
    read_last_checkpoint,
)
from mmsart.utils import UserError
from mmsart.utils.locks import locked

POSTPROCESS_FILE = 'postprocess.json'
# What belongs to the weights of one training, and must not stand beside those of another.
RUN_FILES = ('epoch_*.pth', 'iter_*.pth', 'best_*.pth', INTERRUPTED, POINTER, POSTPROCESS_FILE)
RESUMABLE = re.compile(rf'(epoch|iter)_\d+\.pth|{re.escape(INTERRUPTED)}')
FIGURES = ('curves.png', 'curves.svg')
SESSION = re.compile(r'\d{8}_\d{6}')  # folder of the log of a session


@contextmanager
def hold_work_dir(cfg: Config, overwrite: bool) -> Iterator[None]:
    """Hold a training's folder for this process alone.

    Args:
        cfg: config of the run, whose folder exists.
        overwrite: whether to remove the training that is there.

    Raises:
        UserError: another training is under way there, or has ended there since this one's folder
            was checked; see :func:`check_work_dir`.
    """
    with locked(cfg.work_dir, 'training'):
        check_work_dir(cfg, find_begun(cfg), overwrite)
        if overwrite:
            remove_run(cfg)
        yield


def find_begun(cfg: Config) -> str | None:
    """Return the checkpoint that a run goes on from, if it resumes and there is one."""
    if cfg.get('resume') and cfg.resume != 'auto' and cfg.get('load_from'):
        return str(cfg.load_from)
    return find_resumable(cfg.work_dir) if cfg.get('resume') else None


def check_work_dir(cfg: Config, begun: str | None, overwrite: bool) -> None:
    """Check that a training will not mix with another one.

    A used folder is refused rather than given a numbered sub-folder: WORK_DIR stays the one name
    under which a training is tested, tuned, compared and resumed, and the command that was
    started twice by mistake says so.

    Args:
        cfg: config of the run.
        begun: the checkpoint that it goes on from, or None.
        overwrite: whether it may take the place of another.

    Raises:
        UserError: its folders hold a training, and not the one that goes on; or the weights to
            begin with are among the files to remove.
    """
    if begun and overwrite:
        raise UserError('--overwrite: found --resume too, expected one of them')
    files = run_files(cfg)
    if overwrite:
        start = cfg.get('load_from')
        if start and Path(start).resolve() in {file.resolve() for file in files}:
            raise UserError(f'load_from: found {start}, which --overwrite removes, expected a copy '
                            'elsewhere, or another --work-dir')
        return
    if not files:
        return
    holds = f'{cfg.work_dir}: found a training already ({files[0].name})'
    if begun is None and cfg.get('resume'):
        raise UserError(f'{cfg.work_dir}: --resume: found no whole checkpoint to go on from '
                        f'({_why_none(files)}), expected one, --overwrite to begin anew, or '
                        'another --work-dir')
    if begun is None:
        raise UserError(f'{holds}, expected --resume to go on with it, --overwrite to remove it '
                        'and begin anew, or another --work-dir')
    if Path(begun).resolve().parent not in {file.resolve().parent for file in files}:
        raise UserError(f'{holds}, expected that of {begun}, or another --work-dir')


def _why_none(files: list[Path]) -> str:
    """Say what a work dir holds in the place of a checkpoint that a training could go on from."""
    damaged = [file.name for file in files if RESUMABLE.fullmatch(file.name)]
    return f'{damaged[0]} is damaged' if damaged else f'{files[0].name} is none'


def check_free(folder: Path, checkpoint: str) -> None:
    """Check that weights which are no training's will not stand among the files of one.

    Args:
        folder: where they are to be written; need not exist.
        checkpoint: their name. A ``last_checkpoint`` that names it is theirs, from an earlier time.

    Raises:
        UserError: the folder holds a training, or settings that were tuned on other weights.
    """
    for file in (file for pattern in RUN_FILES for file in sorted(folder.glob(pattern))):
        last = read_last_checkpoint(folder) if file.name == POINTER else None
        if last is None or last.name != checkpoint:
            raise UserError(f'{folder}: found {file.name}, which belongs to other weights, '
                            'expected a folder without a training')


def run_files(cfg: Config) -> list[Path]:
    """List the files of a training in the folders that a config names, checkpoints first."""
    return [file for pattern in RUN_FILES for folder in _folders(cfg)
            for file in sorted(folder.glob(pattern))]


def remove_run(cfg: Config) -> None:
    """Remove a training from the folders that a config names; files of others stay."""
    work_dir = Path(cfg.work_dir)
    for file in [*run_files(cfg), *(work_dir / name for name in FIGURES)]:
        file.unlink(missing_ok=True)
    for folder in work_dir.iterdir():
        if SESSION.fullmatch(folder.name) and folder.is_dir():
            shutil.rmtree(folder)


def _folders(cfg: Config) -> list[Path]:
    """Return the work dir and, where checkpoints go elsewhere, their folder."""
    work_dir = Path(cfg.work_dir)
    hook: Any = (cfg.get('default_hooks') or {}).get('checkpoint')
    out_dir = hook.get('out_dir') if isinstance(hook, Mapping) else None
    if not out_dir or '://' in str(out_dir):
        return [work_dir]
    return [work_dir, Path(out_dir) / work_dir.name]  # as mmengine's CheckpointHook has it
