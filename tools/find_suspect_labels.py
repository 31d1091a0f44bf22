"""Rank the labels of a prepared folder by how wrong they look, with pictures.

    python tools/find_suspect_labels.py --data data/mine --output outputs/suspects
    python tools/find_suspect_labels.py --data data/mine --output outputs/suspects \\
        --predictions runs/mine_fold*/val.json

The shapes alone tell most: a landmark far from where its neighbours have it, or two at one place. Files of
test.py --json on val@1/5, val@2/5 ... add how far each label is from a model that never saw the image.
"""

import argparse
import csv
import io
import json
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from datasets.alignment import LEAST_FOR_ALIGNMENT
from datasets.landmarks.suspects import LabelScores, label_scores
from datasets.prepared.prepared import INDEX_TO_CONTINUOUS, PreparedDataset
from datasets.prepared.subsets import read_header
from util.arguments import TakeAll
from util.evaluation.landmarks.prediction_file import read_prediction_file
from util.files import write_atomic
from util.reporting.landmarks.suspect_sheets import Labelled, suspect_sheets
from util.reporting.text_table import aligned
from util.reporting.visualise import encode_png, require_free_folder
from util.words import first_few

_NAMED = 10  # landmarks of an image that the table names, at most
_TOLD = 15  # images that the console tells of
_UNUSUAL = 4.0  # robust standard deviations from which a label is named
_A_SHEET = 15  # images
_SAME_PX = 0.01  # labels further apart than they are rounded are not the same


def main() -> None:
    args = parse_arguments()
    require_free_folder(args.output)
    subsets = args.subset or list(read_header(args.data)["split"])
    parts = [PreparedDataset(args.data, subset) for subset in subsets]
    places = [(part, index) for part in parts for index in range(len(part))]
    cases = [part.cases[index] for part, index in places]
    shapes = np.stack([points for part in parts for points in part.source_points])
    names, labels = parts[0].landmark_set.landmarks, dict(zip(cases, shapes, strict=True))
    errors = errors_by_case(args.predictions, labels, names) if args.predictions else None
    scores = label_scores(shapes, errors)
    ranked = scores.ranked()[: args.count]
    rows = [["case", "subset", "rank", "score", "labels", "what"]]
    rows += [
        [cases[n], places[n][0].subset, str(rank), f"{scores.of_images[n]:.1f}", *_told(scores, n, names)]
        for rank, n in enumerate(ranked, start=1)
    ]
    write_table(args.output / "suspects.csv", rows)
    record = {"data": str(args.data), "predictions": [str(file) for file in args.predictions]}
    record["images"] = [_record(scores, n, cases[n], names) for n in scores.ranked()]
    write_atomic(args.output / "suspects.json", json.dumps(record, indent=1, allow_nan=False) + "\n")
    labelled = [Labelled(f"{rank} {cases[n]}", n) for rank, n in enumerate(ranked, start=1)]
    images = (places[n][0].load(places[n][1]).image for n in ranked)
    for number, sheet in enumerate(suspect_sheets(labelled, images, shapes, scores, _A_SHEET), start=1):
        write_atomic(args.output / f"sheet_{number:02d}.png", encode_png(sheet))
    print(aligned(rows[: _TOLD + 1], rules=(1,)))
    print(f"\n{len(cases)} images; the first {len(ranked)} with pictures: {args.output}")
    if few := [case for case, points in labels.items() if not enough(points)]:
        print(f"{len(few)} with fewer than {LEAST_FOR_ALIGNMENT} landmarks are not judged: {first_few(few)}")


def enough(points: np.ndarray) -> bool:
    """Whether (K, 2) labels, NaN where missing, are judged; those of small sets are, always."""
    known = int(np.isfinite(points).all(-1).sum())
    return known >= LEAST_FOR_ALIGNMENT or len(points) < LEAST_FOR_ALIGNMENT


def errors_by_case(
    files: Sequence[Path], labels: Mapping[str, np.ndarray], names: Sequence[str]
) -> np.ndarray:
    """(N, K) errors of the predictions of ``files``, NaN for a case that none has.

    labels: (K, 2) pixels of the landmarks ``names`` of each of N cases. Raises ValueError for a case that two
    files have, for errors against other labels, and where the files have none of the cases.
    """
    found: dict[str, list[float]] = {}
    for file in files:
        content = read_prediction_file(file)
        if content["landmark_set"]["landmarks"] != list(names):
            raise ValueError(f"{file}: other landmarks than those of the folder. Evaluate on this folder.")
        truths = np.array(content["points"]["truth"], np.float64) + INDEX_TO_CONTINUOUS  # null: NaN
        for case, errors, truth in zip(content["cases"], content["errors_mm"], truths, strict=True):
            if case in found:
                raise ValueError(f"{file}: case {case!r} was predicted before. Give each fold once.")
            if case in labels and not np.allclose(truth, labels[case], atol=_SAME_PX, equal_nan=True):
                raise ValueError(f"{file}: case {case!r} has other labels by now. Evaluate on this folder.")
            found[case] = errors
    if not labels.keys() & found.keys():
        raise ValueError(
            f"{[str(file) for file in files]}: none of the {len(labels)} images. Give its folds."
        )
    missing = [np.nan] * len(names)
    return np.array([found.get(case, missing) for case in labels], np.float64)


def _told(scores: LabelScores, n: int, names: Sequence[str]) -> tuple[str, str]:
    """How many labels of image ``n`` are unusual, and the worst in words."""
    worst = int(scores.of_labels[n].argmax())
    count = int((scores.of_labels[n] > _UNUSUAL).sum())
    return str(count), f"{names[worst]} {scores.reason(n, worst, names)}"


def _record(scores: LabelScores, n: int, case: str, names: Sequence[str]) -> dict:
    order = np.argsort(-scores.of_labels[n], kind="stable")[:_NAMED]
    labels = [
        {
            "landmark": names[k],
            "score": round(float(scores.of_labels[n, k]), 2),
            "reason": scores.reason(n, int(k), names),
        }
        for k in order
        if scores.of_labels[n, k] > _UNUSUAL
    ]
    return {"case": case, "score": round(float(scores.of_images[n]), 2), "labels": labels}


def write_table(file: Path, rows: Sequence[Sequence[str]]) -> None:
    text = io.StringIO(newline="")
    csv.writer(text, lineterminator="\n").writerows(rows)
    write_atomic(file, text.getvalue())


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--data", type=Path, required=True, metavar="DIR", help="prepared folder")
    parser.add_argument(
        "--output", type=Path, required=True, metavar="DIR", help="new folder for tables, pictures"
    )
    parser.add_argument("--subset", nargs="+", action=TakeAll, help="subsets to look at (all of the folder)")
    parser.add_argument(
        "--predictions",
        type=Path,
        nargs="+",
        action=TakeAll,
        default=[],
        metavar="JSON",
        help="test.py --json of each fold's val",
    )
    parser.add_argument("--count", type=int, default=50, help="images in the table and with pictures (50)")
    return parser.parse_args()


if __name__ == "__main__":
    try:
        main()
    except ValueError as error:
        sys.exit(f"find_suspect_labels.py: {error}")
