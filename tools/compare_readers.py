"""How far do readers agree, with each other and with themselves? From what they marked with review.py.

    python tools/compare_readers.py --readings AB/exports/landmarks.json CD/exports/landmarks.json \\
        --analysis isbi2015 --report readers.html

Each file is one reader's landmarks.json, exported by the page, best of a --blind reading. Every two readers
are compared on the films that both have; a reader who was shown films twice is compared with himself. Bias,
SD, 95 % limits and Bland-Altman pictures, Dahlberg's error, intraclass correlation; for measurements with
classes, how often both say the same one. Only landmarks that a person has settled count, in mm; a film whose
mm one of them does not know counts for angles and ratios.
"""

import argparse
import json
import sys
from collections.abc import Iterable, Sequence
from itertools import combinations
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))  # run as a script, from anywhere

from measurements.analysis import load_analysis, shipped_analyses  # noqa: E402
from util.arguments import TakeAll, escape_on_console  # noqa: E402
from util.evaluation.landmarks.reader_comparison import Comparison, compare  # noqa: E402
from util.evaluation.landmarks.readings import Paired, pair_readers, pair_repeats, read_reading  # noqa: E402
from util.files import write_atomic  # noqa: E402
from util.reporting.landmarks.reader_report import (  # noqa: E402
    LANDMARK_TITLES,
    MEASUREMENT_TITLES,
    landmark_rows,
    measurement_cells,
    write_reader_report,
)


def main() -> None:
    escape_on_console()
    args = parse_args()
    analyses = [load_analysis(name) for name in args.analysis]
    comparisons = [compare(pair, analyses) for pair in pairs(args.readings)]
    for one in comparisons:
        print_comparison(one)
    if args.json:
        content = {"comparisons": [one.to_dict() for one in comparisons]}
        write_atomic(args.json, json.dumps(content, indent=1, allow_nan=False) + "\n")
        print(f"numbers: {args.json}")
    if args.report:
        write_reader_report(args.report, comparisons)
        print(f"report:  {args.report}")


def parse_args() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--readings",
        type=Path,
        nargs="+",
        action=TakeAll,
        required=True,
        metavar="FILE",
        help="landmarks.json, one a reader",
    )
    parser.add_argument(
        "--analysis",
        nargs="+",
        action=TakeAll,
        default=[],
        metavar="NAME",
        help=f"compare measurements, too: {', '.join(shipped_analyses())}, or FILE.json",
    )
    parser.add_argument("--json", type=Path, help="write every number")
    parser.add_argument("--report", type=Path, help="write a self-contained HTML report")
    return parser.parse_args()


def pairs(files: Sequence[Path]) -> list[Paired]:
    """Every two readers, and every reader with what he was shown again. Raises ValueError for nothing."""
    readings = [read_reading(file) for file in files]
    found = [pair_readers(*two) for two in combinations(readings, 2)]
    found += [again for reading in readings if (again := pair_repeats(reading)) is not None]
    if not found:
        raise ValueError(
            f"{files[0]}: one reader, who was shown no film twice. Give two, or a reading with --repeats."
        )
    return found


def print_comparison(one: Comparison) -> None:
    pair = one.pair
    print(f"{pair.first} and {pair.second}: {len(pair.films)} films, {one.apart}\n")
    if one.measurements:
        print_table(MEASUREMENT_TITLES, map(measurement_cells, one.measurements))
    print_table(LANDMARK_TITLES, landmark_rows(one))


def print_table(titles: Sequence[str], rows: Iterable[Sequence[str]]) -> None:
    lines = [titles, *rows]
    widths = [max(len(line[column]) for line in lines) for column in range(len(titles))]
    for line in lines:
        print("  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip())
    print()


if __name__ == "__main__":
    try:
        main()
    except ValueError as error:
        sys.exit(f"compare_readers.py: {error}")
