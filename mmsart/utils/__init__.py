"""Errors, command-line glue and safe writing."""
from mmsart.utils.cli import (
    add_checkpoint_config_options,
    add_config_options,
    add_model_options,
    add_run_arguments,
    cli_main,
    make_parser,
)
from mmsart.utils.errors import (
    IncompleteError,
    MissingFileError,
    RunStopped,
    UnforeseenError,
    UserError,
    UserErrors,
    as_user_error,
    did_you_mean,
    missing,
    named,
    raise_all,
    shown,
)
from mmsart.utils.files import (
    atomic_write,
    check_apart,
    check_target,
    check_writable,
    read_json,
    readable,
)

__all__ = ['IncompleteError', 'MissingFileError', 'RunStopped', 'UnforeseenError', 'UserError',
           'UserErrors', 'add_checkpoint_config_options', 'add_config_options',
           'add_model_options', 'add_run_arguments', 'as_user_error', 'atomic_write',
           'check_apart', 'check_target', 'check_writable', 'cli_main', 'did_you_mean',
           'make_parser', 'missing', 'named', 'raise_all', 'read_json', 'readable', 'shown']
