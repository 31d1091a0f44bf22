"""Which share of the work one process of several does."""

import re
from collections.abc import Mapping, MutableMapping
from dataclasses import dataclass
from pathlib import Path

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


ALONE = Shard(1, 1)  # a process that shares its work with no other


def take_own_gpu(shard: Shard, environment: MutableMapping[str, str], count: int) -> str:
    """Let this process see one of the machine's ``count`` GPUs, in turn; a sentence that says which.

    In turn by the launcher's local rank, else by the number of the shard; among those that
    CUDA_VISIBLE_DEVICES allows; empty where there is none. Call it before a library touches a GPU.
    """
    allowed = environment.get("CUDA_VISIBLE_DEVICES")
    gpus = [str(n) for n in range(count)] if allowed is None else [gpu for gpu in allowed.split(",") if gpu]
    if not gpus:
        return ""
    rank = int(environment.get("LOCAL_RANK", shard.index - 1))
    environment["CUDA_VISIBLE_DEVICES"] = gpus[rank % len(gpus)]
    return f"shard {shard.index}/{shard.count} uses GPU {gpus[rank % len(gpus)]} of {', '.join(gpus)}"


def num_gpus() -> int:
    """NVIDIA GPUs of this machine, or of the container that this process runs in; 0 where none is seen."""
    return len([path for path in Path("/dev").glob("nvidia*") if path.name[len("nvidia") :].isdigit()])
