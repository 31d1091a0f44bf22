"""Speed, size and memory of models beside their own backbone and an HRNet-W32 backbone.

    python tools/benchmark_model.py --model-config configs/models/landmark_detr_resnet18.py \\
        --size 512 416 --batch-size 1 --device cpu --json outputs/benchmark_model.json

Everything is measured in turn in one run: a round times each model, each backbone and the reference once,
so a ratio compares neighbours in time. Weights of configs and all images are random; speed does not depend
on them. docs/benchmark.md says what every number means.
"""

import argparse
import json
import platform
import sys
from importlib.metadata import version
from itertools import product
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))  # run as a script, from anywhere

import torch

from util.arguments import TakeAll, add_device_argument
from util.benchmark.marked_text import require_marked, write_marked
from util.benchmark.onnx_graphs import OnnxSubject
from util.benchmark.peak_memory import peak_memory
from util.benchmark.setting import Bench, compile_whole, measure
from util.benchmark.subject import (
    PRECISIONS,
    Setting,
    Source,
    Subject,
    as_taken,
    random_images,
    timm_features,
)
from util.benchmark.tables import readme_table, text_table
from util.benchmark.timing import CLOCKS, Stopwatch
from util.files import write_atomic
from util.prediction.predictor import pick_device

REFERENCE = "hrnet_w32"
README_PASSAGE = "benchmark_model"


def main() -> None:
    args = parse_args()
    check_args(args)
    if args.threads is not None:
        torch.set_num_threads(args.threads)
    torch.manual_seed(0)
    report = benchmark_all(args, pick_device(args.device))
    print(text_table(report))
    if args.json is not None:
        write_atomic(args.json, json.dumps(report, indent=1, allow_nan=False) + "\n")
    if args.readme is not None:
        write_marked(args.readme, README_PASSAGE, readme_table(report))


def benchmark_all(args: argparse.Namespace, device: torch.device) -> dict[str, Any]:
    """The whole report. Its top level repeats the first model, so that a single one needs no loop."""
    size = (args.size[0], args.size[1])
    settings = [Setting(*pair) for pair in product(args.precision, args.batch_size)]
    sources = [Source("model_config", file, size, args.num_outputs) for file in args.model_config]
    sources += [Source("checkpoint", file, size, args.num_outputs) for file in args.checkpoint]
    bench = set_up(sources, size, device, args)
    memories = [peak_memory(source, settings, device) for source in sources]
    measured = [measure(bench, setting) for setting in settings]
    models = [
        {"name": source.name, source.kind: str(source.file), **memory.report()}
        | model_report(subject, [setting.subjects[index] for setting in measured])
        for index, (source, subject, memory) in enumerate(zip(sources, bench.subjects, memories, strict=True))
    ]
    graphs = [
        {"file": str(graph.file), "settings": [s.graphs[index] for s in measured if s.graphs]}
        for index, graph in enumerate(bench.graphs)
    ]
    plain = plain_setting([setting.matmul for setting in measured])
    return {
        **models[0],
        "models": models,
        REFERENCE: model_report(bench.reference, [setting.reference for setting in measured]),
        "onnx": graphs,
        "matmul": [setting.matmul for setting in measured],
        "precision": plain["precision"],  # of the numbers that stand outside "settings"
        "batch_size": plain["batch_size"],
        **environment(args, device),
    }


def set_up(
    sources: list[Source], size: tuple[int, int], device: torch.device, args: argparse.Namespace
) -> Bench:
    image = random_images(Setting("fp32", 1), size, device)
    subjects = [Subject.of(source.name, source.build(device), image) for source in sources]
    return Bench(
        subjects=subjects,
        reference=Subject.of(REFERENCE, timm_features(REFERENCE).to(device), image),
        compiled=[compile_whole(subject.model, as_taken(image, subject.model)) for subject in subjects]
        if args.compile
        else [],
        graphs=[OnnxSubject(file, torch.get_num_threads()) for file in args.onnx],
        size=size,
        device=device,
        repeats=args.repeats,
        stopwatch=Stopwatch.on(device, args.clock),
    )


