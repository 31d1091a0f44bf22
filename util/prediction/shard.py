"""Which share of the work one process of several does."""

import re
from collections.abc import Mapping
from dataclasses import dataclass

_MAX_SHARDS = 500  # a merge has the files of all shards open


@dataclass(frozen=True)
class Shard:
    """Share ``index`` of ``count``, counted from 1."""

    index: int
    count: int

    @classmethod
    def parse(cls, text: str) -> "Shard":
        """From ``3/100``. Raises ValueError for anything else."""
        match = re.fullmatch(r"(\d+)/(\d+)", text)
        shard = cls(int(match[1]), int(match[2])) if match else None
        if shard is None or not 1 <= shard.index <= shard.count <= _MAX_SHARDS:
            raise ValueError(f"shard {text!r}, expected I/N with I from 1 to N and N at most {_MAX_SHARDS}.")
        return shard

    @classmethod
    def of_launcher(cls, environment: Mapping[str, str]) -> "Shard | None":
        """This process's share where torchrun or accelerate has started several; None where it is alone."""
        if environment.get("WORLD_SIZE", "1") == "1":
            return None
        return cls.parse(f"{int(environment['RANK']) + 1}/{environment['WORLD_SIZE']}")
