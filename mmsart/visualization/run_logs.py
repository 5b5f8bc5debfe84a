"""Reading what a training has logged."""
import datetime
import json
import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from mmsart.utils import MissingFileError, UserError

_TIMESTAMP = re.compile(r'^(\d{4}/\d\d/\d\d \d\d:\d\d:\d\d) - ')


@dataclass
class Series:
    """One logged scalar: iterations (int64, shape (N,)) and values (float64, shape (N,))."""

    iterations: np.ndarray
    values: np.ndarray

    def __len__(self) -> int:
        return len(self.values)


@dataclass
class RunLog:
    """The log of one run, all of its sessions joined.

    Attributes:
        name: the work dir's name.
        path: the work dir.
        train: records logged in training, oldest first; each has ``iter``, counted from 1.
        val: records of validations; ``iter`` is the last training iteration logged before.
        seconds: time between the first and last log line, summed over the sessions, or None.
        stages: names of the stages by index, from the config; empty without stages.
    """

    name: str
    path: Path
    train: list[dict[str, Any]] = field(default_factory=list)
    val: list[dict[str, Any]] = field(default_factory=list)
    seconds: float | None = None
    stages: list[str] = field(default_factory=list)

    def series(self, kind: str, key: str) -> Series:
        """Return the logged values of one scalar.

        Args:
            kind: ``'train'`` or ``'val'``.
            key: the scalar's name.
        """
        records = [record for record in getattr(self, kind) if key in record]
        return Series(np.array([record['iter'] for record in records], np.int64),
                      np.array([record[key] for record in records], np.float64))

    def keys(self, kind: str) -> list[str]:
        """Name the scalars that were logged, in the order of their first appearance."""
        return list(dict.fromkeys(key for record in getattr(self, kind) for key in record))

    def epochs(self, iterations: np.ndarray) -> np.ndarray:
        """Turn iterations into fractions of epochs; epochs may differ in length.

        Args:
            iterations: counted from 1, shape (N,).

        Returns:
            Epochs completed at these iterations, float64, shape (N,). Of a run that does not
            count epochs, the iterations themselves.
        """
        ends: dict[int, int] = {}
        for record in self.train:
            ends[record.get('epoch', 1)] = record['iter']
        if len(ends) < 2:
            return np.asarray(iterations, np.float64)
        x, y = [0, *ends.values()], [0, *ends]
        x[-1] = max(x[-1], x[-2] + (x[-2] - x[-3]) // max(y[-2] - y[-3], 1))  # still under way
        return np.interp(iterations, x, y)

    @property
    def counts_epochs(self) -> bool:
        """Whether :meth:`epochs` gives epochs."""
        return len({record.get('epoch', 1) for record in self.train}) > 1

    def borders(self) -> list[tuple[int, str]]:
        """Give, for each stage after the first, the last iteration before it and its name."""
        stage = self.series('train', 'stage')
        return [(int(stage.iterations[at]), self._stage_name(int(stage.values[at + 1])))
                for at in np.flatnonzero(np.diff(stage.values))]

    def _stage_name(self, index: int) -> str:
        return self.stages[index] if index < len(self.stages) else f'stage {index + 1}'


def read_run(work_dir: str | Path) -> RunLog:
    """Read the log of a run from its work dir.

    A resumed run has a folder for each session. A later session replaces what an earlier one
    logged of the same iterations, so a run started anew in the same folder hides the old one.

    Args:
        work_dir: the work dir of a training.

    Raises:
        MissingFileError: the folder or its logs do not exist.
        UserError: a log is not what mmengine's local backend writes, or holds no record.
    """
    path = Path(work_dir)
    if path.is_file():
        raise UserError(f'{path}: found a file, expected the work dir of a training')
    logs = sorted(path.glob('*/vis_data/scalars.json'))
    if not logs:
        raise MissingFileError(
            f'{path}: expected the work dir of a training, found no */vis_data/scalars.json')
    run = RunLog(path.resolve().name, path)
    for log in logs:
        _join(run, _read_session(log))
    if not run.train and not run.val:
        raise UserError(f'{logs[-1]}: expected logged values, found none')
    sessions = [_session_seconds(log.parents[1]) for log in logs]
    if all(seconds is not None for seconds in sessions):
        run.seconds = sum(seconds for seconds in sessions if seconds is not None)
    run.stages = _stage_names(logs[-1].parent / 'config.py')
    return run


def _read_session(path: Path) -> list[dict[str, Any]]:
    records = []
    lines = path.read_text(errors='replace').splitlines()
    for number, line in enumerate(lines, 1):
        try:
            record = dict(json.loads(line))
            if not isinstance(record.get('iter', 0), int):
                raise TypeError
            # Somebody's own metric may have logged words beside its numbers.
            records.append({key: value for key, value in record.items()
                            if isinstance(value, int | float)})
        except (ValueError, TypeError):
            if number == len(lines):
                break  # a kill may have cut the last line
            raise UserError(f'{path}: line {number}: expected a JSON object, '
                            f'found {line[:40]!r}') from None
    return records


def _join(run: RunLog, records: list[dict[str, Any]]) -> None:
    first = next((record['iter'] for record in records if 'iter' in record), None)
    if first is not None:
        run.train = [record for record in run.train if record['iter'] < first]
        run.val = [record for record in run.val if record['iter'] < first]
    last = run.train[-1]['iter'] if run.train else 0
    for record in records:
        if 'iter' in record:
            last = record['iter']
            run.train.append(record)
        else:
            run.val.append({**record, 'iter': last})


def _session_seconds(folder: Path) -> float | None:
    stamps = [match[1] for log in sorted(folder.glob('*.log'))
              for line in log.read_text(errors='replace').splitlines()
              if (match := _TIMESTAMP.match(line))]
    if not stamps:
        return None
    first, last = (datetime.datetime.strptime(stamp, '%Y/%m/%d %H:%M:%S')
                   for stamp in (stamps[0], stamps[-1]))
    return (last - first).total_seconds()


def _stage_names(config: Path) -> list[str]:
    if not config.is_file():
        return []
    from mmengine.config import Config  # takes a second, and not every run has stages

    try:
        train_cfg = Config.fromfile(config, import_custom_modules=False).get('train_cfg') or {}
    except Exception:  # the names are an ornament; a config can raise anything
        return []
    return [str(stage.get('name', f'stage {index}'))
            for index, stage in enumerate(train_cfg.get('stages', []), 1)]
