"""The path of a CL-Detection 2023 entry on one small stack, from the organisers' files to the package.

    python tools/run_challenge.py --output outputs/challenge

Prepares, trains briefly, evaluates, predicts, packages and checks (docs/cl_detection.md). The stack is
--stack with its --annotations; or one of real X-rays, made by the folder that CEPHDETR_REAL_DATA names; or
phantoms. Stops at the first step that fails, also when the package predicts anything more than 0.01 px from
step 4.
"""

import argparse
import os
import shlex
import shutil
import subprocess
import sys
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))  # run as a script, from anywhere

from datasets.phantoms.stack import ANNOTATIONS, FRAME_HEIGHT, STACK  # noqa: E402
from util.arguments import TakeAll  # noqa: E402

REAL_DATA = "CEPHDETR_REAL_DATA"


def main() -> None:
    args = parse_args()
    if args.output.exists() and (not args.output.is_dir() or any(args.output.iterdir())):
        raise ValueError(
            f"{args.output}: already there and not empty. Give a new folder, or remove this one."
        )
    out, started = args.output.resolve(), time.monotonic()
    data, expected = out / "data", out / "expected_output.json"
    stack, annotations = stack_of(args, out)
    both = ("--stack", stack, "--annotations", annotations)

    headline("1 Prepare")
    run("tools/prepare_cl_detection2023.py", *both, "--output", data, "--size", args.size)
    headline("2 Train")
    for fold in args.fold:
        run("main.py", "--config-file", args.config_file, "--fold", fold, *overrides(args, data, out / "run"))
    checkpoints = sorted(out.glob("run_fold*/best.pt"))
    headline("3 Evaluate")
    run("test.py", "--checkpoint", checkpoints[0], "--workers", 0, "--json", out / "test.json")
    headline("4 Predict")
    predict = ("--stack", stack, "--checkpoint", *checkpoints, "--output", expected)
    run("tools/predict_cl_detection2023.py", *predict)
    run("tools/evaluate_predictions.py", "--predictions", expected, "--annotations", annotations)
    headline("5 Package")
    package(stack, expected, checkpoints)
    headline("6 Check")
    run("tools/validate_submission.py", expected, "--stack", stack)
    print(f"\nAll six steps done in {time.monotonic() - started:.0f} s: {args.output}")


def stack_of(args: argparse.Namespace, out: Path) -> tuple[Path, Path]:
    """The stack and its annotations: as given, or made below ``out``, real if real data are at hand."""
    if args.stack:
        return args.stack.resolve(), args.annotations.resolve()
    headline("0 A stack in the organisers' form")
    folder = out / "stack"
    if REAL_DATA in os.environ:
        maker = Path(os.environ[REAL_DATA]) / "cl_detection2023/make_stack.py"
        run(maker, "--count", args.slices, "--out", folder)
    else:
        size = ("--slices", args.slices, "--height", args.height)
        run("tools/make_phantom_stack.py", "--output", folder, *size)
    return folder / STACK, folder / ANNOTATIONS


def overrides(args: argparse.Namespace, data: Path, folder: Path) -> list[str]:
    """A training as short as the command line says, evaluated and saved once, at its end."""
    once = (f"train.{key}={args.iterations}" for key in ("iterations", "eval_every"))
    return [f"data.folder={data}", f"train.output_dir={folder}", "train.select=sdr2", *once]


def package(stack: Path, expected: Path, checkpoints: list[Path]) -> None:
    """Package the checkpoints and compare what the package predicts, with Docker or nearly so."""
    if shutil.which("docker") and subprocess.run(["docker", "info"], capture_output=True).returncode == 0:
        run("container/build.sh", *checkpoints)
        run("container/test.sh", stack, expected)
    else:
        print("no Docker engine here: process.py in an environment of its own instead", flush=True)
        run("container/test_in_environment.sh", stack, expected, *checkpoints)


def headline(text: str) -> None:
    print(f"\n== {text}", flush=True)


def run(script: str | Path, *arguments: object) -> None:
    """Run a script from the root of the repository, its output shown; ends the program where it fails."""
    command = [str(script), *map(str, arguments)]
    print(f"$ {shlex.join(command).replace(f'{ROOT}/', '')}", flush=True)
    if command[0].endswith(".py"):
        command.insert(0, sys.executable)
    code = subprocess.run(command, cwd=ROOT, env={**os.environ, "PYTHON": sys.executable}).returncode
    if code != 0:
        sys.exit(f"run_challenge: {script} failed with exit code {code}.")


def parse_args() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--output", type=Path, required=True, help="folder for everything")
    parser.add_argument("--stack", type=Path, help="train_stack.mha; with --annotations")
    parser.add_argument("--annotations", type=Path, help="train-gt.json")
    parser.add_argument("--slices", type=int, default=8, help="of a stack that is made (8)")
    parser.add_argument("--height", type=int, default=FRAME_HEIGHT, help=f"of its phantoms ({FRAME_HEIGHT})")
    parser.add_argument("--size", type=int, default=640, help="longer side of prepared images (640)")
    parser.add_argument("--config-file", type=Path, default=Path("configs/smoke.py"))
    parser.add_argument("--iterations", type=int, default=40, help="a model (40)")
    parser.add_argument(
        "--fold",
        nargs="+",
        action=TakeAll,
        metavar="I/K",
        default=["1/2", "2/2"],
        help="a model each (1/2 2/2)",
    )
    args = parser.parse_args()
    if (args.stack is None) != (args.annotations is None):
        parser.error("--stack and --annotations belong together: give both, or neither.")
    return args


if __name__ == "__main__":
    try:
        main()
    except ValueError as error:
        sys.exit(f"run_challenge: {error}")
