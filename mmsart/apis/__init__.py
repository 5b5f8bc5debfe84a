"""Configs, checks, training, testing and prediction: what tools, the command and the page call."""
import importlib
from typing import TYPE_CHECKING, Any

from mmsart.utils.quiet import import_mmdet

if TYPE_CHECKING:
    from mmsart.apis.config import load_config
    from mmsart.apis.doctor import run_checks
    from mmsart.apis.inference import CellSegmenter
    from mmsart.apis.runs import test_model, train_model

__all__ = ['CellSegmenter', 'load_config', 'run_checks', 'test_model', 'train_model']

_MODULES = {'CellSegmenter': 'inference', 'load_config': 'config', 'run_checks': 'doctor',
            'test_model': 'runs', 'train_model': 'runs'}


def __getattr__(name: str) -> Any:
    """Import a public name, as silently as commands do, when it is asked for: it takes seconds."""
    if name not in _MODULES:
        raise AttributeError(f'module {__name__!r} has no attribute {name!r}')
    if name != 'run_checks':  # which tells where mmdet cannot be imported
        import_mmdet()
    return getattr(importlib.import_module(f'mmsart.apis.{_MODULES[name]}'), name)
