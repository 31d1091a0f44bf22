"""What takes longer than a request: predictions and adaptation, one at a time, and how far they are."""

import logging
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from review_page import fields
from review_page.errors import RefusedError
from review_page.session import Session
from util.files import WriteError

logger = logging.getLogger(__name__)

Export = Callable[[Session], tuple[list[str], list[str]]]  # names below exports/, and sentences


@dataclass
class Progress:
    """How far the work is; ``task`` is None while there is none."""

    task: str | None = None  # predicting, adapting
    done: int = 0
    of: int = 0
    message: str = ""

    def to_dict(self) -> dict[str, Any]:
        return dict(vars(self))


Work = Callable[[Session, Progress], None]  # raises ValueError; its last message stays


@dataclass
class Jobs:
    """Exports, and the work of models in a thread of its own."""

    session: Session
    exports: Mapping[str, Export]
    adaptation: Work | None = None  # None: no checkpoint that could follow a protocol
    can_sr: bool = False
    hints: Mapping[str, str] = field(default_factory=dict)
    progress: Progress = field(default_factory=Progress)

    def __post_init__(self) -> None:
        self._lock = threading.Lock()
        self._thread: threading.Thread | None = None

    @property
    def can_adapt(self) -> bool:
        """Whether there is a model to adapt; the films come while the page is open."""
        return self.adaptation is not None

    def export(self, kind: str) -> dict[str, Any]:
        """Write files of one kind. Raises RefusedError for an unknown kind or with nothing to write."""
        export = self.exports[fields.one_of({"kind": kind}, "kind", self.exports.keys())]
        with self.session.lock:
            try:
                files, notes = export(self.session)
            except WriteError:
                raise
            except ValueError as error:
                raise RefusedError(400, str(error)) from error
        return {"files": files, "notes": notes}

    def adapt(self) -> None:
        """Begin to follow the readers of the films reviewed so far. Raises RefusedError where it cannot."""
        if self.adaptation is None:
            raise RefusedError(
                400, "No checkpoint is at hand that could follow a protocol. Start with --checkpoint FILE."
            )
        if not self.session.reviewed():
            raise RefusedError(400, "No film is reviewed yet. Mark at least one as reviewed.")
        if self.session.study is not None:
            raise RefusedError(400, "A blind reading shows no predictions, so there is nothing to adapt.")
        self.start("adapting", self.adaptation)

    def start(self, task: str, work: Work) -> None:
        """Begin; RefusedError while other work is under way."""
        with self._lock:
            if self.progress.task is not None:
                raise RefusedError(
                    409, f"Still {self.progress.task}: {self.progress.done} of {self.progress.of}."
                )
            self.progress = Progress(task)
            self._thread = threading.Thread(target=self._run, args=(work, self.progress), daemon=True)
            self._thread.start()

    def wait(self) -> None:
        """Until the work under way is done."""
        if self._thread is not None:
            self._thread.join()

    def _run(self, work: Work, progress: Progress) -> None:
        try:
            work(self.session, progress)
        except ValueError as error:
            progress.message = str(error)
            logger.error("%s", error)
        except Exception:
            progress.message = (
                f"Something went wrong while {progress.task}; the window of review.py says what."
            )
            logger.exception("while %s", progress.task)
        finally:
            progress.task = None
