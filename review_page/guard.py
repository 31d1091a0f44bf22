"""What stands between a browser and the review: only this machine, this page and who has the token.

A page on another site can make a browser ask 127.0.0.1 for things, and a name that changes its address (DNS
rebinding) can even make that look like one site. So the Host header is checked, every request for data needs
a token that a foreign page cannot know, and the browser's own word that a request is foreign is believed.
"""

import hmac
import json
import re

from starlette.types import ASGIApp, Message, Receive, Scope, Send

LARGEST_BODY = 256 * 1024
TOKEN_HEADER = "x-review-token"
_PORT = re.compile(r":\d+$")
_HOSTS = ("127.0.0.1", "localhost", "[::1]")
_HEADERS = {
    "content-security-policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' blob:; connect-src 'self'; "
        "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    ),
    "x-content-type-options": "nosniff",
    "referrer-policy": "no-referrer",
    "cross-origin-resource-policy": "same-origin",
    "cross-origin-opener-policy": "same-origin",
    "cache-control": "no-store",
}


class Guard:
    """Middleware that refuses what is foreign and gives every answer its headers."""

    def __init__(self, app: ASGIApp, token: str) -> None:
        self._app, self._token = app, token

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return  # no websockets here, and nothing to do when the server starts

        async def guarded(message: Message) -> None:
            if message["type"] == "http.response.start":
                given = [pair for pair in message["headers"] if pair[0].decode().lower() not in _HEADERS]
                ours = [(key.encode(), value.encode()) for key, value in _HEADERS.items()]
                message = {**message, "headers": [*given, *ours]}
            await send(message)

        if refusal := self._refusal(scope):
            await _answer(guarded, *refusal)
        else:
            await self._app(scope, _Limited(receive), guarded)

    def _refusal(self, scope: Scope) -> tuple[int, str] | None:
        """Status and sentence, or None for a request that may pass."""
        pairs = [(key.decode("latin-1").lower(), value.decode("latin-1")) for key, value in scope["headers"]]
        headers = dict(pairs)
        hosts = [value for key, value in pairs if key == "host"]
        if len(hosts) != 1 or _PORT.sub("", hosts[0].lower()) not in _HOSTS:
            return 400, "This page is for this machine alone: ask for 127.0.0.1."
        length = headers.get("content-length", "0")
        if not length.isdigit() or int(length) > LARGEST_BODY:
            return 413, f"At most {LARGEST_BODY // 1024} kB are taken at once."
        if not scope["path"].startswith("/api/"):
            return None
        if headers.get("sec-fetch-site", "same-origin") != "same-origin":
            return 403, "Requests of other sites are refused."
        origin = headers.get("origin")
        if origin is not None and origin.lower() != f"http://{hosts[0].lower()}":
            return 403, "Requests of other sites are refused."
        if not hmac.compare_digest(headers.get(TOKEN_HEADER, "").encode(), self._token.encode()):
            return 403, "The token is missing or wrong. Open the address that review.py printed, in this tab."
        return None


class BodyTooLargeError(Exception):
    """A body without a length, or with a wrong one, that goes on and on."""


class _Limited:
    """Counts what comes in, whatever its length was said to be."""

    def __init__(self, receive: Receive) -> None:
        self._receive, self._count = receive, 0

    async def __call__(self) -> Message:
        message = await self._receive()
        self._count += len(message.get("body", b""))
        if self._count > LARGEST_BODY:
            raise BodyTooLargeError
        return message


async def _answer(send: Send, status: int, sentence: str) -> None:
    body = json.dumps({"error": sentence}).encode()
    headers = [(b"content-type", b"application/json"), (b"content-length", str(len(body)).encode())]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})
