"""A checkpoint that follows the protocol of readers, from films that they have marked (docs/protocols.md)."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from datasets.landmarks.batch import collate
from datasets.landmarks.landmark_set import LandmarkSet
from datasets.loader import eval_loader
from measurements.face_frame import mean_face
from util.checkpoints.checkpoint import load_checkpoint, load_model
from util.config import instantiate
from util.evaluation.data import open_dataset
from util.evaluation.landmarks.metrics import Errors
from util.evaluation.landmarks.protocol_fit import Residuals, fit_protocol
from util.evaluation.landmarks.protocol_gain import Gain, gain
from util.prediction.landmarks.protocol import ProtocolOffsets
from util.prediction.predictor import pick_device
from util.training.engine import evaluate

_FOLLOWING = ", following "  # in a checkpoint's labels, after what it learnt from


@dataclass(frozen=True)
class Adaptation:
    """What some marked films make of a checkpoint."""

    checkpoint: dict[str, Any]  # to hand out: the old one with the protocol beside its weights
    protocol: ProtocolOffsets
    gain: Gain
    errors: Errors  # of the model without a protocol
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

    ``watched`` wraps the batches, for a progress bar. Raises ValueError for a checkpoint or data that do not
    fit each other.
    """
    loaded = load_model(checkpoint, pick_device(device))
    loaded.model.protocol = None  # the new one stands beside the weights, not beside an older one
    dataset = open_dataset(loaded, data, subset)
    batches: Any = eval_loader(dataset, batch_size, workers, collate=collate)
    errors = evaluate(loaded.task, loaded.model, watched(batches), pick_device(device))
    canvas = instantiate(loaded.config.eval_transforms)
    reference = mean_face(errors.predicted * errors.spacing[:, None])
    protocol = fit_protocol(
        Residuals.of(errors, reference),
        reference,
        labels=dataset.labels,
        canvas=(canvas.width, canvas.height),
    )
    return Adaptation(
        checkpoint=_following(load_checkpoint(checkpoint), protocol),
        protocol=protocol,
        gain=gain(errors, protocol),
        errors=errors,
        landmark_set=dataset.landmark_set,
        folder=dataset.folder,
    )


def _following(checkpoint: dict[str, Any], protocol: ProtocolOffsets) -> dict[str, Any]:
    """``checkpoint`` to hand out, with the protocol that it follows, which its labels say too."""
    learnt = checkpoint["labels"].partition(_FOLLOWING)[0]
    kept = {key: value for key, value in checkpoint.items() if key != "training"}
    labels = f"{learnt}{_FOLLOWING}{protocol.films} films of {protocol.labels} labels"
    return kept | {"labels": labels, "protocol": protocol.to_dict()}
