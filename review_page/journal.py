"""The log of one film: records appended for good, each on the disk before anybody is told."""

import json
import logging
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from util.files import GrowingFile, WriteError, write_atomic

logger = logging.getLogger(__name__)

FORMAT = "cephdetr-review-1"


class Journal:
    """KEY.log.jsonl and its cache KEY.json in a folder. The first line is the head, every other a record."""

    def __init__(self, folder: Path, key: str) -> None:
        self.file = folder / f"{key}.log.jsonl"
        self.cache = folder / f"{key}.json"
        self._lines = GrowingFile(self.file, mode=0o600)

    @property
    def exists(self) -> bool:
        """Whether there is a whole first line."""
        return self._lines.size > 0

    def read(self) -> tuple[dict[str, Any], list[dict[str, Any]]]:
        """Head and records. A last line that was cut short is no record: nobody was told of it.

        Raises ValueError for a file of another program and for a line that is damaged.
        """
        with self.file.open("rb") as stream:
            lines = stream.read(self._lines.size).splitlines()
        try:
            head, *records = (json.loads(line) for line in lines)
            known = head["format"] == FORMAT
        except (ValueError, KeyError, TypeError) as error:
            raise ValueError(
                f"{self.file}: not a log of review.py ({error!r}). Restore it, or give another --review."
            ) from error
        if not known:
            raise ValueError(
                f"{self.file}: a log of form {head['format']!r}, expected {FORMAT!r}. Give another --review."
            )
        return head, records

    def append(self, *records: Mapping[str, Any]) -> None:
        """Write lines; when this returns they are on the disk. After a WriteError the log is as before."""
        self._lines.append(
            b"".join(json.dumps(record, allow_nan=False).encode() + b"\n" for record in records)
        )

    def write_cache(self, content: Mapping[str, Any]) -> None:
        """The present state for other programs. Only a copy: what fails here is said and does no harm."""
        try:
            write_atomic(self.cache, json.dumps(content, indent=1, allow_nan=False) + "\n")
            os.chmod(self.cache, 0o600)
        except (WriteError, OSError) as error:
            logger.warning("%s", error)

    def copy_is_at(self, revision: int) -> bool:
        """Whether the copy is there and of this revision."""
        try:
            return json.loads(self.cache.read_bytes())["revision"] == revision
        except (OSError, ValueError, KeyError, TypeError):
            return False
