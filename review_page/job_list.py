"""The work that a review has at hand: exports always, models where there is one."""

import importlib.util
import json
from collections.abc import Collection
from pathlib import Path

from review_page.adaptation import Adapting
from review_page.exporting import EXPORTS
from review_page.films import is_dicom
from review_page.jobs import Jobs
from review_page.model_work import model_view
from review_page.start import Opened, Wanted


def make_jobs(opened: Opened, wanted: Wanted) -> Jobs:
    """Begins to predict where something is left to predict."""
    session = opened.session
    checkpoint = checkpoint_of(opened, wanted)
    if checkpoint is not None and checkpoint.suffix != ".onnx":
        session.images.model_view = model_view(checkpoint)
    can_follow = checkpoint is not None and checkpoint.suffix != ".onnx" and session.study is None
    has_dicom = any(is_dicom(film.file) for film in session.films)
    jobs = Jobs(
        session,
        EXPORTS,
        adaptation=None if checkpoint is None or not can_follow else Adapting(checkpoint, wanted.device),
        can_sr=has_dicom and importlib.util.find_spec("highdicom") is not None,
        hints=_hints(session.landmark_set.landmarks),
    )
    if opened.predicting is not None:
        jobs.start("predicting", opened.predicting)
    return jobs


def checkpoint_of(opened: Opened, wanted: Wanted) -> Path | None:
    """The model given, or else the one that the predictions say, where it is still there."""
    if wanted.checkpoint is not None:
        return wanted.checkpoint
    said = opened.session.predictions.model.get("checkpoint")
    return Path(said) if isinstance(said, str) and Path(said).is_file() else None


def _hints(names: Collection[str]) -> dict[str, str]:
    """How landmarks are defined, where that is known."""
    known = json.loads((Path(__file__).parent / "definitions.json").read_text(encoding="utf-8"))
    return {name: known[name] for name in names if name in known}
