"""The file by which a browser learns the page's address where that holds a token."""
from __future__ import annotations

import html
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

NAME = 'open.html'


@contextmanager
def redirection(folder: Path, address: str) -> Iterator[str]:
    """Keep an address in a file that the user alone can read.

    What a browser is told to open stands in its command line, which everybody who uses the
    computer can read.

    Args:
        folder: where the file is written.
        address: with its token.

    Yields:
        What to open instead: the file, which leads on; it is removed in the end.
    """
    path, quoted = folder.absolute() / NAME, html.escape(address)
    path.unlink(missing_ok=True)
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), 'w',
                   encoding='utf-8') as file:
        file.write(f'<!doctype html>\n<meta charset="utf-8">\n<title>mmsart</title>\n'
                   f'<meta http-equiv="refresh" content="0; url={quoted}">\n'
                   f'<p>The page is at <a href="{quoted}">{quoted}</a>.</p>\n')
    try:
        yield path.as_uri()
    finally:
        path.unlink(missing_ok=True)
