"""Speed, size and memory of models beside their own backbone and an HRNet-W32 backbone.

    python tools/benchmark_model.py --model-config configs/models/landmark_detr_resnet18.py \\
        --size 512 416 --batch-size 1 --device cpu --json outputs/benchmark_model.json

Everything is measured in turn in one run: a round times each model, each backbone and the reference once,
so a ratio compares neighbours in time. Weights and images are random; speed does not depend on them.
"""

import argparse
import json
import platform
import sys
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))  # run as a script, from anywhere

import numpy as np
import timm
import torch
from torch import Tensor, nn

from util import benchmark
from util.config import instantiate, load_config, require_sections
from util.files import write_atomic
from util.predict import pick_device

REFERENCE = "hrnet_w32"
PRECISIONS = {"fp32": torch.float32, "bf16": torch.bfloat16, "fp16": torch.float16}


@dataclass(frozen=True)
class Candidate:
    """A model to measure, in eval mode on the device."""

    name: str
    config: Path
    model: nn.Module
    backbone: nn.Module  # the part of ``model`` that it is compared with


def main() -> None:
    args = parse_args()
    check_args(args)
    if args.threads is not None:
        torch.set_num_threads(args.threads)
    torch.manual_seed(0)
    device = pick_device(args.device)
    images = torch.rand(args.batch_size, 1, *args.size, device=device)
    candidates = [build(file, args.num_landmarks, device) for file in args.model_config]
    reference = timm.create_model(REFERENCE, features_only=True, in_chans=1).eval().to(device)
    report = measure(candidates, reference, images, args)
    print_table(report)
    if args.json is not None:
        write_atomic(args.json, json.dumps(report, indent=1, allow_nan=False) + "\n")


def build(file: Path, num_landmarks: int, device: torch.device) -> Candidate:
    """The model of the config ``file``. Raises ValueError when there is none or it has no backbone."""
    config = load_config(file)
    require_sections(config, ("model",), file)
    model = instantiate(config.model, num_landmarks=num_landmarks).eval().to(device)
    backbone = getattr(model, "backbone", None)
    if not isinstance(backbone, nn.Module):
        children = [name for name, _ in model.named_children()]
        raise ValueError(
            f"{file}: {type(model).__name__} has the parts {children}, expected one named backbone."
        )
    return Candidate(file.stem, file, model, backbone)


def measure(
    candidates: list[Candidate], reference: nn.Module, images: Tensor, args: argparse.Namespace
) -> dict[str, Any]:
    """Everything about every candidate.

    The top level repeats the first candidate, so that the numbers of a single model are found without a loop.
    """
    wait = torch.cuda.synchronize if images.is_cuda else _nothing
    forward = partial(run, images=images, precision=PRECISIONS[args.precision])
    calls: dict[str, Callable[[], object]] = {REFERENCE: partial(forward, reference)}
    for index, candidate in enumerate(candidates):
        calls[f"{index} model"] = partial(forward, candidate.model)
        calls[f"{index} backbone"] = partial(forward, candidate.backbone)
    times = benchmark.time_in_turn(calls, repeats=args.repeats, wait=wait)
    reports = []
    for index, candidate in enumerate(candidates):
        whole, backbone = times[f"{index} model"], times[f"{index} backbone"]
        parts = benchmark.time_of_parts(
            candidate.model, calls[f"{index} model"], repeats=args.repeats, wait=wait
        )
        reports.append(
            {
                "name": candidate.name,
                "model_config": str(candidate.config),
                **describe(candidate.model, whole, images),
                "backbone": describe(candidate.backbone, backbone, images),
                "ratio_to_backbone": benchmark.ratio(whole, backbone),
                f"ratio_to_{REFERENCE}": benchmark.ratio(whole, times[REFERENCE]),
                "parts": {name: {"ms": ms, "share": ms / sum(parts.values())} for name, ms in parts.items()},
            }
        )
    return {
        **reports[0],
        "models": reports,
        REFERENCE: describe(reference, times[REFERENCE], images),
        **settings(args, images.device),
    }


def run(module: nn.Module, images: Tensor, precision: torch.dtype) -> object:
    autocast = torch.autocast(images.device.type, dtype=precision, enabled=precision != torch.float32)
    with torch.inference_mode(), autocast:
        return module(images)


