"""The web server: this machine alone, no log of what is asked for, an address that only its reader has."""

import errno
import secrets
import socket

import uvicorn
from starlette.applications import Starlette

HOST = "127.0.0.1"


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
