"""Measure the shape statistics that phantoms follow, on a prepared folder of real annotations.

    python tools/measure_landmark_statistics.py --data data/cl38 --output cl38_statistics.json

The generator reads datasets/cl38_statistics.json.
"""

import argparse
import json
import os
import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))  # run as a script, from anywhere

from datasets.phantom_shape import ShapeStatistics
from datasets.prepared import PreparedDataset


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--data", type=Path, required=True, help="prepared folder")
    parser.add_argument("--subsets", nargs="+", default=["train", "val", "test"], help="splits to measure")
    parser.add_argument("--output", type=Path, required=True, help="JSON file to write")
    arguments = parser.parse_args()
    statistics, left_out = measure(arguments.data, arguments.subsets)
    write_json(arguments.output, statistics.to_dict())
    print(f"{statistics.num_images} cases measured, {left_out} left out for a missing landmark")
    print(f"{len(statistics.components_mm)} components -> {arguments.output}")


def measure(folder: Path, subsets: Sequence[str]) -> tuple[ShapeStatistics, int]:
    """Statistics of all complete cases, and how many cases were incomplete."""
    datasets = [PreparedDataset(folder, subset) for subset in subsets]
    shapes, heights = [], []
    for dataset in datasets:
        for index in range(len(dataset)):
            sample = dataset.without_pixels(index)
            if not np.isfinite(sample.spacing).all():
                raise ValueError(f"{folder}: spacing of {sample.case} unknown, expected mm per pixel.")
            shapes.append(sample.points * sample.spacing)
            heights.append(sample.size[1] * sample.spacing[1])
    points = np.stack(shapes)  # (N, K, 2) mm
    complete = np.isfinite(points).all((1, 2))
    name = datasets[0].landmark_set.name
    statistics = ShapeStatistics.measure(points[complete], np.array(heights)[complete], landmark_set=name)
    return statistics, int((~complete).sum())


def write_json(file: Path, data: dict) -> None:
    """Write ``data`` whole or not at all."""
    temporary = file.with_name(f".{file.name}.{os.getpid()}.tmp")
    temporary.write_text(json.dumps(data) + "\n", encoding="utf-8")
    os.replace(temporary, file)


if __name__ == "__main__":
    try:
        main()
    except ValueError as error:
        sys.exit(f"measure_landmark_statistics: {error}")
