"""What the page takes from a browser."""
from dataclasses import dataclass


@dataclass(frozen=True)
class Limits:
    """Bounds on what is sent.

    Attributes:
        upload_bytes: of one file.
        pixels: of one frame.
        frames: of one file.
        items: images in the workspace.
        uploads_at_once: files received at the same time; others wait.
        json_bytes: of a request that is no file.
        keep_days: days after its last change after which an upload is removed with its results,
            if nobody has worked on it; 0 keeps all.
    """

    upload_bytes: int = 1 << 30
    pixels: int = 1 << 28
    frames: int = 2_000
    items: int = 5_000
    uploads_at_once: int = 4
    json_bytes: int = 1 << 22
    keep_days: int = 30
