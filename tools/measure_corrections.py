"""How much does reviewing k landmarks of a film bring, by the order in which the page offers them?

    python tools/measure_corrections.py --predictions test.json --analysis isbi2015

The predictions are those of test.py --json; the reader is the labels that it was measured against. Landmark
after landmark is put where the reader has it, in the page's own orders (by effect on the analysis, by
uncertainty), which it makes anew after each, and by chance. Counted: right classes, and the mean radial error
over all landmarks.
"""

import argparse
import json
import sys
import tempfile
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))  # run as a script, from anywhere

import numpy as np  # noqa: E402

from datasets.landmarks.landmark_set import LandmarkSet  # noqa: E402
from datasets.prepared.case import INDEX_TO_CONTINUOUS  # noqa: E402
from measurements.analysis import load_analysis  # noqa: E402
from measurements.evaluate import measure  # noqa: E402
from measurements.norm import Patient  # noqa: E402
from review_page.case import Case  # noqa: E402
from review_page.case_state import MOVED, Mark, PredictedPoint, Spacing  # noqa: E402
from review_page.films import Film  # noqa: E402
from review_page.journal import Journal  # noqa: E402
from review_page.measured_case import CaseMeasurer  # noqa: E402
from transforms.geometry import square_side  # noqa: E402
from util.evaluation.landmarks.metrics import Errors  # noqa: E402
from util.evaluation.landmarks.prediction_file import errors_of_file, shapes_of_file  # noqa: E402
from util.files import write_atomic  # noqa: E402
from util.prediction.landmarks.measuring import Measurer  # noqa: E402

_UNKNOWN = Patient(age=None, sex=None, population=None)


def main() -> None:
    args = parse_args()
    errors, landmark_set = errors_of_file(args.predictions)
    if not 0 <= args.most <= len(landmark_set):
        raise ValueError(f"--most {args.most}: expected 0 to {len(landmark_set)}, the landmarks of a film.")
    measurer = CaseMeasurer(
        Measurer(landmark_set, [load_analysis(args.analysis)], _UNKNOWN, shapes_of_file(args.predictions))
    )
    result = {
        order: left_over(errors, landmark_set, measurer, order, args.most)
        for order in ("effect", "uncertainty", "chance")
    }
    for order, steps in result.items():
        words = [f"{step['classes_percent']:.1f} % {step['mre_mm']:.2f} mm" for step in steps]
        print(f"{order:12}" + "  ".join(f"{k}: {text}" for k, text in enumerate(words)))
    if args.json:
        write_atomic(args.json, json.dumps(result, indent=1, allow_nan=False) + "\n")


def parse_args() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--predictions", type=Path, required=True, help="file of test.py --json")
    parser.add_argument("--analysis", default="isbi2015", help="one with classes (isbi2015)")
    parser.add_argument("--most", type=int, default=8, help="corrections a film (8)")
    parser.add_argument("--json", type=Path, help="write every number")
    return parser.parse_args()


def left_over(
    errors: Errors, landmark_set: LandmarkSet, measurer: CaseMeasurer, order: str, most: int
) -> list[dict[str, float]]:
    """After 0, 1, ... ``most`` corrections a film: right classes in percent, and the mean radial error."""
    places = []
    with tempfile.TemporaryDirectory() as folder:
        for number in range(len(errors.cases)):
            case = case_of(errors, number, landmark_set, Path(folder))
            places.append(
                corrected(case, errors.truth[number] - INDEX_TO_CONTINUOUS, measurer, order, most, number)
            )
    points = np.stack(places, axis=1) + INDEX_TO_CONTINUOUS  # (most + 1, N, K, 2)
    return [step_of(errors, one, measurer) for one in points]


def case_of(errors: Errors, number: int, landmark_set: LandmarkSet, folder: Path) -> Case:
    """A film as the page has it; no file of it is read or written."""
    spacing = errors.spacing[number]
    doubts = errors.uncertainty_mm[number] / square_side(spacing)
    places = errors.predicted[number] - INDEX_TO_CONTINUOUS
    predicted = [PredictedPoint(x, y, u) for (x, y), u in zip(places.tolist(), doubts.tolist(), strict=True)]
    name = errors.cases[number]
    mm = Spacing((float(spacing[0]), float(spacing[1])), "--spacing")
    return Case(
        Film(folder / name, None, name, name), landmark_set, Journal(folder, name), [*predicted], {}, mm
    )


def corrected(
    case: Case, truth: np.ndarray, measurer: CaseMeasurer, order: str, most: int, seed: int
) -> np.ndarray:
    """(most + 1, K, 2) index pixels after each correction."""
    chance = np.random.default_rng(seed).permutation(len(truth)).tolist()
    found = [_places(case)]
    for _ in range(most):
        wanted = chance if order == "chance" else measurer.of(case).orders[order]
        open_ones = set(case.state.unsettled())
        index = next(index for index in wanted if index in open_ones)
        x, y = truth[index].tolist()
        to = Mark(MOVED, x, y, "", "labels").to_dict()
        known: dict[str, Any] = {"seq": case.state.revision + 1, "time": "", "reader": "", "text": ""}
        case.state.apply({"kind": "place", "changes": [{"what": index, "to": to}], **known})
        found.append(_places(case))
    return np.stack(found)


def _places(case: Case) -> np.ndarray:
    return np.array([case.state.place(index) for index in range(len(case.landmark_set))], np.float64)


def step_of(errors: Errors, points: np.ndarray, measurer: CaseMeasurer) -> dict[str, float]:
    """points: (N, K, 2) continuous pixels."""
    assert measurer.measurer is not None
    analysis, index = measurer.measurer.analyses[0], measurer.measurer.index
    scale = errors.spacing[:, None]
    found, true = (measure(analysis, places * scale, index) for places in (points, errors.truth))
    right = [
        one.classes.index(found.values[:, m]) == one.classes.index(true.values[:, m])
        for m, one in enumerate(true.analysis.measurements)
        if one.classes is not None
    ]
    radial = np.linalg.norm((points - errors.truth) * scale, axis=-1)
    return {"classes_percent": 100.0 * float(np.mean(right)), "mre_mm": float(np.nanmean(radial))}


if __name__ == "__main__":
    try:
        main()
    except ValueError as error:
        sys.exit(f"measure_corrections.py: {error}")
