"""Measure the shape statistics that phantoms follow, on a prepared folder of real annotations.

    python tools/measure_landmark_statistics.py --data data/cl38 --cases cases.txt --output statistics.json

The generator reads datasets/phantoms/cl38_statistics.json, which names the cases it was measured on. What
learns from phantoms has seen their mean and covariance: leave out every case that a number is reported on.
"""

import argparse
import json
import os
import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))  # run as a script, from anywhere

from datasets.phantoms.shape import ShapeStatistics
from datasets.prepared.prepared import PreparedDataset
from util.arguments import TakeAll


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--data", type=Path, required=True, help="prepared folder")
    parser.add_argument(
        "--subsets", nargs="+", action=TakeAll, default=["train", "val", "test"], help="splits to measure"
    )
    parser.add_argument("--cases", type=Path, help="text file, a case name a line: measure only these")
    parser.add_argument("--output", type=Path, required=True, help="JSON file to write")
    arguments = parser.parse_args()
    names = arguments.cases.read_text(encoding="utf-8").split() if arguments.cases else None
    statistics, left_out = measure(arguments.data, arguments.subsets, names)
    write_json(arguments.output, statistics.to_dict())
    print(f"{len(statistics.cases)} cases measured, {left_out} left out for a missing landmark")
    print(f"{len(statistics.components_mm)} components -> {arguments.output}")


def measure(
    folder: Path, subsets: Sequence[str], names: Sequence[str] | None = None
) -> tuple[ShapeStatistics, int]:
    """Statistics of the complete cases among ``names`` (None: of all), and how many were incomplete.

    Raises ValueError for a name that is in none of the subsets, and for a case of unknown spacing.
    """
    datasets = [PreparedDataset(folder, subset) for subset in subsets]
    faces = {case: (dataset, index) for dataset in datasets for index, case in enumerate(dataset.cases)}
    unknown = sorted(set(names or ()) - set(faces))
    if unknown:
        raise ValueError(
            f"{folder}: {', '.join(subsets)} without {', '.join(unknown[:5])}. Correct --cases or --subsets."
        )
    chosen = [case for case in faces if names is None or case in names]
    if not chosen:
        raise ValueError(f"{folder}: no case chosen, expected 3 or more. Name them in --cases or drop it.")
    shapes, heights = [], []
    for case in chosen:
        dataset, index = faces[case]
        sample = dataset.with_spacing(index)
        shapes.append(sample.points * sample.spacing)
        heights.append(sample.size[1] * sample.spacing[1])
    points = np.stack(shapes)  # (N, K, 2) mm
    complete = np.isfinite(points).all(axis=(1, 2))
    statistics = ShapeStatistics.measure(
        points[complete],
        np.array(heights)[complete],
        [chosen[index] for index in np.flatnonzero(complete)],
        landmark_set=datasets[0].landmark_set.name,
    )
    return statistics, int((~complete).sum())


def write_json(file: Path, data: dict) -> None:
    """Write ``data`` whole or not at all."""
    temporary = file.with_name(f".{file.name}.{os.getpid()}.tmp")
    temporary.write_text(json.dumps(data) + "\n", encoding="utf-8")
    os.replace(temporary, file)


if __name__ == "__main__":
    try:
        main()
    except (OSError, ValueError) as error:
        sys.exit(f"measure_landmark_statistics: {error}")
