"""What is asked of the page and is not there."""


class NotFoundError(LookupError):
    """An image, a frame or a tile that does not exist; the message is one line."""
