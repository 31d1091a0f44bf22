"""How much a model gains by following other readers, by how many films they have marked.

    python tools/evaluate_protocols.py --films 1 2 3 5 10 20 40 --figure docs/images/protocols.png \\
        --scenario "training labels to Test1's" test.json data/isbi2015 \\
        --scenario "senior to junior" test.json data/isbi2015_junior train.json data/isbi2015_senior

A scenario is a name, the predictions of a model (test.py --json) and the prepared folder of the readers whom
it is to follow. Two more, predictions on other films and a folder, make it follow those readers first. Films
are drawn at random, the others are what it is judged on. X-rays that train or val has too are left out.
"""

import argparse
import json
import sys
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))  # run as a script, from anywhere

import numpy as np  # noqa: E402

from measurements.face_frame import mean_face  # noqa: E402
from util.arguments import TakeAll  # noqa: E402
from util.evaluation.landmarks.metrics import Errors  # noqa: E402
from util.evaluation.landmarks.prediction_file import errors_of_file  # noqa: E402
from util.evaluation.landmarks.protocol_fit import Residuals, fit_protocol  # noqa: E402
from util.evaluation.landmarks.protocol_gain import Side, adapted  # noqa: E402
from util.evaluation.landmarks.readers import against_readers, without_repeats  # noqa: E402
from util.files import write_atomic  # noqa: E402
from util.prediction.landmarks.protocol import ProtocolOffsets  # noqa: E402
from util.reporting.figures import png  # noqa: E402
from util.reporting.landmarks.protocol_curve import curve_figure  # noqa: E402

_CANVAS = (1, 1)  # of a model's input; nothing is exported here


@dataclass(frozen=True)
class Scenario:
    """A model's errors against the readers whom it is to follow."""

    name: str
    errors: Errors
    reference: np.ndarray  # (K, 2) of the frame of the face

    def fitted(self, films: np.ndarray) -> ProtocolOffsets:
        residuals = Residuals.of(self.errors, self.reference).only(films)
        return fit_protocol(residuals, self.reference, labels=self.name, canvas=_CANVAS)

    def judged(self, films: np.ndarray, rest: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """(n, K) radial errors and predicted rms errors of the ``rest``, by what ``films`` tell, in mm."""
        chosen = np.isin(np.arange(len(self.errors.cases)), rest)
        return adapted(self.errors.only(list(chosen)), self.fitted(films))


def main() -> None:
    args = parse_args()
    rows = []
    for parts in args.scenario:
        scenario = read_scenario(parts)
        rows.append(evaluate(scenario, args.films, args.draws))
        print("\n".join(table(rows[-1])) + "\n", flush=True)
    if args.json:
        write_atomic(args.json, json.dumps(rows, indent=1, allow_nan=False) + "\n")
    if args.figure:
        write_atomic(args.figure, png(curve_figure(rows)))


def parse_args() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--scenario",
        nargs="+",
        action="append",
        required=True,
        metavar="PART",
        help="NAME PREDICTIONS.json FOLDER [PREDICTIONS.json FOLDER]",
    )
    parser.add_argument(
        "--films",
        type=int,
        nargs="+",
        action=TakeAll,
        default=[1, 2, 3, 5, 10, 20, 40],
        help="how many are marked",
    )
    parser.add_argument("--draws", type=int, default=20, help="of each number of films (20)")
    parser.add_argument("--json", type=Path, help="write every number")
    parser.add_argument("--figure", type=Path, help="write the curve as PNG")
    args = parser.parse_args()
    if any(len(parts) not in (3, 5) for parts in args.scenario):
        parser.error("--scenario: expected NAME PREDICTIONS FOLDER, and perhaps PREDICTIONS FOLDER again.")
    if min(args.films) < 1 or args.draws < 1:
        parser.error(f"--films {args.films}, --draws {args.draws}: expected numbers of at least 1.")
    return args


