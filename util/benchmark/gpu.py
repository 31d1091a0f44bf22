"""What a machine with a GPU is asked once: does all run on it, to the same points, and how fast."""

import json
import subprocess
import sys
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field
from functools import partial
from pathlib import Path
from statistics import fmean, median
from typing import Any

import torch
from torch import Tensor, nn

from util.benchmark.subject import PRECISIONS, Setting, random_images, run
from util.benchmark.timing import Stopwatch, time_in_turn, time_of_parts

ROOT = Path(__file__).resolve().parents[2]
WARM_UP = 0.4  # share of a training in which fp16 may skip steps while its scale settles
FALL = 0.9  # the loss of the last fifth is at most this share of that of the first
TOLERANCE_PX = {"fp32": 0.05, "fp16": 0.5, "bf16": 2.0}  # canvas pixels between GPU and float32 on the CPU


@dataclass(frozen=True)
class Check:
    """One question to the machine and its answer."""

    name: str
    passed: bool | None  # None: could not be asked here
    answer: str  # one line for people
    numbers: dict[str, Any] = field(default_factory=dict)

    def to_dict(self) -> dict[str, Any]:
        return asdict(self)


def answered(name: str, ask: Callable[[], Check]) -> Check:
    """The answer of ``ask``. Whatever it raises fails this check only: the others are still asked."""
    try:
        return ask()
    except Exception as error:
        return Check(name, passed=False, answer=f"{type(error).__name__}: {str(error).strip()[-2000:]}")


