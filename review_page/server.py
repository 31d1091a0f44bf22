"""The web server: this machine alone, no log of what is asked for, an address that only its reader has."""

import errno
import json
import secrets
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import uvicorn
from starlette.applications import Starlette

from util.files import write_atomic

HOST = "127.0.0.1"


@contextmanager
def listening(file: Path, port: int) -> Iterator[tuple[socket.socket, str]]:
    """A socket and a token. After a kill they are those of before, so that pages that are open go on.

    ``file`` is for its owner alone; it remembers the port for good, and the token until the server is ended.
    Port 0: that of the last time where it is free, or else any. Raises ValueError for a port in use.
    """
    last = _last(file)
    found, token = _bound_again(port, last.get("port")), last.get("token") or new_token()
    bound = found.getsockname()[1]
    try:
        _remember(file, {"port": bound, "token": token})
        yield found, token
        _remember(file, {"port": bound})
    finally:
        found.close()


def bound_socket(port: int) -> socket.socket:
    """A socket of this machine alone; port 0: any free one. Raises ValueError for a port in use."""
    found = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    found.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        found.bind((HOST, port))
        found.listen()  # now, so that a second server on this port is told at once
    except OSError as error:
        found.close()
        if error.errno in (errno.EADDRINUSE, errno.EACCES):
            raise ValueError(
                f"--port {port}: in use or not allowed ({error.strerror}). Leave it out for a free one."
            ) from error
        raise
    return found


def _bound_again(port: int, last: Any) -> socket.socket:
    if port == 0 and type(last) is int and 0 < last < 2**16:
        try:
            return bound_socket(last)
        except ValueError:
            pass  # somebody else has it now
    return bound_socket(port)


def _last(file: Path) -> dict[str, Any]:
    """Nothing where it cannot be read: then everything is new."""
    try:
        kept = json.loads(file.read_bytes())
    except (OSError, ValueError):
        return {}
    is_ours = isinstance(kept, dict) and isinstance(kept.get("token", ""), str)
    return kept if is_ours else {}


def _remember(file: Path, content: dict[str, Any]) -> None:
    write_atomic(file, json.dumps(content) + "\n")
    file.chmod(0o600)


def new_token() -> str:
    """256 bits, in letters that an address may have."""
    return secrets.token_urlsafe(32)


def address(found: socket.socket, token: str) -> str:
    """The page; the token stands behind #, which a browser never sends."""
    return f"http://{HOST}:{found.getsockname()[1]}/#{token}"


def serve(app: Starlette, found: socket.socket) -> None:
    """Until Ctrl-C. Names of films and patients are in no log."""
    config = uvicorn.Config(
        app,
        access_log=False,
        log_level="warning",
        server_header=False,
        proxy_headers=False,
        ws="none",
        lifespan="off",
        timeout_graceful_shutdown=3,
    )
    uvicorn.Server(config).run(sockets=[found])
