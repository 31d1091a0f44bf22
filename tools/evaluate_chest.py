"""Chests by their landmarks: the cardiothoracic ratio of predictions beside that of the labels.

    python tools/evaluate_chest.py one.json [other.json ...]

Files of test.py --json, all on the same images. Differences are to the first file, on the same images, with
95 % intervals from a bootstrap over images.
"""

import argparse
import sys
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from measurements.chest import cardiothoracic_ratio
from util.evaluation.landmarks.comparison import EvaluatedRun, named_apart, read_run, require_comparable
from util.evaluation.landmarks.image_means import mean_known, told
from util.reporting.text_table import aligned


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("runs", type=Path, nargs="+", metavar="RUN", help="test.py --json, or its run folder")
    runs = named_apart([read_run(file) for file in parser.parse_args().runs])
    require_comparable(runs)
    found = [chest_values(run) for run in runs]
    rows = [["run", "error", "ratio off by", "ratio off to"]]
    rows += [[run.name, *map(told, of)] for run, of in zip(runs, found, strict=True)]
    rows += [
        [f"{run.name} - first", *(told(a - b) for a, b in zip(of, found[0], strict=True))]
        for run, of in zip(runs[1:], found[1:], strict=True)
    ]
    print(aligned(rows, rules=(1,)))
    print(f"\n{len(runs[0].cases)} images; error: mean radial error in {runs[0].unit}.")
    print("Ratio: cardiothoracic, in points of percent, as an absolute difference and as a signed one.")


def chest_values(run: EvaluatedRun) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """(N,) mean error, and absolute and signed difference of the cardiothoracic ratio, an image each."""
    if run.predicted is None:
        raise ValueError(f"{run.file}: no predicted points. Write it anew with test.py --json.")
    names = list(run.landmarks)
    try:
        found, true = (cardiothoracic_ratio(points, names) for points in (run.predicted, run.truth))
    except ValueError as error:
        raise ValueError(f"{run.file}: {error}") from error
    off = 100.0 * (found - true)
    return mean_known(run.radial_mm), np.abs(off), off


if __name__ == "__main__":
    try:
        main()
    except ValueError as error:
        sys.exit(f"evaluate_chest.py: {error}")
