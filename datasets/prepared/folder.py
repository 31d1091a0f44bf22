"""Writing a prepared folder, whatever is annotated: images, one file a split, ``dataset.json``.

Each kind of annotation has a writer of its own on top (``datasets.prepared.writer`` for landmarks).
"""

import json
import logging
import os
import re
import shutil
from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import cv2
import numpy as np

from datasets.prepared.repeats import find_repeats, fingerprint
from util.words import first_few

logger = logging.getLogger(__name__)
FORMAT = "cephdetr-prepared-1"


class PreparedFolder:
    """A folder that appears, whole, only when the ``with`` block succeeds.

    Everything is built in ``partial``, a hidden sibling folder, and renamed at the end. Inside the block,
    ``add_image`` takes the images and ``finish`` the header, last. Raises ValueError when ``folder`` holds
    something already.

    X-rays that come twice (``datasets.prepared.repeats``) are written down, and warned of where two splits
    have them.
    """

    def __init__(self, folder: str | Path) -> None:
        self.given = folder  # as the caller names it, in errors
        self.folder = Path(folder).absolute()
        self.partial = self.folder.with_name(f".{self.folder.name}.{os.getpid()}.partial")
        self.split_of: dict[str, str] = {}
        self._fingerprints: dict[str, np.ndarray] = {}

    def __enter__(self) -> "PreparedFolder":
        if self.folder.exists() and (not self.folder.is_dir() or any(self.folder.iterdir())):
            raise ValueError(
                f"{self.folder}: already there and not empty. Give a new folder, or remove this one."
            )
        shutil.rmtree(self.partial, ignore_errors=True)
        for name in ("images", "annotations"):
            (self.partial / name).mkdir(parents=True)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        shutil.rmtree(self.partial, ignore_errors=True)  # renamed away by then, when all went well

    def check_name(self, split: str, case: str) -> None:
        """Raise ValueError unless ``case`` can be the name of a new file, and ``split`` of another."""
        for name in (split, case):
            if not re.fullmatch(r"[A-Za-z0-9_][A-Za-z0-9._-]*", name):
                raise ValueError(
                    f"case {case!r} of {split!r}: names may hold letters, digits, '.', '_' and '-'."
                )
        if case in self.split_of:
            other = self.split_of[case]
            raise ValueError(f"case {case!r}: given for {split!r} and before for {other!r}, expected once.")

    def add_image(self, split: str, case: str, image: np.ndarray) -> None:
        """Write ``image``, (H, W) uint8 grey or (H, W, 3) uint8 RGB, as the case ``case`` of ``split``."""
        self.check_name(split, case)
        grey = image if image.ndim == 2 else cv2.cvtColor(image, cv2.COLOR_RGB2GRAY)
        encoded = cv2.imencode(".png", image if image.ndim == 2 else image[..., ::-1])[1]
        (self.partial / "images" / f"{case}.png").write_bytes(encoded.tobytes())
        self.split_of[case] = split
        self._fingerprints[case] = fingerprint(grey)

    def finish(self, header: Mapping[str, Any]) -> None:
        """Write ``dataset.json``, ``header`` with format, splits and repeats, and give the folder its name.

        Raises ValueError when no image was added.
        """
        if not self.split_of:
            raise ValueError(f"{self.folder}: no case to write, expected at least one.")
        split = {name: [] for name in dict.fromkeys(self.split_of.values())}
        for case, name in self.split_of.items():
            split[name].append(case)
        repeats = find_repeats(self._fingerprints)
        whole = {"format": FORMAT, **header, "split": split, "repeats": [list(pair) for pair in repeats]}
        write_json(self.partial / "dataset.json", whole)
        os.replace(self.partial, self.folder)
        self._warn_of(repeats)

    def _warn_of(self, repeats: Sequence[tuple[str, str]]) -> None:
        across = [pair for pair in repeats if self.split_of[pair[0]] != self.split_of[pair[1]]]
        if across:
            named = [" = ".join(f"{case} ({self.split_of[case]})" for case in pair) for pair in across]
            logger.warning(
                "%s: %d X-rays are in two splits: %s. test.py tells what the others come to.",
                self.folder,
                len(named),
                first_few(named),
            )


class CaseWriter(ABC):
    """Streams cases into a ``PreparedFolder``, which appears only when the ``with`` block succeeds."""

    _folder: PreparedFolder

    @abstractmethod
    def add(self, split: str, case: Any) -> None:
        """Write the image of ``case`` now and keep what is annotated for ``split``."""

    @abstractmethod
    def _finish(self) -> None:
        """Write what was kept, and finish the folder."""

    def __enter__(self) -> Self:
        self._folder.__enter__()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            if kind is None:
                self._finish()
        finally:
            self._folder.__exit__(kind, error, trace)

    def write(self, cases_by_split: Mapping[str, Iterable[Any]]) -> None:
        """Write the whole folder, or nothing, one image at a time. Raises ValueError for an empty split."""
        with self:
            for split, cases in cases_by_split.items():
                count = 0
                for count, case in enumerate(cases, start=1):  # noqa: B007 (counts a stream)
                    self.add(split, case)
                if count == 0:
                    raise ValueError(
                        f"{self._folder.given}: split {split!r} has no case. Leave it out, or give it one."
                    )


def write_json(file: Path, data: Mapping[str, Any]) -> None:
    """``data`` as readable JSON. Raises ValueError for NaN, which JSON has no word for."""
    file.write_text(json.dumps(data, indent=1, allow_nan=False) + "\n", encoding="utf-8")