def script(*arguments: object, processes: int = 1) -> None:
    """Run a script of this project with this interpreter. Raises RuntimeError with what it printed."""
    launcher = ("-m", "torch.distributed.run", "--standalone", "--nproc_per_node", processes)
    command = [sys.executable, *(launcher if processes > 1 else ()), *arguments]
    done = subprocess.run(list(map(str, command)), cwd=ROOT, capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError(f"{' '.join(map(str, arguments[:3]))} ended with {done.returncode}: {done.stderr}")


def training(
    config: str, precision: str, folder: Path, overrides: Sequence[str], *, processes: int = 1
) -> Check:
    """``main.py`` for a few steps: its loss falls, and after warm-up no step is skipped."""
    name = f"training {Path(config).stem}, {precision}" + (f", {processes} processes" * (processes > 1))
    arguments = ("--mixed-precision", precision, f"train.output_dir={folder}", "train.log_every=1")
    script("main.py", "--config-file", config, *arguments, *overrides, processes=processes)
    lines = map(json.loads, (folder / "metrics.jsonl").read_text(encoding="utf-8").splitlines())
    steps = [line for line in lines if "loss" in line]
    fifth = max(len(steps) // 5, 1)
    first, last = (fmean(step["loss"] for step in part) for part in (steps[:fifth], steps[-fifth:]))
    skipped = [step.get("skipped", 0.0) for step in steps]
    late = int(sum(skipped[round(WARM_UP * len(steps)) :]))
    rate = median(step["images_per_second"] for step in steps[len(steps) // 2 :])
    numbers = {"first": first, "last": last, "skipped": int(sum(skipped)), "skipped_late": late}
    fell = f"loss {first:.3f} -> {last:.3f}, {int(sum(skipped))} skipped ({late} late)"
    return Check(
        name,
        passed=last <= FALL * first and late == 0,
        answer=f"{fell}, {rate:.1f} images/s",
        numbers=numbers | {"images_per_second": rate},
    )


@torch.inference_mode()
def same_points(model: nn.Module, images: Tensor, device: torch.device, precision: str) -> Check:
    """The points of ``model`` on ``device`` against float32 on the CPU. ``images``: (B, 1, H, W), CPU."""
    truth = _points(model.to("cpu").eval(), images, "fp32")
    found = _points(model.to(device), images.to(device), precision).cpu()
    return _compared(f"points, {precision}", found, truth, images, TOLERANCE_PX[precision])


@torch.inference_mode()
def compiled(model: nn.Module, images: Tensor, device: torch.device, backend: str = "inductor") -> Check:
    """torch.compile gives the points of the model as it is."""
    model, images = model.to(device).eval(), images.to(device)
    truth = _points(model, images, "fp32")
    fast: Any = torch.compile(model, backend=backend)
    found = fast(images).final.points
    return _compared(f"torch.compile ({backend})", found, truth, images, TOLERANCE_PX["fp32"])


def onnx_runtime(checkpoint: Path, folder: Path, images: Tensor, provider: str) -> Check:
    """The exported graph under ``provider`` gives what it gives on the CPU, if ONNX Runtime has it."""
    name = f"ONNX Runtime, {provider}"
    try:
        import onnxruntime
    except ImportError:
        return Check(name, passed=None, answer="skipped: onnxruntime is not installed")
    if provider not in onnxruntime.get_available_providers():
        return Check(name, passed=None, answer=f"skipped: {onnxruntime.get_available_providers()} only")
    graph = folder / "model.onnx"
    script("tools/pytorch2onnx.py", "--checkpoint", checkpoint, "--output", graph, "--no-verify")
    outputs = []
    for used in (provider, "CPUExecutionProvider"):
        session = onnxruntime.InferenceSession(str(graph), providers=[used])
        if session.get_providers()[0] != used:
            return Check(name, passed=False, answer=f"{used} is listed but does not start")
        points = session.run(None, {session.get_inputs()[0].name: images[:1].numpy()})[0]
        outputs.append(torch.as_tensor(points))
    return _compared(name, outputs[0], outputs[1], images, TOLERANCE_PX["fp32"])


def speed(
    model: nn.Module,
    size: tuple[int, int],
    device: torch.device,
    *,
    batch_sizes: Sequence[int],
    repeats: int,
) -> list[dict[str, Any]]:
    """Images a second, peak memory and share of each part, for every precision and batch size."""
    model, stopwatch = model.to(device).eval(), Stopwatch.on(device)
    rows = []
    for precision in PRECISIONS:
        for batch_size in batch_sizes:
            images = random_images(Setting(precision, batch_size), size, device)
            forward = partial(run, model, images, precision)
            if device.type == "cuda":
                torch.cuda.reset_peak_memory_stats(device)
            times = time_in_turn({"model": forward}, repeats, stopwatch)["model"]
            parts = time_of_parts(model, forward, repeats=repeats, stopwatch=stopwatch)
            peak = torch.cuda.max_memory_allocated(device) / 2**20 if device.type == "cuda" else None
            milliseconds = float(median(times))
            rows.append(
                {
                    "precision": precision,
                    "batch_size": batch_size,
                    "milliseconds": milliseconds,
                    "images_per_second": 1e3 * batch_size / milliseconds,
                    "peak_mib": peak,
                    "shares": {name: spent / sum(parts.values()) for name, spent in parts.items()},
                }
            )
    return rows


def table(checks: Sequence[Check], rows: Sequence[dict[str, Any]]) -> str:
    """Everything that was asked and measured, to read."""
    words = {True: "ok", False: "FAILED", None: "skipped"}
    lines = [f"{words[check.passed]:<8}{check.name:<44}{check.answer.splitlines()[-1]}" for check in checks]
    lines += ["", f"{'precision':<11}{'batch':>5}{'images/s':>10}{'ms':>9}{'peak MiB':>10}  share of time"]
    for row in rows:
        peak = "-" if row["peak_mib"] is None else f"{row['peak_mib']:.0f}"
        shares = sorted(row["shares"].items(), key=lambda item: -item[1])
        parts = ", ".join(f"{name} {100 * share:.0f} %" for name, share in shares[:5])
        lines.append(
            f"{row['precision']:<11}{row['batch_size']:>5}{row['images_per_second']:>10.1f}"
            f"{row['milliseconds']:>9.2f}{peak:>10}  {parts}"
        )
    return "\n".join(lines)


def _points(model: nn.Module, images: Tensor, precision: str) -> Tensor:
    """(B, K, 2) normalised, float32."""
    found: Any = run(model, images, precision)
    return found.final.points.float()


def _compared(name: str, found: Tensor, truth: Tensor, images: Tensor, tolerance: float) -> Check:
    """Largest distance in canvas pixels of normalised points."""
    canvas = torch.tensor(images.shape[:1:-1], dtype=torch.float64)
    apart = ((found.double().cpu() - truth.double().cpu()) * canvas).norm(dim=-1)
    numbers = {"mean_px": float(apart.mean()), "max_px": float(apart.max()), "tolerance_px": tolerance}
    answer = f"mean {numbers['mean_px']:.4f} px, at most {numbers['max_px']:.4f} (allowed {tolerance})"
    return Check(name, passed=numbers["max_px"] <= tolerance, answer=answer, numbers=numbers)
