"""Errors that a user can cause and mend."""


class UserError(ValueError):
    """Bad input; the message is one line with place, what was found and what was expected."""


class MissingFileError(UserError, FileNotFoundError):
    """A file or folder that the user named does not exist."""
