"""Inference on many files, in one process or in shards, each of which may be killed and started again.

Beside OUTPUT.json, the folder OUTPUT.parts holds ``archive.jsonl``, the settings and then a file name a line,
written once before all else; and ``shard-I-of-N.jsonl``, what shard I found, a line a chunk of files.

Chunk c is the work of shard c % N and stands in line c // N of its part. So a part is continued from its
number of lines, the merged result has the order of the list, and nothing but one chunk is ever in memory.
"""

import json
import shutil
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import asdict
from itertools import islice
from pathlib import Path
from typing import Any

from filelock import FileLock

from util.files import cannot_write, open_atomic
from util.prediction.part_file import PartFile, ends_with, num_whole_lines, read_lines
from util.prediction.predict_files import Found
from util.prediction.protocols import Answers
from util.prediction.shard import ALONE, Shard

_FORMAT = "cephdetr-archive-1"
_FINISHED = {"finished": True}  # last line of a part whose shard is done

ListFiles = Callable[[Found], list[Path]]
PredictChunk = Callable[[list[Path]], Found]


class Archive:
    """The files to work on, in their order, and what was found so far."""

    def __init__(
        self, output: Path, settings: Mapping[str, Any], model: Mapping[str, Any], answers: Answers
    ) -> None:
        """``settings``: all that a result depends on, always the same. ``model``: goes into the result, which
        ``answers`` writes.
        """
        self.output, self.folder = output, output.with_suffix(".parts")
        self._list = self.folder / "archive.jsonl"
        self._settings = json.loads(json.dumps({"format": _FORMAT, **settings}))
        self._model, self._answers = dict(model), answers

    def prepare(self, list_files: ListFiles) -> None:
        """List the files, unless that was done before; ValueError if it was with other settings."""
        with self._locked():
            if not self._list.is_file():
                try:
                    self._write_list(list_files)
                except BaseException:
                    self.remove()
                    raise
        before = self._header()["settings"]
        if before != self._settings:
            settings = self._settings
            key = next(key for key in settings | before if before.get(key) != settings.get(key))
            raise ValueError(
                f"{self.folder}: begun with {key} {before.get(key)!r}, now {settings.get(key)!r}. Give "
                "what it was begun with, or another --output, or delete the folder to begin anew."
            )

    def work(self, shard: Shard, predict: PredictChunk) -> None:
        """Predict the chunks of ``shard`` that no earlier process has done.

        A process alone that fails before its first chunk is done leaves nothing.
        """
        if ends_with(self._part(shard), _FINISHED):
            return
        with PartFile(self._part(shard)) as part:
            try:
                for number, files in self._chunks(shard, first=part.num_lines):
                    part.append({"chunk": number, **asdict(predict(files))})
                part.append(_FINISHED)
            except BaseException:
                if shard == ALONE and part.num_lines == 0:
                    self.remove()
                raise

    def progress(self, shard: Shard) -> tuple[int, int]:
        """How many files ``shard`` has in all, and how many of them earlier processes have done."""
        size, num_files = self._settings["chunk_size"], self._header()["num_files"]
        chunks = range(shard.index - 1, self._num_chunks(), shard.count)
        sizes = [min(size, num_files - number * size) for number in chunks]
        file = self._part(shard)
        return sum(sizes), sum(sizes[: num_whole_lines(file) if file.is_file() else 0])

    def found(self, shard: Shard) -> Iterator[dict]:
        """The records that earlier processes found in ``shard``, in the order of the list."""
        return (record for line in self._lines(shard) for record in line["images"])

    def remove(self) -> None:
        """Delete the folder, which has served its time once the result is written."""
        shutil.rmtree(self.folder)

    def retry_failed(self, shard: Shard, predict: PredictChunk) -> None:
        """Predict again the chunks of ``shard`` in which a file failed; what was found replaces its line."""
        file = self._part(shard)
        if not file.is_file():
            return
        with PartFile(file), open_atomic(file) as fresh:
            for line in read_lines(file):
                if line.get("failed"):
                    line |= asdict(predict(self._chunk(line["chunk"])))
                fresh.write(json.dumps(line, allow_nan=False).encode() + b"\n")

    def unfinished(self, count: int) -> list[int]:
        """Which of ``count`` shards are not done."""
        shards = (Shard(index, count) for index in range(1, count + 1))
        return [shard.index for shard in shards if not ends_with(self._part(shard), _FINISHED)]

    def merge(self, count: int) -> tuple[int, int]:
        """Write the result of all shards; the numbers of images and of failures."""
        failed: list[dict] = list(self._header()["failed"])
        images = self._images(count, failed)
        header = self._header()
        written = self._answers.write(
            self.output,
            model=header["model"],
            left_out=header.get("left_out", {}),
            images=images,
            failed=failed,
        )
        return written, len(failed)

    def _images(self, count: int, failed: list[dict]) -> Iterator[dict]:
        """Every record in the order of the list; failures are added to ``failed`` on the way."""
        with ExitStack() as stack:
            parts = [read_lines(self._part(Shard(index, count))) for index in range(1, count + 1)]
            for part in parts:
                stack.callback(part.close)  # pyright: ignore[reportAttributeAccessIssue]  (a generator)
            for number in range(self._num_chunks()):
                line = next(parts[number % count], {})
                if line.get("chunk") != number:
                    part = self._part(Shard(number % count + 1, count))
                    raise ValueError(f"{part}: lacks chunk {number}. Delete it and start its shard again.")
                failed += line["failed"]
                yield from line["images"]

    def _lines(self, shard: Shard) -> Iterator[dict]:
        """What is done of ``shard``, a chunk at a time."""
        file = self._part(shard)
        return (line for line in (read_lines(file) if file.is_file() else ()) if line != _FINISHED)

    def _chunks(self, shard: Shard, first: int) -> Iterator[tuple[int, list[Path]]]:
        """The chunks of ``shard`` with their numbers, without the ``first`` ones."""
        size = self._settings["chunk_size"]
        numbers = range(shard.index - 1, self._num_chunks(), shard.count)[first:]
        with self._list.open(encoding="utf-8") as stream:
            names, at = islice(stream, 1, None), 0
            for number in numbers:
                lines = list(islice(names, (number - at) * size, (number - at + 1) * size))
                at = number + 1
                yield number, [Path(json.loads(line)) for line in lines]

    def _chunk(self, number: int) -> list[Path]:
        return next(files for _, files in self._chunks(Shard(number + 1, number + 1), first=0))

    def _part(self, shard: Shard) -> Path:
        return self.folder / f"shard-{shard.index:03d}-of-{shard.count:03d}.jsonl"

    def _num_chunks(self) -> int:
        return -(-self._header()["num_files"] // self._settings["chunk_size"])

    def _header(self) -> dict[str, Any]:
        with self._list.open(encoding="utf-8") as stream:
            return json.loads(stream.readline())

    def _write_list(self, list_files: ListFiles) -> None:
        found = Found()
        files = list_files(found)
        header = {
            "settings": self._settings,
            "model": self._model,
            "num_files": len(files),
            "failed": found.failed,
            "left_out": found.left_out,
        }
        with open_atomic(self._list) as stream:
            for line in (header, *map(str, files)):
                stream.write(json.dumps(line).encode() + b"\n")

    @contextmanager
    def _locked(self) -> Iterator[None]:
        """One process at a time; the others wait."""
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            taken = FileLock(self.folder / "archive.lock").acquire()
        except OSError as error:
            raise cannot_write(self.folder, error) from error
        with taken:
            yield
