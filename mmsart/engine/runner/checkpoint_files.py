"""Finding a checkpoint to test or to resume from, and writing one that is complete or absent."""
import logging
import os
import zipfile
from pathlib import Path

from mmsart.utils import MissingFileError, atomic_write, missing

POINTER = 'last_checkpoint'  # in the work dir, wherever the checkpoints are
INTERRUPTED = 'interrupted.pth'  # of a run that was asked to stop, until its next checkpoint


def is_whole(path: str | os.PathLike) -> bool:
    """Return whether a checkpoint is complete: a zip archive all of whose checksums fit."""
    if not os.path.isfile(path):
        return False
    try:
        with zipfile.ZipFile(path) as archive:
            return archive.testzip() is None
    except (OSError, zipfile.BadZipFile, EOFError):
        return False


def find_resumable(work_dir: str | os.PathLike, logger: logging.Logger | None = None,
                   ) -> str | None:
    """Find the newest checkpoint of a run that is whole.

    That is the one that ``last_checkpoint`` names; if it is damaged or missing, the newest
    ``epoch_*.pth``, ``iter_*.pth`` or ``interrupted.pth``.

    Args:
        work_dir: folder of the run.
        logger: gets a line for each checkpoint that is passed over.

    Returns:
        The path, or None if there is no whole checkpoint.
    """
    folder = Path(work_dir)
    last = read_last_checkpoint(folder)
    candidates = [] if last is None else [last]
    files = [*folder.glob(INTERRUPTED), *folder.glob('epoch_*.pth'), *folder.glob('iter_*.pth')]
    candidates += sorted(files, key=lambda path: path.stat().st_mtime_ns, reverse=True)
    for path in dict.fromkeys(candidates):
        if is_whole(path):
            return str(path)
        if logger is not None:
            state = 'damaged' if path.is_file() else 'missing'
            logger.warning(f'resume: {path} is {state}, trying the one before it')
    return None


def find_checkpoint(path: str | os.PathLike) -> str:
    """Return the checkpoint that a path stands for.

    Args:
        path: a file, or the work dir of a run, which stands for its best checkpoint, or for the
            last one where no validation has chosen a best; also where checkpoints go elsewhere.

    Returns:
        The file.

    Raises:
        MissingFileError: there is none.
    """
    folder = Path(path)
    if folder.is_file():
        return str(path)
    if not folder.is_dir():
        raise missing(path, 'a checkpoint')
    last = read_last_checkpoint(folder)
    folders = {folder}
    if last is not None and not (last.parent / POINTER).exists():  # no work dir of another run
        folders.add(last.parent)
    best = [file for place in folders for file in place.glob('best_*.pth') if file.is_file()]
    if best:
        return str(max(best, key=lambda file: file.stat().st_mtime_ns))
    if last is None:
        raise MissingFileError(f'{path}: no checkpoint in this folder, expected a work dir')
    if not last.is_file():
        raise MissingFileError(
            f'{last}: no such file, expected the checkpoint that {folder}/{POINTER} names')
    return str(last)


def read_last_checkpoint(folder: Path) -> Path | None:
    """Read which checkpoint a work dir's ``last_checkpoint`` names.

    Returns:
        The file in this very folder where it is there, since the folder may have been moved or
        copied; else the file as named. None without a ``last_checkpoint``, or where it is no text.
    """
    pointer = folder / POINTER
    if not pointer.is_file():
        return None
    try:
        named = Path(pointer.read_text().strip())
    except UnicodeDecodeError:  # such as a disk's fault has left
        return None
    beside = folder / named.name
    return beside if beside.is_file() or not named.is_file() else named


def write_last_checkpoint(work_dir: str | os.PathLike, checkpoint: str) -> None:
    """Let a work dir's ``last_checkpoint`` name a checkpoint.

    Args:
        work_dir: folder of the run.
        checkpoint: the file. Beside the pointer it is found from any folder; a local one elsewhere
            is named by its whole path.
    """
    elsewhere = '://' not in checkpoint and Path(checkpoint).parent != Path(work_dir)
    with atomic_write(Path(work_dir) / POINTER) as temporary:
        temporary.write_text(str(Path(checkpoint).absolute()) if elsewhere else checkpoint)


def publish(temporary: Path, target: Path) -> None:
    """Rename a complete file to its final name, so that it also outlives a power cut."""
    with temporary.open('rb') as file:
        os.fsync(file.fileno())
    os.replace(temporary, target)
    folder = os.open(target.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)
