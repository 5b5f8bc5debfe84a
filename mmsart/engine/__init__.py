"""Training loops, hooks and runner parts."""
from mmsart.engine import hooks, runner

__all__ = ['hooks', 'runner']
