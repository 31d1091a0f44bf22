"""“Follow my protocol”: what the films reviewed so far make of the model (docs/protocols.md)."""

import shutil
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from review_page.case import Case
from review_page.case_state import OPEN
from review_page.errors import RefusedError
from review_page.exports.prepared_export import write_reviewed
from review_page.films import Film
from review_page.jobs import Progress
from review_page.model_work import predict_films, ready_predictor
from review_page.predictions import OwnPredictions, Predictions
from review_page.session import Session
from util.files import sha256


@dataclass(frozen=True)
class Adapting:
    """Fits the readers' offsets on the reviewed films and predicts the open ones anew."""

    checkpoint: Path
    device: str

    def __call__(self, session: Session, progress: Progress) -> None:
        """Raises ValueError where no film can be used, and as ``adapt`` does."""
        cases = [session.opened(number) for number in session.reviewed()]
        require_usable(cases)
        films = _open_films(session)
        progress.of = len(cases) + len(films)
        words = self._follow(session, cases, progress)
        failed = self._predict(session, films, progress)
        progress.message = f"{words} {len(films) - len(failed)} open films were predicted anew."
        if failed:
            progress.message += f" {len(failed)} could not be: {failed[0]}"

    def _follow(self, session: Session, cases: Sequence[Case], progress: Progress) -> str:
        """Write the adapted checkpoint; what it brings, in words."""
        from util.checkpoints.checkpoint import save_checkpoint  # PyTorch takes seconds
        from util.evaluation.landmarks.protocol_adaptation import adapt

        folder = session.folder.folder / "adapting"
        shutil.rmtree(folder, ignore_errors=True)
        try:
            write_reviewed(folder, cases, session.images)

            def watched(batches: Any) -> Iterator[Any]:
                for batch in batches:
                    yield batch
                    progress.done += 1

            made = adapt(self.checkpoint, folder, "train", device=self.device, batch_size=1, watched=watched)
        finally:
            shutil.rmtree(folder, ignore_errors=True)
        adapted = session.folder.adapted
        save_checkpoint(adapted, made.checkpoint)
        words = in_words(made.gain, len(made.errors.cases))
        return " ".join([words, *(f"Left out, {sentence}." for sentence in made.left_out)])

    def _predict(self, session: Session, films: Sequence[Film], progress: Progress) -> list[str]:
        """All or nothing: the new predictions are kept together with the model that they are of."""
        adapted = session.folder.adapted
        predictor = ready_predictor(adapted, self.device)
        found: list[tuple[Film, dict[str, Any]]] = []

        def keep(film: Film, record: dict[str, Any]) -> None:
            found.append((film, record))
            progress.done += 1

        failed = predict_films(predictor, films, session, keep)
        about = {"checkpoint": str(adapted), "sha256": sha256(adapted), **predictor.answers.about()}
        records = {**session.predictions.records, **{film.key: record for film, record in found}}
        store = OwnPredictions(session.folder.folder / "predictions.jsonl")
        store.write(Predictions(session.landmark_set, about, records))
        session.predictions.model = about
        for film, record in found:
            session.predict(film, record)
        return failed


def require_usable(cases: Sequence[Case]) -> None:
    """Raises RefusedError for no film, and for films whose millimetre nobody knows."""
    if not cases:
        raise RefusedError(400, "No film is reviewed yet. Settle all landmarks of a few films first.")
    unknown = sum(case.state.spacing.mm is None for case in cases)
    if unknown:
        raise RefusedError(
            400,
            f"The millimetre of {unknown} reviewed films is not known. Calibrate one of them, for all films.",
        )


def in_words(gain: Any, films: int) -> str:
    """How much less there is to correct, each film judged by the offsets of the others; and what is odd."""
    before = gain.before.mre_mm
    if gain.after is None:
        return (
            f"The model follows your one film, where it was {before:.2f} mm off. What that "
            "brings can be told from two films on."
        )
    after, expected = gain.after.mre_mm, gain.expected_mre_mm[1]
    less = 100.0 * (1.0 - after / before)
    change = f"{less:.0f} % less to correct" if less > 0 else "no less to correct: you mark as it has learnt"
    warning = gain.warning(films)
    return (
        f"The model follows your {films} films. It was {before:.2f} mm off there; each judged by the others "
        f"it is {after:.2f} mm: {change}. Expected with one more film: {expected:.2f} mm."
        + (f" Beware: {warning}." if warning else "")
    )


def _open_films(session: Session) -> list[Film]:
    return [case.film for case in session.cases if case.state.image == OPEN]
