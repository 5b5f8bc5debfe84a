"""Who may talk to the server, and what a page from it may do."""
from __future__ import annotations

import hmac
from collections.abc import Awaitable, Callable, MutableMapping, Sequence
from typing import Any
from urllib.parse import parse_qs, quote, urlsplit

from mmsart.app.limits import Limits

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]

LOOPBACK = ('127.0.0.1', 'localhost', '[::1]')
COOKIE = 'mmsart-token-'
"""Begin of a cookie's name. Browsers give one host's cookies to all of its ports, so that the port
belongs to the name: two pages would take each other's."""
UPLOADS = ('/api/files', '/api/truth')
"""Addresses whose bodies are files, which are counted where they are written."""

HEADERS = {
    'content-security-policy':
        "default-src 'self'; object-src 'none'; base-uri 'none'; form-action 'none'; "
        "frame-ancestors 'none'",
    'x-content-type-options': 'nosniff', 'referrer-policy': 'no-referrer',
    'cross-origin-opener-policy': 'same-origin', 'cross-origin-resource-policy': 'same-origin',
    'x-frame-options': 'DENY'}


class Guard:
    """Refuse what other sites send, requests without the token, and bodies that are too long.

    On loopback the name that the browser has asked for must be loopback's, so that no other site
    can point its own name here (DNS rebinding). A request that changes anything must come from a
    page of this server (CSRF). With a token, it must be in the address that is opened first; a
    cookie keeps it from then on.

    Args:
        app: what is guarded.
        token: None where none is asked for.
        hosts: names by which the server may be called, without port; None for any.
        limits: of bodies.
    """

    def __init__(self, app: Any, token: str | None, hosts: Sequence[str] | None,
                 limits: Limits) -> None:
        self.app, self.token, self.hosts, self.limits = app, token, hosts, limits

    async def __call__(self, scope: Message, receive: Receive, send: Send) -> None:
        """Answer a request, or hand it on."""
        if scope['type'] != 'http':
            if scope['type'] == 'lifespan':
                await self.app(scope, receive, send)
            return  # no websockets here
        headers = {name.decode('latin-1').lower(): value.decode('latin-1')
                   for name, value in scope['headers']}
        refusal = self._refusal(scope, headers)
        if refusal:
            await _answer(send, *refusal)
            return
        query = parse_qs(scope.get('query_string', b'').decode('latin-1'))
        if self.token is not None and 'token' in query:
            # Not Strict: whoever follows the printed link from a mail would be refused.
            cookie = f'{_cookie_name(headers)}={self.token}; Path=/; HttpOnly; SameSite=Lax'
            await _answer(send, 303, '', [
                (b'location', f'/{quote(scope["path"].lstrip("/"))}'.encode()),
                (b'set-cookie', cookie.encode())])
            return
        await self.app(scope, receive, _with_headers(send))

    def _refusal(self, scope: Message, headers: dict[str, str]) -> tuple[int, str] | None:
        """Say why a request is not answered, if so."""
        host = headers.get('host', '')
        if self.hosts is not None and _without_port(host) not in self.hosts:
            return 403, 'found another host name, expected that of this computer'
        if self.token is not None and not self._knows_token(scope, headers):
            return 403, ('found no token, expected the whole address that mmsart app has printed')
        if scope['method'] not in ('GET', 'HEAD'):
            origin = headers.get('origin')
            if (origin is not None and urlsplit(origin).netloc != host) or headers.get(
                    'sec-fetch-site', 'same-origin') not in ('same-origin', 'none'):
                return 403, 'found a request of another site, expected one of this page'
        try:
            length = int(headers.get('content-length', 0))
        except ValueError:
            return 400, 'content-length: expected a number'
        longest = (self.limits.upload_bytes if scope['path'] in UPLOADS
                   else self.limits.json_bytes)
        if length > longest:
            return 413, (f'found {length / 1e6:,.0f} MB, expected at most '
                         f'{longest / 1e6:,.0f} MB')
        return None

    def _knows_token(self, scope: Message, headers: dict[str, str]) -> bool:
        assert self.token is not None
        given = parse_qs(scope.get('query_string', b'').decode('latin-1')).get('token', [])
        for part in headers.get('cookie', '').split(';'):
            name, _, value = part.strip().partition('=')
            if name == _cookie_name(headers):
                given.append(value)
        return any(hmac.compare_digest(each.encode(), self.token.encode()) for each in given)


def _cookie_name(headers: dict[str, str]) -> str:
    """Name the cookie of the port that the browser has asked, be it a tunnel's."""
    _, colon, port = headers.get('host', '').rpartition(':')
    return COOKIE + (port if colon and port.isdecimal() else '80')


def _without_port(host: str) -> str:
    name, colon, port = host.rpartition(':')
    return name if colon and port.isdecimal() else host


def _with_headers(send: Send) -> Send:
    async def with_headers(message: Message) -> None:
        if message['type'] == 'http.response.start':
            message['headers'] = [*message.get('headers', []), *(
                (name.encode(), value.encode()) for name, value in HEADERS.items())]
        await send(message)
    return with_headers


async def _answer(send: Send, status: int, text: str,
                  headers: Sequence[tuple[bytes, bytes]] = ()) -> None:
    body = text.encode()
    await _with_headers(send)(dict(type='http.response.start', status=status, headers=[
        (b'content-type', b'text/plain; charset=utf-8'),
        (b'content-length', str(len(body)).encode()), (b'connection', b'close'), *headers]))
    await send(dict(type='http.response.body', body=body))
