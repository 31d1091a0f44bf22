"""The folder where a review is kept, and the lock that lets one server at it."""

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any

from filelock import FileLock, Timeout

from datasets.landmarks.landmark_set import LandmarkSet
from review_page.journal import FORMAT
from util.files import WriteError, cannot_write, remove_leftovers, write_atomic

_HEADER = "review.json"
ADDRESS = "server.json"  # port and token, see ``review_page.server``


@dataclass(frozen=True)
class Study:
    """A blind reading: in which order the films come, some of them twice. Kept, so that it stays the same."""

    seed: int
    order: tuple[tuple[str, int], ...]  # (key of a film, 0 or 1 for its repeat)
    reader: str = ""  # whose reading it is; empty in folders from before it was kept

    def to_dict(self) -> dict[str, Any]:
        return {"seed": self.seed, "order": [list(entry) for entry in self.order], "reader": self.reader}

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> "Study":
        order = tuple((str(key), int(time)) for key, time in data["order"])
        return cls(int(data["seed"]), order, str(data.get("reader", "")))


class ReviewFolder:
    """A folder with review.json, cases/, exports/ and predictions.jsonl.

    ``with`` locks it. Raises ValueError for a folder of another program or in use, and WriteError for
    one that cannot be written.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.cases, self.exports = folder / "cases", folder / "exports"
        self._header = folder / _HEADER
        self.address = folder / ADDRESS
        self.adapted = folder / "adapted.pt"  # the model that follows the readers
        self._pid = folder / "server.pid"

    def __enter__(self) -> "ReviewFolder":
        self._require_ours()
        try:
            for folder in (self.folder, self.cases, self.exports):
                folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            self._lock = FileLock(self.folder / "server.lock", timeout=0)
            self._lock.acquire()
        except Timeout as error:
            raise ValueError(
                f"{self.folder}: another review.py is at work here (process {self._other()}). Stop it, or "
                "give another --review."
            ) from error
        except OSError as error:
            raise cannot_write(self.folder, error) from error
        try:
            write_atomic(self._pid, f"{os.getpid()}\n")
            for copy in self.cases.glob("*.json"):
                remove_leftovers(copy)
        except BaseException:
            self._lock.release()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._pid.unlink(missing_ok=True)
        self._lock.release()

    def study(self) -> Study | None:
        """The blind reading that this folder is of."""
        kept = self._read()
        return None if kept is None or kept.get("study") is None else Study.from_dict(kept["study"])

    def begin(self, landmark_set: LandmarkSet, study: Study | None) -> None:
        """Write down what this folder is a review of, or compare with what it is.

        Raises ValueError for a review of other landmarks, or one blind and the other not.
        """
        kept = self._read()
        if kept is None:
            content = {
                "format": FORMAT,
                "landmark_set": landmark_set.to_dict(),
                "study": study and study.to_dict(),
            }
            write_atomic(self._header, json.dumps(content, indent=1) + "\n")
            return
        landmarks = kept["landmark_set"]["landmarks"]
        if landmarks != list(landmark_set.landmarks):
            raise ValueError(
                f"{self.folder}: a review of {len(landmarks)} landmarks, {kept['landmark_set']['name']!r}, "
                f"the predictions have the {len(landmark_set)} of {landmark_set.name!r}. Give predictions of "
                "the same landmarks, or another --review."
            )
        if (kept.get("study") is None) != (study is None):
            is_blind = "a blind reading" if study is None else "no blind reading"
            raise ValueError(f"{self.folder}: is {is_blind}. Give another --review, or --blind as before.")

    def _read(self) -> dict[str, Any] | None:
        try:
            kept = json.loads(self._header.read_text(encoding="utf-8"))
            known = kept["format"] == FORMAT and isinstance(kept["landmark_set"]["landmarks"], list)
        except FileNotFoundError:
            return None
        except (ValueError, KeyError, TypeError) as error:
            raise ValueError(
                f"{self._header}: not of a review ({error!r}). Restore it, or give another --review."
            ) from error
        if not known:
            raise ValueError(
                f"{self._header}: of the form {kept['format']!r}, expected {FORMAT!r}. Give another --review."
            )
        return kept

    def _require_ours(self) -> None:
        """An empty folder or one of a review; anything else stays as it is."""
        if self.folder.exists() and not self.folder.is_dir():
            raise WriteError(f"{self.folder} is a file, expected a folder. Give another --review.")
        if self.folder.is_dir() and self._read() is None:
            ours = {"cases", "exports", "server.lock", "server.pid", ADDRESS, "predictions.jsonl"}
            others = sorted(file.name for file in self.folder.iterdir() if file.name not in ours)
            if others:
                raise ValueError(
                    f"{self.folder}: holds {others[0]!r} and no review. Give an empty folder or none yet."
                )

    def _other(self) -> str:
        try:
            return self._pid.read_text(encoding="utf-8").strip()
        except OSError:
            return "unknown"
