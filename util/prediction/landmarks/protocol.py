"""The protocol of some readers, as plain data: where they mark each landmark beside where a model does.

Plain numpy. A checkpoint keeps ``to_dict``; ``models.landmarks.protocol`` applies it inside the model.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from measurements.face_frame import FaceFrame

if TYPE_CHECKING:
    from models.landmarks.landmark_model import LandmarkModel


@dataclass(frozen=True)
class ProtocolOffsets:
    """Offsets of K landmarks in the frame of a reference face, whose rms distance from its middle is 1."""

    reference: np.ndarray  # (K, 2)
    offset: np.ndarray  # (K, 2) readers less model, already shrunk
    variance: np.ndarray  # (K,) of each axis of the offset
    factor: np.ndarray  # (K,) on the predicted scales
    films: int  # that it was fitted on
    labels: str  # whose protocol it is
    canvas: tuple[int, int]  # (width, height) in pixels of the model's input
    film_digests: tuple[str, ...] = ()  # of these films (``film_digest``); none in older checkpoints

    def applied(self, points: np.ndarray, uncertainty: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """(N, K, 2) points and (N, K) rms radial errors of the model -> those of the protocol; square pixels
        or mm.
        """
        matrices = FaceFrame(self.reference).to_image(points)  # (N, 2, 2)
        moved = points + np.einsum("nij,kj->nki", matrices, self.offset)
        size = np.square(matrices[..., 0]).sum(-1)[:, None]
        return moved, np.sqrt(np.square(self.factor * uncertainty) + 2.0 * size * self.variance)

    def clear_of_chance(self) -> bool:
        """Whether any landmark's offset is longer than twice its standard error each way."""
        return bool((np.linalg.norm(self.offset, axis=-1) > 2.0 * np.sqrt(self.variance)).any())

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready."""
        arrays = {key: getattr(self, key).tolist() for key in ("reference", "offset", "variance", "factor")}
        return {
            **arrays,
            "films": self.films,
            "labels": self.labels,
            "canvas": list(self.canvas),
            "film_digests": list(self.film_digests),
        }

    @classmethod
    def from_dict(cls, data: Any, where: str) -> ProtocolOffsets:
        """Raises ValueError, beginning with ``where``, unless it is what ``to_dict`` gives."""
        try:
            arrays = [
                np.array(data[key], np.float64) for key in ("reference", "offset", "variance", "factor")
            ]
            films, labels = int(data["films"]), str(data["labels"])
            width, height = (int(side) for side in data["canvas"])
            digests = tuple(str(digest) for digest in data.get("film_digests", ()))
        except (KeyError, TypeError, ValueError) as error:
            raise ValueError(
                f"{where}: its protocol is not as written ({error!r}). Fit it again with "
                "tools/adapt_protocol.py."
            ) from error
        reference, offset, variance, factor = arrays
        count = len(reference)
        shapes = [array.shape for array in arrays]
        finite = all(np.isfinite(array).all() for array in arrays)
        if shapes != [(count, 2), (count, 2), (count,), (count,)] or not finite or (variance < 0).any():
            raise ValueError(
                f"{where}: its protocol has arrays of {shapes}, expected finite ones of one length. "
                "Fit it again with tools/adapt_protocol.py."
            )
        return cls(reference, offset, variance, factor, films, labels, (width, height), digests)


def restore_protocol(model: LandmarkModel, checkpoint: Mapping[str, Any], file: Path) -> None:
    """Let ``model`` follow the protocol that its checkpoint keeps, if any.

    Raises ValueError, naming ``file``, for one that is not as written or of other landmarks.
    """
    if checkpoint.get("protocol") is None:
        model.protocol = None
        return
    import torch

    from models.landmarks.protocol import Protocol

    kept = ProtocolOffsets.from_dict(checkpoint["protocol"], str(file))
    if len(kept.reference) != model.num_landmarks:
        raise ValueError(
            f"{file}: its protocol has {len(kept.reference)} landmarks, its model {model.num_landmarks}. "
            "Fit it again with tools/adapt_protocol.py."
        )
    arrays = {
        key: torch.from_numpy(getattr(kept, key)) for key in ("reference", "offset", "variance", "factor")
    }
    model.protocol = Protocol(**arrays, canvas=kept.canvas)
