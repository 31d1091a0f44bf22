"""From what was asked for to a review that is ready: all that can be wrong is said before a page opens."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from datasets.files.search import summary
from datasets.landmarks.landmark_set import LandmarkSet
from review_page.films import Film, list_films
from review_page.measured_case import CaseMeasurer
from review_page.model_work import Predicting, ready_predictor
from review_page.predictions import OwnPredictions, Predictions, read_given
from review_page.review_folder import ReviewFolder, Study
from review_page.session import Session, Settings, new_study
from util.checkpoints.one_of_several import content_of
from util.files import sha256
from util.prediction.landmarks.measuring import Measurer
from util.prediction.predict_files import Found

MakeMeasurer = Callable[[LandmarkSet, dict[str, Any]], Measurer | None]


@dataclass(frozen=True)
class Wanted:
    """What a review is to be of."""

    input: Sequence[Path]  # images and folders
    review: Path  # the folder that it is kept in
    checkpoint: Path | None  # what finds landmarks where there are none, and follows a protocol
    predictions: Path | None = None  # a landmarks.json in place of the checkpoint's own
    reader: str = ""
    spacing: Sequence[float] | None = None
    mask_names: bool = False
    blind: bool = False
    repeats: float = 0.0  # share of the films that a blind reader sees twice
    seed: int = 0
    device: str = "auto"


@dataclass(frozen=True)
class Opened:
    """A session, and what is left to predict."""

    session: Session
    predicting: Predicting | None


@contextmanager
def open_session(wanted: Wanted, make_measurer: MakeMeasurer) -> Iterator[Opened]:
    """A review whose folder is locked while it is open.

    Raises ValueError for films, predictions, checkpoints and folders that cannot be what they are said to be,
    and WriteError for a folder that cannot be written.
    """
    films, found = list_films(wanted.input)
    with ReviewFolder(wanted.review) as folder:
        predictions, predicting = _predictions(wanted, folder, films)
        study = _study(wanted, folder, films)
        measurer = make_measurer(predictions.landmark_set, predictions.model)
        folder.begin(predictions.landmark_set, study)
        settings = Settings(wanted.reader, wanted.mask_names, wanted.spacing, _notes(found, study, films))
        session = Session(folder, films, predictions, CaseMeasurer(measurer, wanted.blind), settings, study)
        yield Opened(session, predicting)


def _predictions(
    wanted: Wanted, folder: ReviewFolder, films: Sequence[Film]
) -> tuple[Predictions, Predicting | None]:
    """Those given, or those of the checkpoint as far as they are there, and how the rest is made."""
    store = OwnPredictions(folder.folder / "predictions.jsonl")
    kept = store.read()
    if wanted.predictions is not None:
        given = read_given(wanted.predictions, films)
        given.model["sha256"] = sha256(wanted.predictions)
        return (given if kept is None else _newer(given, kept, folder)), None
    if kept is not None and not wanted.blind and wanted.checkpoint is not None:
        _require_its_own(kept, wanted.checkpoint, folder)
    if kept is not None and (wanted.blind or all(film.key in kept.records for film in films)):
        return kept, None
    if wanted.checkpoint is None:
        raise ValueError("no predictions and no checkpoint. Give --predictions or --checkpoint.")
    followed = folder.adapted if _is_adapted(kept, folder) else wanted.checkpoint
    predictor = ready_predictor(followed, wanted.device)
    if kept is None:
        about = predictor.answers.about()
        model = {"checkpoint": str(wanted.checkpoint), **about, "sha256": content_of(wanted.checkpoint)}
        kept = Predictions(predictor.landmark_set, model)
        if not wanted.blind:
            store.write(kept)
    return kept, None if wanted.blind else Predicting(predictor, store)


def _newer(given: Predictions, kept: Predictions, folder: ReviewFolder) -> Predictions:
    """Predictions that an adaptation has made since come first; any others that are kept give way."""
    if not _is_adapted(kept, folder):
        return given
    if kept.landmark_set.landmarks != given.landmark_set.landmarks:
        raise ValueError(
            f"{folder.folder}: predictions of {kept.landmark_set.name!r}, those given are of "
            f"{given.landmark_set.name!r}. Give another --review, or the same landmarks."
        )
    return Predictions(given.landmark_set, kept.model, {**given.records, **kept.records})


def _is_adapted(kept: Predictions | None, folder: ReviewFolder) -> bool:
    """Whether the predictions that are kept are those of the folder's adapted checkpoint."""
    if kept is None or not folder.adapted.is_file():
        return False
    return Path(str(kept.model.get("checkpoint"))).name == folder.adapted.name  # the folder may have moved


def _require_its_own(kept: Predictions, checkpoint: Path, folder: ReviewFolder) -> None:
    """Raise ValueError where ``checkpoint`` is another model than the one whose predictions are kept."""
    said = kept.model.get("sha256")
    if said is not None and said != content_of(checkpoint) and not _is_adapted(kept, folder):
        raise ValueError(
            f"{folder.folder}: its predictions are of {kept.model.get('checkpoint')}, not of {checkpoint}. "
            "Give that --checkpoint, or another --review."
        )


def _study(wanted: Wanted, folder: ReviewFolder, films: Sequence[Film]) -> Study | None:
    if not wanted.blind:
        return None
    if not wanted.reader:
        raise ValueError("--blind: whose reading is it? Give --reader, such as --reader AB.")
    study = folder.study() or new_study(films, wanted.repeats, wanted.seed, wanted.reader)
    if study.reader not in ("", wanted.reader):
        raise ValueError(
            f"{folder.folder}: the blind reading of {study.reader!r}, which {wanted.reader!r} must not see. "
            "Give another --review, or that --reader."
        )
    return study


def _notes(found: Found, study: Study | None, films: Sequence[Film]) -> tuple[str, ...]:
    notes = [f"{failure['file']} is left out: {failure['error']}" for failure in found.failed]
    if found.left_out:
        notes.append(summary(found.left_out))
    if study is not None:
        begun = {key for key, _ in study.order}
        if later := [film.name for film in films if film.key not in begun]:
            notes.append(f"{', '.join(later)}: came after this blind reading began, so not in it.")
    return tuple(notes)
