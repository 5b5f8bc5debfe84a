"""Errors, command-line glue and safe writing."""
from mmsart.utils.cli import add_run_arguments, cli_main
from mmsart.utils.errors import MissingFileError, UserError, as_user_error
from mmsart.utils.files import atomic_write, check_target, check_writable

__all__ = ['MissingFileError', 'UserError', 'add_run_arguments', 'as_user_error', 'atomic_write',
           'check_target', 'check_writable', 'cli_main']
