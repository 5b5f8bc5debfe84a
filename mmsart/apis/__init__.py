"""Configs, checks, training, testing and prediction: what tools, the command and the page call."""
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from mmsart.apis.inference import CellSegmenter

__all__ = ['CellSegmenter']


def __getattr__(name: str) -> Any:
    """Import the predictor when it is asked for: with torch it takes seconds."""
    if name == 'CellSegmenter':
        from mmsart.apis.inference import CellSegmenter
        return CellSegmenter
    raise AttributeError(f'module {__name__!r} has no attribute {name!r}')
