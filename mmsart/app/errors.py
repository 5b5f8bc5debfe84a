"""What is asked of the page and cannot be as things are."""
from mmsart.utils import UserError
from mmsart.utils.cli import DISK_FULL


class NotFoundError(LookupError):
    """An image, a frame or a tile that does not exist; the message is one line."""


class ConflictError(UserError):
    """What is to be changed is no longer what the user has seen."""


def describe_full_disk(error: BaseException) -> str | None:
    """Say that there is no room for what is written.

    Args:
        error: what was raised.

    Returns:
        A line; None for errors that say anything else.
    """
    if not isinstance(error, OSError) or error.errno not in DISK_FULL:
        return None
    return f'{error.strerror}, expected room for what is written'
