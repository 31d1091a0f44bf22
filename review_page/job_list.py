"""The work that a review has at hand: exports always, models where there is one."""

import importlib.util
from pathlib import Path

from review_page.exporting import EXPORTS
from review_page.jobs import Jobs
from review_page.model_work import model_view
from review_page.start import Opened, Wanted


def make_jobs(opened: Opened, wanted: Wanted) -> Jobs:
    """Begins to predict where something is left to predict."""
    session = opened.session
    checkpoint = checkpoint_of(opened, wanted)
    if checkpoint is not None and checkpoint.suffix != ".onnx":
        session.images.model_view = model_view(checkpoint)
    jobs = Jobs(
        session,
        EXPORTS,
        can_sr="sr" in EXPORTS and importlib.util.find_spec("highdicom") is not None,
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
