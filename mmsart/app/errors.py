"""What is asked of the page and cannot be as things are."""
import re

from mmsart.utils import UserError
from mmsart.utils.cli import DISK_FULL

FIELDS = {'--axes': 'Axes', '--channel': 'Channel', '--series': 'Series',
          '--pixel-size': 'Pixel size', '--normalize': 'Black at, White at'}
"""What the page calls the options of commands that say how a file is read."""


class NotFoundError(LookupError):
    """An image, a frame or a tile that does not exist; the message is one line."""


class ConflictError(UserError):
    """What is to be changed is no longer what the user has seen."""


def name_fields(message: str) -> str:
    """Name fields of the page in a message that names options of commands.

    Args:
        message: a line about how a file is read.

    Returns:
        The line for a page's reader.
    """
    message = message.replace(' or --series all', '')  # the page has no field for that
    for option, name in FIELDS.items():
        message = re.sub(rf'(?<!\S){option}\b', name, message)
    return message


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
