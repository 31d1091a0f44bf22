"""Everything that only a GPU can show, in minutes: one JSON and one table.

    python tools/check_gpu.py --output outputs/gpu        (or: make gpu, make gpu PY=python3)

Trains on phantoms that it draws first. Exit code 0: all is well; 1: something is not; 3: no GPU here.
"""

import argparse
import json
import sys
import time
from functools import partial
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))  # run as a script, from anywhere

import torch

from util.benchmark.gpu import answered, compiled, onnx_runtime, same_points, script, speed, table, training
from util.benchmark.subject import PRECISIONS
from util.checkpoints.checkpoint import load_model
from util.files import write_atomic
from util.training.reproduce import environment_record

_CONFIGS = ("configs/smoke.py", "configs/train_config.py")  # a tiny model, and the ResNet-18 model
_STEPS = 100
_SIZE = (512, 416)  # of the ResNet-18 model


def main() -> int:
    args = parse_arguments()
    if not torch.cuda.is_available():
        print("check_gpu.py: no GPU here, or a torch without CUDA: skipped.")
        return 3
    started, device = time.perf_counter(), torch.device("cuda")
    args.output.mkdir(parents=True, exist_ok=False)
    data = args.output / "phantoms"
    script("tools/prepare_phantom.py", "--output", data, "--train", 48, "--val", 8, "--test", 8)
    common = [f"data.folder={data}", f"train.iterations={_STEPS}", f"train.eval_every={_STEPS}"]
    checks = []
    for config in _CONFIGS:
        for precision in ("fp16", "bf16"):
            folder = args.output / f"{Path(config).stem}_{precision}"
            ask = partial(training, config, precision, folder, [*common, "train.batch_size=8"])
            checks.append(answered(f"training {config}, {precision}", ask))
            print(checks[-1].answer, flush=True)
    if torch.cuda.device_count() > 1:
        ask = partial(training, _CONFIGS[0], "bf16", args.output / "two", [*common, "train.batch_size=8"])
        checks.append(answered("two processes", partial(ask, processes=2)))
    checkpoint = args.output / "train_config_bf16" / "best.pt"
    model = load_model(checkpoint).model
    images = torch.rand(2, 1, *_SIZE, generator=torch.Generator().manual_seed(0))
    for precision in PRECISIONS:
        ask = partial(same_points, model, images, device, precision)
        checks.append(answered(f"points, {precision}", ask))
    checks.append(answered("torch.compile", partial(compiled, model, images, device)))
    ask = partial(onnx_runtime, checkpoint, args.output, images, "CUDAExecutionProvider")
    checks.append(answered("ONNX Runtime", ask))
    rows = speed(model, _SIZE, device, batch_sizes=(1, 8, 32), repeats=args.repeats)
    record = {
        "environment": environment_record(),
        "seconds": time.perf_counter() - started,
        "checks": [check.to_dict() for check in checks],
        "speed": rows,
    }
    write_atomic(args.output / "gpu.json", json.dumps(record, indent=2) + "\n")
    written = f"{torch.cuda.get_device_name()}\n\n{table(checks, rows)}\n"
    write_atomic(args.output / "gpu.txt", written)
    print(f"\n{written}\n{args.output / 'gpu.json'}, {record['seconds'] / 60.0:.1f} minutes")
    return int(any(check.passed is False for check in checks))


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Check everything that needs a GPU.")
    parser.add_argument("--output", type=Path, required=True, help="new folder for JSON, table and runs")
    parser.add_argument("--repeats", type=int, default=20, help="rounds that a time is the median of (20)")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
