"""Spines by the corners of their vertebrae: errors in vertebra widths, slips by one, and Cobb angles.

    python tools/evaluate_spine.py one.json [other.json ...] [--leave-out suspects.txt] [--output DIR]

Files of test.py --json, all on the same images. Landmarks are vertebrae from the top down, four corners each:
upper left, upper right, lower left, lower right, as seen in the image. Differences are to the first file, on
the same images, with 95 % intervals from a bootstrap over images.
"""

import argparse
import json
import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from measurements.spine import cobb_angles, require_order, slips, smape, vertebra_widths, vertebrae
from util.arguments import listed_cases
from util.evaluation.landmarks.comparison import EvaluatedRun, named_apart, read_run, require_comparable
from util.evaluation.landmarks.image_means import interval, mean_known, told
from util.evaluation.landmarks.metrics import json_ready
from util.files import write_atomic
from util.reporting.text_table import aligned

TITLES = {
    "error": "error",  # its unit is the run's
    "widths": "in widths",
    "slipped": "slip, %",
    "vertebrae": "vertebrae, %",
    "smape": "Cobb SMAPE, %",
    "main": "main, deg",
}


def main() -> None:
    args = parse_arguments()
    runs = named_apart([read_run(file) for file in args.runs])
    require_comparable(runs)
    left_out = listed_cases(args.leave_out)
    kept = np.array([case not in left_out for case in runs[0].cases])
    if not kept.any():
        raise ValueError(f"{args.leave_out}: leaves no image of {len(kept)}. Name fewer.")
    found = [{name: values[kept] for name, values in spine_values(run).items()} for run in runs]
    rows = [["run", *TITLES.values()]]
    rows += [[run.name, *(told(of[name]) for name in TITLES)] for run, of in zip(runs, found, strict=True)]
    rows += [
        [f"{run.name} - first", *(told(of[name] - found[0][name]) for name in TITLES)]
        for run, of in zip(runs[1:], found[1:], strict=True)
    ]
    print(aligned(rows, rules=(1,)))
    print(f"\n{kept.sum()} images of {len(kept)}; error: mean radial error in {runs[0].unit}.")
    print("Slip: images with a vertebra that lies nearest to the true place of another.")
    print("SMAPE and main: of the three Cobb angles, and the largest of them.")
    if args.output is not None:
        record = {run.name: _record(of) for run, of in zip(runs, found, strict=True)}
        text = json.dumps(json_ready(record), indent=1, allow_nan=False)  # null where no image tells
        write_atomic(args.output / "spine.json", text + "\n")


def spine_values(run: EvaluatedRun) -> dict[str, np.ndarray]:
    """(N,) of every number of ``TITLES``, an image each.

    Angles and widths are of lengths: pixels may be oblong. A corner that the truth lacks is left out of the
    predicted angles too, so that both are of the same end plates. Slips are of the vertebrae with a true
    centre. NaN where an image does not tell.
    """
    if run.predicted is None:
        raise ValueError(f"{run.file}: no predicted points. Write it anew with test.py --json.")
    truth, predicted = (points * run.spacing[:, None] for points in (run.truth, run.predicted))  # in the unit
    try:
        require_order(truth)
    except ValueError as error:
        raise ValueError(f"{run.file}: {error}") from error
    apart = np.linalg.norm(predicted - truth, axis=-1)  # (N, K)
    widths = np.repeat(vertebra_widths(truth), 4, axis=1)
    slipped = slips(predicted, truth)  # (N, V)
    marked = np.isfinite(vertebrae(truth).reshape(*slipped.shape, -1)).all(-1)
    true_angles = cobb_angles(truth).angles
    angles = cobb_angles(np.where(np.isnan(truth), np.nan, predicted)).angles
    values = {
        "error": mean_known(run.radial_mm),
        "widths": mean_known(apart / widths),
        "slipped": 100.0 * np.where(marked.any(-1), slipped.any(1), np.nan),
        "vertebrae": 100.0 * mean_known(np.where(marked, slipped, np.nan)),
        "smape": smape(angles, true_angles),
        "main": np.abs(angles[:, 0] - true_angles[:, 0]),
    }
    return {name: np.asarray(value) for name, value in values.items()}


def _record(found: dict[str, np.ndarray]) -> dict[str, dict[str, float | list[float]]]:
    return {
        name: {"mean": float(mean_known(values[None])[0]), "ci95": list(interval(values))}
        for name, values in found.items()
    }


def parse_arguments(arguments: Sequence[str] | None = None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("runs", type=Path, nargs="+", metavar="RUN", help="test.py --json, or its run folder")
    parser.add_argument("--leave-out", type=Path, metavar="FILE", help="cases not to count, one a line")
    parser.add_argument("--output", type=Path, metavar="DIR", help="folder for spine.json")
    return parser.parse_args(arguments)


if __name__ == "__main__":
    try:
        main()
    except ValueError as error:
        sys.exit(f"evaluate_spine.py: {error}")
