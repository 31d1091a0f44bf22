"""A checkpoint that follows the protocol of readers, from films that they have marked (docs/protocols.md)."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from datasets.landmarks.landmark_set import LandmarkSet
from datasets.loader import eval_loader
from datasets.prepared.repeats import film_digest
from measurements.face_frame import mean_face
from transforms.sample import PointSample
from util.checkpoints.checkpoint import load_checkpoint, load_model
from util.config import instantiate
from util.evaluation.data import open_dataset
from util.evaluation.landmarks.evaluate_predictor import errors_of, found_on
from util.evaluation.landmarks.metrics import Errors, concatenate
from util.evaluation.landmarks.protocol_fit import Residuals, fit_protocol
from util.evaluation.landmarks.protocol_gain import Gain, gain
from util.prediction.landmarks.plausibility import limits_of
from util.prediction.landmarks.posed import Posed
from util.prediction.landmarks.predict import Predictor
from util.prediction.landmarks.protocol import ProtocolOffsets
from util.prediction.predictor import pick_device

_LINE = 0.99  # 0 for landmarks that are spread as far both ways, 1 on a line; 0.954 for spines
_FOLLOWING = ", following "  # in a checkpoint's labels, after what it learnt from


@dataclass(frozen=True)
class Adaptation:
    """What some marked films make of a checkpoint."""

    checkpoint: dict[str, Any]  # to hand out: the old one with the protocol beside its weights
    protocol: ProtocolOffsets
    gain: Gain
    errors: Errors  # of the model without a protocol, on the films that teach one
    left_out: tuple[str, ...]  # the other films, each with why it teaches nothing
    landmark_set: LandmarkSet
    folder: Path  # of the films


def adapt(
    checkpoint: Path,
    data: Path | None,
    subset: str,
    *,
    device: str = "auto",
    batch_size: int = 8,
    workers: int = 0,
    watched: Callable[[Any], Iterable[Any]] = iter,
) -> Adaptation:
    """Fit the protocol of the readers of ``data`` to a model, and put it in the place of an older one.

    The model sees each film as at inference, mirrored and turned ones put right. A film on which it is wrong
    all over would pass for readers who mark centimetres away: where what it finds stays implausible, the
    film is left out.

    ``watched`` wraps the batches, for a progress bar. Raises ValueError for a checkpoint or data that do not
    fit each other, for landmarks on one line, and where no film is left.
    """
    content = load_checkpoint(checkpoint) | {"protocol": None}  # the new one replaces an older one
    loaded = load_model(checkpoint, pick_device(device)).of("landmarks")
    loaded.model.protocol = None
    dataset = open_dataset(loaded, data, subset)
    dataset.transforms = None  # films as they lie: how the model sees them is the predictor's affair
    batches: Any = eval_loader(dataset, batch_size, workers, collate=_as_they_are)
    limits = limits_of(content, len(dataset.landmark_set), str(checkpoint))
    predictor: Any = loaded.task.predictor(loaded)
    errors, digests, left_out = _on_plausible_films(Posed(predictor, limits, search=True), watched(batches))
    canvas = instantiate(loaded.config.eval_transforms)
    places = errors.predicted * errors.spacing[:, None]
    _require_two_sides(places, checkpoint)
    reference = mean_face(places)
    protocol = fit_protocol(
        Residuals.of(errors, reference),
        reference,
        labels=dataset.labels,
        canvas=(canvas.width, canvas.height),
    )
    protocol = replace(protocol, film_digests=digests)
    return Adaptation(
        checkpoint=_following(content, protocol),
        protocol=protocol,
        gain=gain(errors, protocol),
        errors=errors,
        left_out=left_out,
        landmark_set=dataset.landmark_set,
        folder=dataset.folder,
    )


def _require_two_sides(places: np.ndarray, checkpoint: Path) -> None:
    """Raise ValueError where (N, K, 2) landmarks lie on one line, or nearly: a mirror image looks alike."""
    about = (places - places.mean(1, keepdims=True)) @ np.array([1.0, 1.0j])  # (N, K)
    narrow = np.abs((about**2).sum(1)) / np.maximum((np.abs(about) ** 2).sum(1), np.finfo(float).tiny)
    if places.shape[1] < 3 or np.median(narrow) > _LINE:
        raise ValueError(
            f"{checkpoint}: its {places.shape[1]} landmarks lie on one line, or nearly, so that a mirrored "
            "film is not told from another and offsets have no direction. Expected three or more that do not."
        )


def _as_they_are(samples: Sequence[PointSample]) -> Any:
    """A batch of films, each of a size of its own."""
    return samples


def _on_plausible_films(
    predictor: Predictor, batches: Iterable[Sequence[PointSample]]
) -> tuple[Errors, tuple[str, ...], tuple[str, ...]]:
    """The errors on marked films where ``predictor`` finds nothing implausible, the digests of these films,
    and a sentence on each other one.

    Raises ValueError where there are only others.
    """
    parts, digests, useless, left_out = [], [], [], []
    first: dict[str, str] = {}
    for batch in batches:
        why = [_useless(sample, first) for sample in batch]
        useless += [reason for reason in why if reason is not None]
        samples = [sample for sample, reason in zip(batch, why, strict=True) if reason is None]
        if not samples:
            continue
        found = found_on(samples, predictor)
        kept = [landmarks.plausible is not False for landmarks in found]
        parts.append(errors_of(samples, found).only(kept))
        digests += [film_digest(samples[index].image) for index, plausible in enumerate(kept) if plausible]
        left_out += [
            f"{sample.case}: {landmarks.plausible_reason}"
            for sample, landmarks in zip(samples, found, strict=True)
            if landmarks.plausible is False
        ]
    if not parts:
        raise ValueError("no landmark is marked on these films, expected some. Check the annotations.")
    errors = concatenate(parts)
    if not errors.cases:
        raise ValueError(
            f"nothing plausible is found on any of these {len(left_out)} films, so they teach no protocol; "
            f"{left_out[0]}. For proper X-rays of another machine, first fit the limits to them: "
            "tools/fit_plausibility.py."
        )
    return errors, tuple(digests), (*useless, *left_out)


def _useless(sample: PointSample, first: dict[str, str]) -> str | None:
    """A sentence on a film that teaches nothing, whatever is found on it; None for another.

    first: digest of a film -> its case, of those seen before, which takes this one in. A film that a reader
    was shown twice counts once: otherwise one marking would be judged by the other.
    """
    if not np.isfinite(sample.points).all(-1).any():
        return f"{sample.case}: no landmark is marked"
    case = first.setdefault(film_digest(sample.image), sample.case)
    return None if case == sample.case else f"{sample.case}: the same picture as {case}"


def _following(checkpoint: dict[str, Any], protocol: ProtocolOffsets) -> dict[str, Any]:
    """``checkpoint`` to hand out, with the protocol that it follows, which its labels say too."""
    learnt = checkpoint["labels"].partition(_FOLLOWING)[0]
    kept = {key: value for key, value in checkpoint.items() if key != "training"}
    labels = f"{learnt}{_FOLLOWING}{protocol.films} films of {protocol.labels} labels"
    return kept | {"labels": labels, "protocol": protocol.to_dict()}
