"""Run reference numbers of the published box detector through this one: the largest difference a stage.

    python tools/check_box_parity.py FOLDER [--precision float32]

Every ``*.npz`` of FOLDER is a case: numbers by name, with a seed, image sizes and settings in ``meta``.
Weights and images come from the rule in ``util/inspection/boxes/parity_rule.py``, models from
``configs/salience_detr``; nothing in FOLDER is run. Exit code 1 if a number is farther off than it may be,
2 if a case cannot be read; the others are checked all the same.
"""

import argparse
import sys
import time
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from util.config import load_config  # noqa: E402
from util.inspection.boxes.parity import TOLERANCES, StageResult, check_case  # noqa: E402
from util.inspection.boxes.parity_case import read_case  # noqa: E402


def main() -> int:
    args = parse_arguments()
    files = sorted(args.folder.glob(args.only))
    if not files:
        return refused(f"{args.folder}: no {args.only} in it. Give a folder of reference numbers.")
    agree, unread = 0, 0
    for file in files:
        try:
            agree += check(file, args.precision)
        except ValueError as error:
            unread += 1
            refused(str(error))
    print(f"{agree} of {len(files)} cases agree." + (f" {unread} could not be checked." if unread else ""))
    return 2 if unread else int(agree < len(files))


def refused(reason: str) -> int:
    print(f"check_box_parity.py: {reason}", file=sys.stderr, flush=True)
    return 2


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Compare the box detector with reference numbers.")
    parser.add_argument("folder", type=Path)
    parser.add_argument("--precision", choices=sorted(TOLERANCES), default="float64")
    parser.add_argument("--only", default="*.npz", metavar="PATTERN", help="file names, such as 'r50_*.npz'")
    return parser.parse_args()


def check(file: Path, precision: str) -> bool:
    """Print one case; whether all of it is within its tolerance."""
    started = time.perf_counter()
    case = read_case(file)
    results = check_case(case, published_model, precision)
    agrees = all(result.within for result in results)
    note = ", tied tokens given" if case.tied else ""
    print(f"{file.name}: {case.kind}{note}, {time.perf_counter() - started:.0f} s")
    print("\n".join(map(line, results)), flush=True)
    return agrees


def line(result: StageResult) -> str:
    mark = "ok " if result.within else "BAD"
    return f"  {mark} {result.stage:28} {result.largest:8.1e} of at most {result.tolerance:.0e}"


def published_model(name: str) -> Any:
    """The model section of a published config."""
    return load_config(ROOT / "configs" / "salience_detr" / f"{name}.py").model


if __name__ == "__main__":
    sys.exit(main())
