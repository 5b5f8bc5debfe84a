"""One stage of a training run, as the config declares it."""
import copy
import json
import math
import re
from dataclasses import dataclass, field, fields
from typing import Any

from mmsart.utils import UserError


@dataclass(frozen=True)
class Stage:
    """What learns, for how long, and how.

    Attributes:
        name: label of the stage in the log.
        optim_wrapper: config of the optimizer wrapper. Unless it names a `constructor`,
            :class:`GroupedOptimWrapperConstructor` builds it.
        max_epochs: length in epochs, or None.
        max_iters: length in iterations, or None; just one of the two is given.
        trainable: regular expressions; a parameter whose name *begins* with a match learns.
        frozen: regular expressions that except parameters from `trainable`.
        param_scheduler: configs of schedulers, counted from the start of the stage.
        pipeline: data pipeline during the stage, in the place of the data sets'; None is their own.
        ema: config of an averaged model (``dict(type='ExpMomentumEMA', momentum=1e-3)``).
        val_interval: epochs (or iterations) between validations; None is the loop's or, in a
            stage of `max_iters`, only at its end.
    """

    name: str
    optim_wrapper: dict
    max_epochs: int | None = None
    max_iters: int | None = None
    trainable: list[str] = field(default_factory=lambda: ['.*'])
    frozen: list[str] = field(default_factory=list)
    param_scheduler: list[dict] = field(default_factory=list)
    pipeline: list[dict] | None = None
    ema: dict | None = None
    val_interval: int | None = None

    @classmethod
    def from_cfg(cls, cfg: dict, place: str) -> 'Stage':
        """Read a stage from its config.

        Args:
            cfg: the config; it is copied.
            place: where it stands, for messages, as ``train_cfg.stages[0]``.

        Raises:
            UserError: a key is missing, unknown or has an invalid value.
        """
        cfg = copy.deepcopy(dict(cfg))
        known = {item.name for item in fields(cls)}
        for key in cfg:
            if key not in known:
                raise UserError(f'{place}: unknown key {key!r}, expected some of {sorted(known)}')
        for key in ('name', 'optim_wrapper'):
            if key not in cfg:
                raise UserError(f'{place}: key {key!r} is missing')
        if isinstance(cfg.get('param_scheduler'), dict):
            cfg['param_scheduler'] = [cfg['param_scheduler']]
        stage = cls(**{key: value for key, value in cfg.items() if value is not None})
        stage.optim_wrapper.setdefault('constructor', 'GroupedOptimWrapperConstructor')
        stage._check(place)
        return stage

    def _check(self, place: str) -> None:
        lengths = [value for value in (self.max_epochs, self.max_iters) if value is not None]
        if len(lengths) != 1 or not isinstance(lengths[0], int) or lengths[0] < 1:
            raise UserError(
                f'{place} ({self.name}): expected either max_epochs or max_iters, a whole number '
                f'>= 1, found max_epochs={self.max_epochs} and max_iters={self.max_iters}')
        if self.val_interval is not None and (
                not isinstance(self.val_interval, int) or self.val_interval < 1):
            raise UserError(f'{place}.val_interval: found {self.val_interval!r}, expected a whole '
                            'number >= 1')
        for key in ('trainable', 'frozen'):
            patterns = getattr(self, key)
            if isinstance(patterns, str):
                raise UserError(f'{place}.{key}: expected a list of patterns, found {patterns!r}')
            for pattern in patterns:
                try:
                    re.compile(pattern)
                except re.error as error:
                    raise UserError(
                        f'{place}.{key}: {pattern!r} is not a regular expression: {error}'
                    ) from error

    @property
    def by_epoch(self) -> bool:
        """Whether the stage's length is given in epochs."""
        return self.max_epochs is not None

    def iters(self, epoch_length: int) -> int:
        """Length of the stage in iterations, for `epoch_length` batches per epoch."""
        if self.max_iters is not None:
            return self.max_iters
        assert self.max_epochs is not None
        return self.max_epochs * epoch_length

    def epochs(self, epoch_length: int) -> int:
        """Epochs that the stage begins, for `epoch_length` batches per epoch."""
        return math.ceil(self.iters(epoch_length) / epoch_length)

    def learns(self, name: str) -> bool:
        """Return whether the parameter of that name learns in this stage."""
        return (any(re.match(pattern, name) for pattern in self.trainable)
                and not any(re.match(pattern, name) for pattern in self.frozen))

    def fingerprint(self) -> dict[str, str]:
        """Describe the stage by one line of text per key, to compare with a resumed run's."""
        return {item.name: json.dumps(plain_types(getattr(self, item.name)), sort_keys=True)
                for item in fields(self) if item.name != 'val_interval'}


def plain_types(value: Any) -> Any:
    """Turn the types of a config into types that JSON knows."""
    if isinstance(value, dict):
        return {str(key): plain_types(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [plain_types(item) for item in value]
    return value if isinstance(value, str | int | float | bool | None) else repr(value)


def read_stages(configs: list[dict]) -> list[Stage]:
    """Read all stages of ``train_cfg.stages``.

    Raises:
        UserError: there is none, two have one name, or one is malformed.
    """
    if not isinstance(configs, list | tuple) or not configs:
        raise UserError(f'train_cfg.stages: expected a list of stages, found {configs!r}')
    stages = [Stage.from_cfg(cfg, f'train_cfg.stages[{number}]')
              for number, cfg in enumerate(configs)]
    names = [stage.name for stage in stages]
    if len(set(names)) < len(names):
        raise UserError(f'train_cfg.stages: expected unique names, found {names}')
    return stages


def wrapper_problem(kind: str) -> str:
    """Say why a stage has no pipeline where a data set wraps another and has transforms itself.

    Args:
        kind: name of the wrapper's class, such as ``MultiImageMixDataset``.
    """
    return (f'pipeline: found {kind} among the training data, which has transforms of its own '
            'besides those of the data set that it wraps, expected none where a stage replaces '
            'them')
