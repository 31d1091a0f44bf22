"""Look at the landmarks of a folder of X-rays in the browser, correct them, and keep what was corrected.

    python review.py --input folder/
    python review.py --input folder/ --predictions landmarks.json --analysis isbi2015 --reader AB

Opens a page on this machine alone. Without --predictions the model that ships finds the landmarks while the
page is open. Every change is on the disk in folder_review/ before the page says that it is saved; the files
of --input and --predictions are never written. --blind shows no prediction and films in random order, some of
them twice, for studies of readers. Ctrl-C ends it. See docs/review.md. Exit code 2: bad arguments.
"""

import argparse
import logging
import os
import re
import sys
import threading
import webbrowser
from pathlib import Path
from typing import Any

from datasets.landmarks.landmark_set import LandmarkSet
from measurements.analysis import shipped_analyses
from review_page.job_list import make_jobs
from review_page.start import Wanted, open_session
from util.arguments import TakeAll, add_device_argument, add_spacing_argument, escape_on_console
from util.prediction.landmarks.measured import add_patient_arguments, measurer_of, require_use
from util.prediction.landmarks.measuring import Measurer, shapes_of

SHIPPED = Path(__file__).resolve().parent / "weights" / "cephdetr38.safetensors"


def main() -> int:
    escape_on_console()
    logging.basicConfig(format="review.py: %(message)s")
    args = parse_arguments()
    try:
        return review(args)
    except ImportError as error:
        print(
            f"review.py: {error.name} is not installed. Run pip install -r requirements-review.txt.",
            file=sys.stderr,
        )
    except ValueError as error:
        print(f"review.py: {error}", file=sys.stderr)
    return 2


def review(args: argparse.Namespace) -> int:
    """Everything that can be wrong is said before a page opens; then serve until Ctrl-C."""
    from review_page.app import make_app
    from review_page.server import address, listening, serve

    os.umask(0o077)  # what is written here is about patients
    require_use(args)
    wanted = wanted_of(args)

    def make_measurer(landmark_set: LandmarkSet, model: dict[str, Any]) -> Measurer | None:
        if not args.analysis:
            return None
        return measurer_of(args, landmark_set, shapes_of(model, str(args.predictions)))

    with open_session(wanted, make_measurer) as opened:
        session = opened.session
        with listening(session.folder.address, args.port) as (found, token):
            for note in session.settings.notes:
                print(note)
            jobs, url = make_jobs(opened, wanted), address(found, token)
            kept_in = session.folder.folder
            print(f"{len(session.cases)} films, kept in {kept_in}. Ctrl-C ends it.\n{url}", flush=True)
            threading.Thread(target=session.listed, daemon=True).start()  # measured while the browser opens
            if not args.no_browser:
                threading.Timer(0.3, webbrowser.open, [url]).start()
            try:
                serve(make_app(session, jobs, token), found)
            except KeyboardInterrupt:
                print("ended")
    return 0


def wanted_of(args: argparse.Namespace) -> Wanted:
    """What is asked for, with the folder that the review is kept in and the model at hand."""
    checkpoint = args.checkpoint
    if checkpoint is None and args.predictions is None:
        checkpoint = SHIPPED
    return Wanted(
        input=args.input,
        review=args.review or default_review(args),
        checkpoint=checkpoint,
        predictions=args.predictions,
        reader=args.reader,
        spacing=args.spacing,
        mask_names=args.mask_names,
        blind=args.blind,
        repeats=args.repeats / 100.0,
        seed=args.seed,
        device=args.device,
    )


def default_review(args: argparse.Namespace) -> Path:
    """FOLDER_review beside the first input; a blind reader has a folder of his own."""
    first = args.input[0].absolute()
    stem = first.name if first.is_dir() else first.stem
    reader = re.sub(r"[^A-Za-z0-9_-]+", "_", args.reader)
    return first.with_name(f"{stem}_blind_{reader}" if args.blind else f"{stem}_review")


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add = parser.add_argument
    add(
        "--input",
        type=Path,
        nargs="+",
        action=TakeAll,
        required=True,
        metavar="PATH",
        help="images or folders",
    )
    add("--predictions", type=Path, metavar="FILE.json", help="what inference.py found on them")
    add("--checkpoint", type=Path, metavar="F", help="finds the landmarks (default: the 38 landmarks)")
    add("--review", type=Path, metavar="DIR", help="where it is kept (default: FOLDER_review)")
    add("--reader", default="", metavar="NAME", help="who reviews; stands with every change")
    add_analysis_arguments(parser)
    add("--blind", action="store_true", help="no predictions, films in random order: for studies of readers")
    add("--repeats", type=float, default=0.0, metavar="PERCENT", help="with --blind: films shown twice (0)")
    add("--seed", type=int, default=0, help="with --blind: of the order")
    add("--mask-names", action="store_true", help="films by number: names of files may be names of patients")
    add("--port", type=int, default=0, help="of this machine (default: any that is free)")
    add("--no-browser", action="store_true", help="only print the address")
    add_spacing_argument(parser)
    add_device_argument(parser)
    args = parser.parse_args()
    if not 0 <= args.repeats <= 100:
        parser.error(f"--repeats {args.repeats:g}: expected percent from 0 to 100.")
    if len(args.reader) > 60 or not args.reader.isprintable():
        parser.error("--reader: expected a name of at most 60 characters.")
    return args


def add_analysis_arguments(parser: argparse.ArgumentParser) -> None:
    """``--analysis`` and what is known of the patients, for ``measurer_of``; one analysis at a time."""
    names = ", ".join(shipped_analyses())
    parser.add_argument(
        "--analysis", nargs=1, default=[], metavar="NAME", help=f"{names}, or FILE.json of your own"
    )
    add_patient_arguments(parser)
    parser.set_defaults(scale_error=None)


if __name__ == "__main__":
    sys.exit(main())
