"""Which way a landmark is uncertain: along an edge more than across it.

The shape of a landmark is a 2x2 matrix of trace 2 in the frame of the face: its covariance, the size taken
out. It comes from how two readers differ on the same X-rays, and is isotropic where nobody knows it. Shapes
are plain data, so that a prepared folder and a checkpoint can carry them.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from measurements.face_frame import FaceFrame, mean_face

SHRINK = 0.8  # readers differ along edges more than a model errs along them; docs/measurements.md
_SHIPPED = Path(__file__).parent / "reader_shapes.json"
LEAST_CASES = 10


@dataclass(frozen=True)
class LandmarkShapes:
    """The shapes of K landmarks, by name."""

    names: tuple[str, ...]
    reference: np.ndarray  # (K, 2) of the ``FaceFrame`` that they are in
    matrices: np.ndarray  # (K, 2, 2), symmetric, trace 2
    source: str

    def of(self, names: Sequence[str]) -> "LandmarkShapes":
        """For landmarks of these names, isotropic where this one does not know them."""
        known = {name: index for index, name in enumerate(self.names)}
        reference, matrices = np.full((len(names), 2), np.nan), np.tile(np.eye(2), (len(names), 1, 1))
        for place, name in enumerate(names):
            if name in known:
                reference[place], matrices[place] = self.reference[known[name]], self.matrices[known[name]]
        return LandmarkShapes(tuple(names), reference, matrices, self.source)

    def covariances(self, points: np.ndarray, uncertainty: np.ndarray) -> np.ndarray:
        """(N, K, 2, 2) covariances on images, in the square of the unit of both; circles where the landmarks
        that are there lie on a line, so that nobody can tell which way the face looks.

        points: (N, K, 2); uncertainty: (N, K) root mean square radial errors.
        """
        size = np.square(uncertainty)[..., None, None] / 2.0
        if np.isfinite(self.reference).all(-1).sum() < 2:
            return size * np.eye(2)
        frame = FaceFrame(self.reference)
        turns = np.where(frame.is_on_a_line(points)[:, None, None], np.nan, frame.turns(points))  # (N, 2, 2)
        turned = np.einsum("nij,kjl,nml->nkim", turns, self.matrices, turns)
        return size * np.where(np.isnan(turned), np.eye(2), turned)

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready."""
        return {
            "names": list(self.names),
            "reference": np.round(self.reference, 5).tolist(),
            "matrices": [[round(float(m[0, 0]), 4), round(float(m[0, 1]), 4)] for m in self.matrices],
            "source": self.source,
        }

    @classmethod
    def from_dict(cls, data: Any, where: str) -> "LandmarkShapes":
        """Raises ValueError, beginning with ``where``, unless it is what ``to_dict`` gives."""
        try:
            reference = np.array(data["reference"], np.float64)
            xx, xy = np.array(data["matrices"], np.float64).T
            names = tuple(str(name) for name in data["names"])
            source = str(data["source"])
        except (KeyError, TypeError, ValueError) as error:
            raise ValueError(f"{where}: landmark shapes not as written ({error}). Make them anew.") from error
        matrices = np.stack([np.stack([xx, xy], -1), np.stack([xy, 2.0 - xx], -1)], -2)
        sound = reference.shape == (len(names), 2) and len(matrices) == len(names)
        if not sound or not np.isfinite(reference).all() or not (np.linalg.eigvalsh(matrices) > 0).all():
            raise ValueError(f"{where}: landmark shapes of {len(names)} names, expected an ellipse for each.")
        return cls(names, reference, matrices, source)


def isotropic(names: Sequence[str]) -> LandmarkShapes:
    """Circles: nothing is known."""
    count = len(names)
    return LandmarkShapes(
        tuple(names), np.full((count, 2), np.nan), np.tile(np.eye(2), (count, 1, 1)), "isotropic"
    )


def shipped_shapes() -> LandmarkShapes:
    """The shapes that ship: how the two doctors of ISBI 2015 differ on its training images."""
    return LandmarkShapes.from_dict(json.loads(_SHIPPED.read_text(encoding="utf-8")), str(_SHIPPED))


def shapes_of_readers(
    first: np.ndarray, second: np.ndarray, names: Sequence[str], source: str
) -> LandmarkShapes:
    """From two readers' points (N, K, 2) in mm of the same X-rays, NaN where missing.

    The mean difference, which is a habit and no uncertainty, is taken off; what is left is drawn towards a
    circle by ``SHRINK``. Raises ValueError for a landmark that both have marked on fewer than 10 X-rays.
    """
    middle = (first + second) / 2.0
    reference = mean_face(middle)
    turns = FaceFrame(reference).turns(middle)
    apart = np.einsum("nji,nkj->nki", turns, first - second)  # turns are orthogonal: the transpose leads back
    matrices = np.stack([_shape(apart[:, k], names[k]) for k in range(len(names))])
    return LandmarkShapes(tuple(names), reference, SHRINK * matrices + (1 - SHRINK) * np.eye(2), source)


def _shape(differences: np.ndarray, name: str) -> np.ndarray:
    known = differences[np.isfinite(differences).all(-1)]
    if len(known) < LEAST_CASES:
        raise ValueError(
            f"{name}: marked twice on {len(known)} X-rays, expected at least {LEAST_CASES} to see a shape."
        )
    covariance = np.cov(known.T)
    trace = np.trace(covariance)
    return 2.0 * covariance / trace if trace > 0 else np.eye(2)
