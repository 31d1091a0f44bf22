"""Ctrl-C and SIGTERM as a request to stop at the next good moment."""

import signal
import time
from types import FrameType, TracebackType
from typing import Any

_ECHO_SECONDS = 2.0  # launchers such as torchrun send what the terminal has sent already


class StopRequest:
    """While entered, Ctrl-C and SIGTERM only set ``requested``; a second Ctrl-C, later, acts as usual.

    Further SIGTERMs change nothing: a cluster and its launcher may both send one, and SIGKILL follows anyway.
    """

    def __init__(self) -> None:
        self.requested = False
        self._first = 0.0
        self._before: dict[int, Any] = {}

    def __enter__(self) -> "StopRequest":
        for number in (signal.SIGINT, signal.SIGTERM):
            self._before[number] = signal.signal(number, self._request)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)

    def _request(self, number: int, _frame: FrameType | None) -> None:
        if not self.requested:
            self.requested, self._first = True, time.monotonic()
        elif number == signal.SIGINT and time.monotonic() - self._first > _ECHO_SECONDS:
            signal.signal(number, self._before[number])
            signal.raise_signal(number)
