"""What a browser sends, checked."""
from __future__ import annotations

import json
import math
from typing import Any

from fastapi import HTTPException, Request

from mmsart.app.items import as_read_options
from mmsart.app.limits import Limits
from mmsart.utils import UserError

READ_OPTIONS: dict[str, tuple[type, ...]] = dict(
    axes=(str,), channel=(str, int), series=(int,), pixel_size=(int, float), normalize=(str, list))
READ_EXPECTED = dict(
    axes='letters such as TYX', channel='a number from 0 or a name', series='a whole number',
    pixel_size='micrometres', normalize='two grey values')


async def read_json(request: Request, limits: Limits) -> dict[str, Any]:
    """Read a request's JSON object.

    Args:
        request: whose body it is; an empty one stands for no values.
        limits: of its length.

    Returns:
        Values by name.

    Raises:
        HTTPException: 413, it is too long.
        UserError: it is no JSON object.
    """
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > limits.json_bytes:
            raise HTTPException(413, 'found too long a request')
    return parse_json(bytes(body) or b'{}')


def parse_json(text: str | bytes) -> dict[str, Any]:
    """Read a JSON object whose numbers are finite.

    Args:
        text: as it was sent.

    Returns:
        Values by name.

    Raises:
        UserError: it is no JSON object.
    """
    try:
        plain = json.loads(text, parse_float=_finite, parse_constant=_finite)
    except (ValueError, RecursionError):
        raise UserError('found no JSON, expected an object') from None
    if not isinstance(plain, dict):
        raise UserError('found JSON of another kind, expected an object')
    return plain


def read_options(given: Any) -> dict[str, Any]:
    """Check options of reading.

    Args:
        given: by the names of :class:`~mmsart.imaging.read_options.ReadOptions`, as JSON holds
            them.

    Returns:
        Those that say something, for :func:`~mmsart.app.items.as_read_options`.

    Raises:
        UserError: an option is unknown, or wrong for any file.
    """
    if not isinstance(given, dict):
        raise UserError(f'read: found {given!r}, expected options by name')
    options = {name: value for name, value in given.items() if value not in (None, '')}
    for name, value in options.items():
        if name not in READ_OPTIONS or not isinstance(value, READ_OPTIONS[name]):
            raise UserError(f'read: found {name}={value!r}, expected '
                            + (READ_EXPECTED.get(name) or f'one of {", ".join(READ_OPTIONS)}'))
    normalize = options.get('normalize')
    if isinstance(normalize, list) and not (
            len(normalize) == 2 and all(isinstance(each, int | float) for each in normalize)):
        raise UserError(f'read: normalize: found {normalize!r}, expected two numbers')
    if isinstance(normalize, str) and normalize != 'none':
        raise UserError(f'read: normalize: found {normalize!r}, expected two numbers or none')
    as_read_options(options)  # refuses what fits no file
    return options


def read_changes(given: Any) -> dict[str, Any]:
    """Check changes of options of reading.

    Args:
        given: as for :func:`read_options`; None or an empty text takes an option back.

    Returns:
        All of them, with None for those that are taken back.

    Raises:
        UserError: an option is unknown, or wrong for any file.
    """
    options = read_options(given)
    if unknown := sorted(set(given) - set(READ_OPTIONS)):
        raise UserError(f'read: found {unknown[0]!r}, expected one of {", ".join(READ_OPTIONS)}')
    return {name: options.get(name) for name in given}


def _finite(text: str) -> float:
    """Read a number; what JSON cannot hold could be kept, but never answered."""
    value = float(text)
    if not math.isfinite(value):
        raise ValueError(text)
    return value
