"""Errors, command-line glue and safe writing."""
from mmsart.utils.cli import cli_main
from mmsart.utils.errors import MissingFileError, UserError
from mmsart.utils.files import atomic_write, check_writable

__all__ = ['MissingFileError', 'UserError', 'atomic_write', 'check_writable', 'cli_main']
