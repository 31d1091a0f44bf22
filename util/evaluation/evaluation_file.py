"""The JSON that test.py wrote about a checkpoint, wherever its run lies."""

import json
from pathlib import Path

from util.checkpoints.one_of_several import split_name


def evaluation_file(path: Path) -> Path:
    """``path``: a file of test.py --json, or a run folder or checkpoint with such a test.json beside it.

    A checkpoint may be one set of several, ``FILE:SET``. Raises ValueError where there is none, with the
    command that makes it.
    """
    is_checkpoint = split_name(path)[0].suffix == ".pt"
    checkpoint = path / "best.pt" if path.is_dir() else path if is_checkpoint else None
    file = path if checkpoint is None else checkpoint.with_name("test.json")
    if not file.is_file():
        wanted = checkpoint or "RUN/best.pt"
        raise ValueError(
            f"{path}: no {file}. Evaluate first: python test.py --checkpoint {wanted} --json {file}"
        )
    return file


def task_name(file: Path) -> str:
    """Which task an evaluation is of; "landmarks" where the file does not say, or cannot be read."""
    try:
        record = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return "landmarks"
    return str(record.get("task", "landmarks")) if isinstance(record, dict) else "landmarks"
