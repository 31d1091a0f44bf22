"""Command-line arguments that several scripts share."""

import argparse
import io
import math
import re
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, TypeVar

_Number = TypeVar("_Number", int, float)


def escape_on_console() -> None:
    """Let names that the console's encoding lacks be printed escaped, instead of ending the script."""
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="backslashreplace")


def positive(kind: type[_Number]) -> Callable[[str], _Number]:
    """Reads an argument that is a finite number above 0, for ``add_argument(type=...)``."""

    def number(text: str) -> _Number:
        value = kind(text)
        if not (math.isfinite(value) and value > 0):
            raise argparse.ArgumentTypeError(f"{value}, expected a number above 0")
        return value

    return number


def checkpoint_name(text: str) -> Path:
    """Reads an argument that names a checkpoint to write, for ``add_argument(type=...)``.

    What it is to be read as, its name says: under ``.safetensors`` nothing could read it.
    """
    file = Path(text)
    if file.suffix != ".pt":
        raise argparse.ArgumentTypeError(f"{text}, expected a name that ends in .pt")
    return file


def add_data_arguments(parser: argparse.ArgumentParser, *, subset: str = "test") -> None:
    """``--data``, ``--subset``, ``--workers`` and ``--device``: which images are evaluated, and where."""
    parser.add_argument(
        "--data",
        "--coco-path",
        type=Path,
        help="prepared folder, or for boxes COCO's; default: that of the (first) checkpoint's training",
    )
    parser.add_argument("--subset", default=subset, help=f"subset of the prepared folder (default: {subset})")
    parser.add_argument("--workers", type=int, default=2, help="processes that read images; 0: none")
    add_device_argument(parser)


def add_device_argument(parser: argparse.ArgumentParser, *, default: str = "auto") -> None:
    """``--device``, for ``util.prediction.predictor.pick_device``."""
    parser.add_argument("--device", default=default, help=f"auto, cpu, cuda or cuda:N (default: {default})")


def add_spacing_argument(parser: argparse.ArgumentParser) -> None:
    """``--spacing``: one or two numbers above 0 in place of what the files say."""
    parser.add_argument(
        "--spacing",
        type=positive(float),
        nargs="+",
        action=_OneOrTwo,
        metavar="MM",
        help="mm per pixel, one number or x and y; overrides the files",
    )


class TakeAll(argparse.Action):
    """``add_argument(nargs="+", action=TakeAll)``: an option given again adds to what it was given before.

    ``--input a b --input c`` is a, b, c. What is given first stands in place of the default, to which
    argparse's own ``extend`` would add.
    """

    def __call__(
        self,
        parser: argparse.ArgumentParser,
        namespace: argparse.Namespace,
        values: Any,
        option_string: str | None = None,
    ) -> None:
        before = getattr(namespace, self.dest)
        setattr(namespace, self.dest, values if before is self.default else [*before, *values])


class _OneOrTwo(argparse.Action):
    def __call__(
        self,
        parser: argparse.ArgumentParser,
        namespace: argparse.Namespace,
        values: str | Sequence[Any] | None,
        option_string: str | None = None,
    ) -> None:
        if values is None or len(values) > 2:
            parser.error(f"{option_string} {values}: expected one or two numbers, mm per pixel.")
        setattr(namespace, self.dest, values)


def add_model_config_argument(parser: argparse.ArgumentParser) -> None:
    """``--model-config``, for ``util.checkpoints.described``."""
    parser.add_argument(
        "--model-config",
        type=Path,
        metavar="C",
        help="config of a --checkpoint that main.py did not write, such as published weights",
    )


def model_config_of(words: Sequence[str]) -> Path | None:
    """The file after ``--model-config`` on a command line that is not parsed yet."""
    parser = argparse.ArgumentParser(add_help=False, allow_abbrev=False)
    add_model_config_argument(parser)
    return parser.parse_known_args(list(words))[0].model_config


def checkpoints_of(words: Sequence[str], default: Sequence[Path] = ()) -> Sequence[Path]:
    """The files after ``--checkpoint`` on a command line that is not parsed yet; ``default`` without any.

    What else a script can be asked depends on the task of its checkpoint. Exits as argparse does where the
    files are missing.
    """
    parser = argparse.ArgumentParser(add_help=False, allow_abbrev=False)
    parser.add_argument("--checkpoint", type=Path, nargs="+", action=TakeAll, default=list(default))
    found = parser.parse_known_args(list(words))[0].checkpoint
    if not found:
        parser.error(
            "the following arguments are required: --checkpoint. Options depend on what the model finds: "
            "--checkpoint F --help lists them."
        )
    return found


def listed_cases(file: Path | None) -> set[str]:
    """The cases in the first column of a text or CSV file (comma, semicolon, tab); none without a file.

    Raises ValueError for a file that cannot be read as text.
    """
    if file is None:
        return set()
    try:
        lines = file.read_text(encoding="utf-8-sig").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise ValueError(f"{file}: cannot be read ({error}). Give a text file with a case a line.") from error
    return {re.split("[,;\t]", line)[0].strip() for line in lines if line.strip()}
