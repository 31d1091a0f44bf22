"""Ctrl-C and SIGTERM as a request to stop at the next good moment."""

import signal
import time
from types import FrameType, TracebackType
from typing import Any

_ECHO_SECONDS = 2.0  # launchers such as torchrun send what the terminal has sent already


class StopRequest:
    """While entered, Ctrl-C and SIGTERM only set ``requested``; a second Ctrl-C, later, acts as usual.

    Further SIGTERMs change nothing: a cluster and its launcher may both send one, and SIGKILL follows anyway.
    That holds to the end of the process: after a SIGTERM, leaving has it ignored. One more, met while the
    process ends, would make a run that stopped whole look killed. It is SIG_IGN, since a handler in Python is
    taken away before the interpreter has ended. Without a SIGTERM, leaving restores what was before.
    """

    def __init__(self) -> None:
        self.requested = False
        self._terminated = False
        self._first = 0.0
        self._before: dict[int, Any] = {}

    def __enter__(self) -> "StopRequest":
        for number in (signal.SIGINT, signal.SIGTERM):
            self._before[number] = signal.signal(number, self._request)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._terminated:
            self._before[signal.SIGTERM] = signal.SIG_IGN
        for number, handler in self._before.items():
            signal.signal(number, handler)

    def _request(self, number: int, _frame: FrameType | None) -> None:
        self._terminated |= number == signal.SIGTERM
        if not self.requested:
            self.requested, self._first = True, time.monotonic()
        elif number == signal.SIGINT and time.monotonic() - self._first > _ECHO_SECONDS:
            signal.signal(number, self._before[number])
            signal.raise_signal(number)