def read_scenario(parts: Sequence[str]) -> Scenario:
    """What the parts of ``--scenario`` name, following the first readers where there are two."""
    name, *files = parts
    errors = without_repeats(by_readers(files[0], files[1]), Path(files[1]))
    reference = mean_face(errors.predicted * errors.spacing[:, None])
    if len(files) == 4:
        first = by_readers(files[2], files[3])
        protocol = fit_protocol(Residuals.of(first, reference), reference, labels="first", canvas=_CANVAS)
        errors = following(errors, protocol)
    return Scenario(name, errors, reference)


def by_readers(predictions: str, folder: str) -> Errors:
    errors, landmark_set = errors_of_file(Path(predictions))
    return against_readers(errors, Path(folder), landmark_set)


def following(errors: Errors, protocol: ProtocolOffsets) -> Errors:
    """The errors of the model that follows ``protocol``."""
    spacing = errors.spacing[:, None]
    points, uncertainty = protocol.applied(errors.predicted * spacing, errors.uncertainty_mm)
    return replace(errors, predicted=points / spacing, uncertainty_mm=uncertainty)


def evaluate(scenario: Scenario, numbers: Sequence[int], draws: int) -> dict[str, Any]:
    """The errors as they are, after each number of films, and after all others; JSON-ready."""
    count = len(scenario.errors.cases)
    everyone = np.arange(count)
    before = Side.of(scenario.errors.radial_mm, scenario.errors.uncertainty_mm)
    parts = [scenario.judged(np.delete(everyone, film), everyone[[film]]) for film in everyone]
    after_all = Side.of(*(np.concatenate(part) for part in zip(*parts, strict=True)))
    rows = [
        {"films": number, **_drawn(scenario, number, draws, before.mre_mm - after_all.mre_mm)}
        for number in numbers
        if number < count
    ]
    sides = {"before": vars(before), "all_others": vars(after_all)}
    return {"scenario": scenario.name, "images": count, "draws": draws, **sides, "films": rows}


def _drawn(scenario: Scenario, number: int, draws: int, full_gain: float) -> dict[str, Any]:
    """Means over the draws; ``worst_gain_mm`` is that of the draw that gained least, on the same films."""
    count, sides, gains = len(scenario.errors.cases), [], []
    for draw in range(draws):
        order = np.random.default_rng([draw, number]).permutation(count)
        films, rest = order[:number], order[number:]
        sides.append(Side.of(*scenario.judged(films, rest)))
        gains.append(float(np.nanmean(scenario.errors.radial_mm[rest])) - sides[-1].mre_mm)
    return {
        "mre_mm": float(np.mean([side.mre_mm for side in sides])),
        "sdr2_percent": float(np.mean([side.sdr2_percent for side in sides])),
        "coverage_percent": {
            share: float(np.mean([side.coverage_percent[share] for side in sides])) for share in ("68", "95")
        },
        "gain_percent": 100.0 * float(np.mean(gains)) / full_gain,
        "worst_gain_mm": min(gains),
    }


def table(row: dict[str, Any]) -> list[str]:
    """A scenario as a table in Markdown."""
    lines = [
        f"{row['scenario']}: {row['images']} films, {row['draws']} draws",
        "",
        "| Films | MRE, mm | within 2 mm, % | 68 % radius | 95 % radius | of all gain | worst draw, mm |",
        "|---|---|---|---|---|---|---|",
        f"| 0 | {_side(row['before'])} | | |",
    ]
    lines += [
        f"| {one['films']} | {_side(one)} | {one['gain_percent']:.0f} % | {one['worst_gain_mm']:+.3f} |"
        for one in row["films"]
    ]
    return [*lines, f"| all others | {_side(row['all_others'])} | 100 % | |"]


def _side(side: dict[str, Any]) -> str:
    held = side["coverage_percent"]
    return f"{side['mre_mm']:.3f} | {side['sdr2_percent']:.1f} | {held['68']:.1f} % | {held['95']:.1f} %"


if __name__ == "__main__":
    try:
        main()
    except ValueError as error:
        sys.exit(f"evaluate_protocols: {error}")
