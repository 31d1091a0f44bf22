"""Peak memory of one model, measured in a process that does nothing else."""

import multiprocessing
import resource
import sys
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import torch

from util.benchmark.subject import Setting, Source, as_taken, random_images, run

Result = TypeVar("Result")


@dataclass(frozen=True)
class PeakMemory:
    """In MiB."""

    base_rss: float  # resident before the model was built: Python and its libraries
    peak_rss: float  # largest resident size over all settings, base included
    peak_device: dict[str, float]  # largest allocation on the GPU by setting, weights included; {} on a CPU

    def report(self) -> dict[str, Any]:
        """The numbers for JSON."""
        return {
            "base_rss_mib": self.base_rss,
            "peak_rss_mib": self.peak_rss,
            "peak_device_mib": self.peak_device,
        }


def peak_memory(source: Source, settings: Sequence[Setting], device: torch.device) -> PeakMemory:
    """What a fresh process needs to build the model and to run it twice in every setting."""
    arguments = source, tuple(settings), device, torch.get_num_threads()
    return alone(source.file, "Use a smaller --batch-size or --size.", _measure, *arguments)


def alone(file: Path, advice: str, measure: Callable[..., Result], *arguments: Any) -> Result:
    """``measure(*arguments)`` in a fresh process: a fork would inherit the caller's memory.

    Raises ValueError, with the model's ``file`` and ``advice``, where the process was ended.
    """
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(max_workers=1, mp_context=context) as pool:
        try:
            return pool.submit(measure, *arguments).result()
        except BrokenProcessPool as error:
            raise ValueError(
                f"{file}: the process that measures its memory was ended, most likely because the machine "
                f"has too little. {advice}"
            ) from error


def _measure(source: Source, settings: Sequence[Setting], device: torch.device, threads: int) -> PeakMemory:
    torch.set_num_threads(threads)
    base = peak_rss_mib()
    model = source.build(device)
    on_device: dict[str, float] = {}
    for setting in settings:
        images = random_images(setting, source.size, device)
        if device.type == "cuda":
            torch.cuda.reset_peak_memory_stats(device)
        for _ in range(2):
            run(model, as_taken(images, model), setting.precision)
        if device.type == "cuda":
            on_device[str(setting)] = torch.cuda.max_memory_allocated(device) / 2**20
    return PeakMemory(base, peak_rss_mib(), on_device)


def peak_rss_mib() -> float:
    """Largest resident size of this process so far.

    Linux counts the parent's memory into a child's ``getrusage``, so there the kernel's own mark is read.
    """
    status = Path("/proc/self/status")
    if not status.is_file():
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        return peak / 2**20 if sys.platform == "darwin" else peak / 2**10  # bytes there, KiB elsewhere
    lines = dict(line.split(":", 1) for line in status.read_text().splitlines())
    return int(lines["VmHWM"].split()[0]) / 2**10  # "VmHWM:   123456 kB"