def model_report(subject: Subject, settings: list[dict[str, Any]]) -> dict[str, Any]:
    """What a model is, its numbers in the plain setting, and those in every setting."""
    plain = plain_setting(settings)
    report = subject.size_report() | {k: v for k, v in plain.items() if k not in ("precision", "batch_size")}
    if subject.backbone is not None:
        report["backbone"] = subject.backbone.size_report() | plain["backbone"]
    return {**report, "settings": settings}


def plain_setting(settings: list[dict[str, Any]]) -> dict[str, Any]:
    """Batch 1 in fp32 where it was measured, else the first setting."""
    wanted = [s for s in settings if (s["precision"], s["batch_size"]) == ("fp32", 1)]
    return (wanted or settings)[0]


def environment(args: argparse.Namespace, device: torch.device) -> dict[str, Any]:
    on_gpu = device.type == "cuda"
    return {
        "size": args.size,
        "num_outputs": args.num_outputs,
        "device": torch.cuda.get_device_name(device) if on_gpu else f"cpu ({cpu_name()})",
        "threads": torch.get_num_threads(),
        "repeats": args.repeats,
        "clock": args.clock,
        "torch": torch.__version__,
        "timm": version("timm"),
        "python": platform.python_version(),
    }


def cpu_name() -> str:
    info = Path("/proc/cpuinfo")
    lines = info.read_text().splitlines() if info.is_file() else []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor() or platform.machine()


def check_args(args: argparse.Namespace) -> None:
    """Raise ValueError for values that cannot be measured here, before anything slow is done."""
    if not args.model_config and not args.checkpoint:
        raise ValueError("nothing to measure: give --model-config or --checkpoint.")
    numbers = {"size": args.size, "batch-size": args.batch_size, "repeats": [args.repeats]}
    numbers["threads"] = [] if args.threads is None else [args.threads]
    for name, values in numbers.items():
        if any(value < 1 for value in values):
            raise ValueError(f"--{name} {values}: expected whole numbers of at least 1.")
    on_cpu = pick_device(args.device).type == "cpu"
    if "fp16" in args.precision and on_cpu:
        raise ValueError(f"--precision fp16 on {args.device}: needs a GPU. Use bf16 on a CPU.")
    if not on_cpu and (args.onnx or args.clock == "cpu"):
        raise ValueError(f"--onnx and --clock cpu measure the CPU, not {args.device}. Use --device cpu.")
    if args.readme is not None:
        require_marked(args.readme, README_PASSAGE)


def parse_args() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    models = parser.add_argument_group(
        "models, timed in turn; the first one is what others are compared with"
    )
    models.add_argument(
        "--model-config", type=Path, nargs="+", action=TakeAll, default=[], help="files that define `model`"
    )
    models.add_argument(
        "--checkpoint", type=Path, nargs="+", action=TakeAll, default=[], help="trained models"
    )
    models.add_argument(
        "--onnx", type=Path, nargs="+", action=TakeAll, default=[], help="exported graphs, in fp32 settings"
    )
    models.add_argument("--compile", action="store_true", help="each model by torch.compile as well")
    parser.add_argument("--size", type=int, nargs=2, default=[512, 416], metavar=("HEIGHT", "WIDTH"))
    parser.add_argument("--batch-size", type=int, nargs="+", action=TakeAll, default=[1])
    parser.add_argument("--precision", choices=list(PRECISIONS), nargs="+", action=TakeAll, default=["fp32"])
    parser.add_argument(
        "--num-outputs",
        type=int,
        default=38,
        metavar="N",
        help="landmarks or classes of the models of configs that name no num_classes (38)",
    )
    add_device_argument(parser, default="cpu")
    parser.add_argument("--threads", type=int, help="CPU threads (PyTorch's own choice)")
    parser.add_argument("--repeats", type=int, default=30, help="rounds that count (30)")
    parser.add_argument(
        "--clock",
        choices=list(CLOCKS),
        default="wall",
        help="cpu: time that this process computed, for ratios on a machine that others use",
    )
    parser.add_argument("--json", type=Path, help="file for the numbers")
    parser.add_argument("--readme", type=Path, help="file whose marked table is written anew")
    return parser.parse_args()


if __name__ == "__main__":
    try:
        main()
    except ValueError as error:
        sys.exit(f"benchmark_model: {error}")
