"""Export a model as one ONNX file that inference.py and any ONNX runtime can use without PyTorch.

    python tools/pytorch2onnx.py --checkpoint runs/NAME/best.pt --output model.onnx
    python tools/pytorch2onnx.py --model-config C.py --checkpoint published.pth --output model.onnx

The file is written only when ONNX Runtime gives what PyTorch gives, on random images and on real ones: those
of --data, or of the folder that the model was trained on where it is there. docs/export.md says more.
"""

import argparse
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))  # run as a script, from anywhere

from util.arguments import checkpoints_of, model_config_of
from util.checkpoints.checkpoint import task_of_config
from util.checkpoints.described import task_of_described
from util.files import open_atomic
from util.training.task import Task


def main() -> None:
    args, task = parse_args()
    with open_atomic(args.output) as stream:  # before the export, which takes a minute
        content = task.exported(args, print)
        stream.write(content)
    print(f"{args.output}: {len(content) / 2**20:.1f} MiB")


def parse_args() -> tuple[argparse.Namespace, Task]:
    """The arguments, and the task of the model, which has some of its own."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--checkpoint", type=Path, help="RUN/best.pt")
    parser.add_argument(
        "--model-config",
        type=Path,
        metavar="C",
        help="config of a --checkpoint that main.py did not write; alone: the model with random weights",
    )
    parser.add_argument("--output", type=Path, required=True, help="FILE.onnx")
    words = sys.argv[1:]
    config = model_config_of(words)
    if config and not any(word.startswith("--checkpoint") for word in words):
        task = task_of_config(config)
    else:
        task = task_of_described(checkpoints_of(words)[0], config)
    task.add_export_arguments(parser)
    args = parser.parse_args()
    if args.output.suffix != ".onnx":
        parser.error(f"--output {args.output}: expected a name that ends with .onnx.")
    return args, task


if __name__ == "__main__":
    try:
        main()
    except (ValueError, NotImplementedError) as error:
        sys.exit(f"pytorch2onnx: {error}")
