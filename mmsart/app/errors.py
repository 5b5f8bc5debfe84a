"""What is asked of the page and cannot be as things are."""
from mmsart.utils import UserError


class NotFoundError(LookupError):
    """An image, a frame or a tile that does not exist; the message is one line."""


class ConflictError(UserError):
    """What is to be changed is no longer what the user has seen."""
