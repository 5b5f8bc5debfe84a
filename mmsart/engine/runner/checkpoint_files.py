"""Finding a checkpoint to go on from, and writing one that is whole or not there."""
import logging
import os
import zipfile
from pathlib import Path


def is_whole(path: str | os.PathLike) -> bool:
    """Tell whether a checkpoint is complete: a zip archive all of whose checksums fit."""
    try:
        with zipfile.ZipFile(path) as archive:
            return archive.testzip() is None
    except (OSError, zipfile.BadZipFile, EOFError):
        return False


def find_resumable(work_dir: str | os.PathLike, logger: logging.Logger | None = None,
                   ) -> str | None:
    """Find the newest checkpoint of a run that is whole.

    That is the one that ``last_checkpoint`` names, in the work dir if the work dir has been
    moved; if it is damaged or missing, the newest ``epoch_*.pth`` or ``iter_*.pth``.

    Args:
        work_dir: folder of the run.
        logger: gets a line for each checkpoint that is passed over.

    Returns:
        The path, or None if there is no whole checkpoint.
    """
    folder = Path(work_dir)
    pointer = folder / 'last_checkpoint'
    candidates = []
    if pointer.is_file():
        named = Path(pointer.read_text().strip())
        candidates.append(named if named.is_file() else folder / named.name)
    files = [*folder.glob('epoch_*.pth'), *folder.glob('iter_*.pth')]
    candidates += sorted(files, key=lambda path: path.stat().st_mtime_ns, reverse=True)
    for path in dict.fromkeys(candidates):
        if is_whole(path):
            return str(path)
        if logger is not None:
            state = 'damaged' if path.is_file() else 'missing'
            logger.warning(f'resume: {path} is {state}, looking for the one before it')
    return None


def publish(temporary: Path, target: Path) -> None:
    """Give a complete file its final name, so that it also outlives a power cut."""
    with temporary.open('rb') as file:
        os.fsync(file.fileno())
    os.replace(temporary, target)
    folder = os.open(target.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)