def describe(module: nn.Module, times: np.ndarray, images: Tensor) -> dict[str, Any]:
    """Latency of the batch, parameters, and operations of the batch at full precision."""
    flops, uncounted = benchmark.count_flops(partial(module, images))
    return {
        "p50_ms": float(np.percentile(times, 50)),
        "p95_ms": float(np.percentile(times, 95)),
        "params_m": benchmark.count_parameters(module) / 1e6,
        "gflops": flops / 1e9,
        "uncounted_ops": uncounted,
    }


def settings(args: argparse.Namespace, device: torch.device) -> dict[str, Any]:
    on_gpu = device.type == "cuda"
    return {
        "size": args.size,
        "batch_size": args.batch_size,
        "num_landmarks": args.num_landmarks,
        "device": torch.cuda.get_device_name(device) if on_gpu else f"cpu ({cpu_name()})",
        "precision": args.precision,
        "threads": torch.get_num_threads(),
        "repeats": args.repeats,
        "peak_rss_mib": benchmark.peak_memory_mib(),  # of the process: all models of the run together
        "peak_device_mib": torch.cuda.max_memory_allocated(device) / 2**20 if on_gpu else None,
        "torch": torch.__version__,
        "timm": timm.__version__,
        "python": platform.python_version(),
    }


def cpu_name() -> str:
    info = Path("/proc/cpuinfo")
    lines = info.read_text().splitlines() if info.is_file() else []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor() or platform.machine()


def print_table(report: dict[str, Any]) -> None:
    height, width = report["size"]
    print(
        f"{report['batch_size']} x {height}x{width}, {report['precision']}, {report['device']}, "
        f"{report['threads']} threads, {report['repeats']} rounds"
    )
    print(f"{'':40}{'p50 ms':>9}{'p95 ms':>9}{'params M':>10}{'GFLOPs':>9}{'/backbone':>11}{'/HRNet':>8}")
    for model in report["models"]:
        ratios = f"{model['ratio_to_backbone']:>11.2f}{model[f'ratio_to_{REFERENCE}']:>8.2f}"
        print(_row(model["name"], model) + ratios)
        print(_row("  its backbone", model["backbone"]))
        shares = ", ".join(f"{name} {100 * part['share']:.0f} %" for name, part in model["parts"].items())
        print(f"  time: {shares}")
        print(f"  {len(model['uncounted_ops'])} kinds of operators not in GFLOPs (the JSON lists them)")
    print(_row(f"{REFERENCE} backbone", report[REFERENCE]))
    print(f"peak resident memory of this process: {report['peak_rss_mib']:.0f} MiB")


def _row(name: str, values: dict[str, Any]) -> str:
    numbers = (
        f"{values['p50_ms']:>9.1f}{values['p95_ms']:>9.1f}{values['params_m']:>10.2f}{values['gflops']:>9.1f}"
    )
    return f"{name:40}{numbers}"


def check_args(args: argparse.Namespace) -> None:
    """Raise ValueError for values that cannot be measured here."""
    whole = {"size": min(args.size), "batch-size": args.batch_size, "repeats": args.repeats}
    for name, value in whole.items():
        if value < 1:
            raise ValueError(f"--{name} {value}: expected whole numbers of at least 1.")
    if args.threads is not None and args.threads < 1:
        raise ValueError(f"--threads {args.threads}: expected at least 1.")
    if args.precision == "fp16" and args.device == "cpu":
        raise ValueError(f"--precision fp16 on {args.device}: needs a GPU. Use bf16 on a CPU.")


def parse_args() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--model-config", type=Path, nargs="+", required=True, help="files that define `model`"
    )
    parser.add_argument("--size", type=int, nargs=2, default=[512, 416], metavar=("HEIGHT", "WIDTH"))
    parser.add_argument("--batch-size", type=int, default=1)
    parser.add_argument("--num-landmarks", type=int, default=38)
    parser.add_argument("--device", default="cpu", help="cpu, cuda or cuda:N")
    parser.add_argument("--precision", choices=list(PRECISIONS), default="fp32")
    parser.add_argument("--threads", type=int, help="CPU threads (PyTorch's own choice)")
    parser.add_argument("--repeats", type=int, default=30, help="rounds that count (30)")
    parser.add_argument("--json", type=Path, help="file for the numbers")
    return parser.parse_args()


def _nothing() -> None:
    """A CPU has finished when the call returns."""


if __name__ == "__main__":
    try:
        main()
    except ValueError as error:
        sys.exit(f"benchmark_model: {error}")
