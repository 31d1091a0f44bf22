"""A frame that moves with the face: what is said in it holds for a turned, larger or mirrored head.

A face of N images is laid onto a reference by the similarity, mirror included, that fits its landmarks best
(Procrustes). With complex numbers x + iy it has a closed form. Points p and reference r, both about their
middle, give a = sum(p conj(r)) / sum(|r|^2) for p = a r, and b = sum(p r) / sum(|r|^2) for p = b conj(r). The
longer of the two fits better.
"""

from dataclasses import dataclass

import numpy as np

_ROUNDS = 5
_LINE = 0.99  # the worse fit over the better; 1 for landmarks on a line


@dataclass(frozen=True)
class FaceFrame:
    """The frame of a reference face: its middle at 0 and its landmarks 1 from it, root mean square."""

    reference: np.ndarray  # (K, 2), x right, y down; NaN for landmarks that do not lead

    def __post_init__(self) -> None:
        if self.reference.ndim != 2 or np.isfinite(self.reference).all(-1).sum() < 2:
            raise ValueError(
                f"reference face of shape {self.reference.shape}, expected (K, 2) with two known landmarks."
            )

    def to_image(self, points: np.ndarray) -> np.ndarray:
        """(N, 2, 2) matrices that lead vectors of the frame into the images of ``points`` (N, K, 2).

        Column by column: where the frame's x and y axis lead; their length is the size of the face. NaN where
        an image has fewer than two landmarks.
        """
        plain, mirrored = self._fits(points)
        flipped = np.abs(mirrored) > np.abs(plain)
        factor = np.where(flipped, mirrored, plain)
        sign = np.where(flipped, -1.0, 1.0)
        first = np.stack([np.real(factor), np.imag(factor)], -1)
        second = np.stack([-np.imag(factor), np.real(factor)], -1) * sign[:, None]
        return np.stack([first, second], -1)

    def is_on_a_line(self, points: np.ndarray) -> np.ndarray:
        """(N,) whether the landmarks that lead lie on one line, or nearly: a mirrored face fits as well."""
        plain, mirrored = (np.abs(fit) for fit in self._fits(points))
        return np.minimum(plain, mirrored) > _LINE * np.maximum(plain, mirrored)

    def _fits(self, points: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """(N,) complex numbers a and b, for a face as the reference and for a mirrored one."""
        place, model = _complex(points), _complex(self.reference)
        used = np.isfinite(place) & np.isfinite(model)  # (N, K)
        model = _about_middle(np.broadcast_to(model, place.shape), used)
        place = _about_middle(place, used)
        with np.errstate(invalid="ignore", divide="ignore"):
            weight = (np.abs(model) ** 2).sum(1)
            return (place * model.conj()).sum(1) / weight, (place * model).sum(1) / weight

    def turns(self, points: np.ndarray) -> np.ndarray:
        """(N, 2, 2) like ``to_image`` without the size: turned and mirrored alone."""
        matrices = self.to_image(points)
        size = np.linalg.norm(matrices[..., 0], axis=-1)[:, None, None]
        return matrices / np.where(size > 0.0, size, np.nan)


def mean_face(points: np.ndarray) -> np.ndarray:
    """(K, 2) reference of a ``FaceFrame`` from the faces (N, K, 2), NaN where missing.

    Generalised Procrustes analysis (Gower, 1975): laid onto the mean, then the mean anew. Upright as the
    faces are on average, and on the side of the first. Raises ValueError for a landmark that no face has.
    """
    if np.isnan(points).any(-1).all(0).any():
        absent = np.flatnonzero(np.isnan(points).any(-1).all(0)) + 1
        raise ValueError(f"landmarks {absent.tolist()} are on no face, expected each on at least one.")
    whole = np.argmin(np.isnan(points).any(-1).sum(1))
    mean = _unit(points[whole])
    for _ in range(_ROUNDS):
        inverse = np.linalg.inv(FaceFrame(mean).to_image(points))
        middle = np.nanmean(points, axis=1, keepdims=True)
        laid = np.einsum("nij,nkj->nki", inverse, points - middle)
        mean = _unit(np.nanmean(laid, axis=0))
    turn = _upright(mean, points)
    return mean @ turn.T


def _upright(mean: np.ndarray, points: np.ndarray) -> np.ndarray:
    """The rotation after which unmirrored faces are upright as they are on average."""
    matrices = FaceFrame(mean).turns(points)
    plain = matrices[np.linalg.det(matrices) > 0]
    if not len(plain):
        return np.eye(2)
    first = plain[:, :, 0].mean(0)
    cosine, sine = first / np.linalg.norm(first)
    return np.array([[cosine, -sine], [sine, cosine]])


def _unit(points: np.ndarray) -> np.ndarray:
    """(K, 2) about its middle, with an rms distance of 1 from it."""
    centred = points - np.nanmean(points, axis=0)
    return centred / np.sqrt(np.nanmean((centred**2).sum(-1)))


def _about_middle(place: np.ndarray, used: np.ndarray) -> np.ndarray:
    """(N, K) complex about the mean of the ``used``; 0 elsewhere."""
    inside = np.where(used, place, 0.0)
    middle = inside.sum(1, keepdims=True) / np.maximum(used.sum(1, keepdims=True), 1)
    return np.where(used, place - middle, 0.0)


def _complex(points: np.ndarray) -> np.ndarray:
    return points[..., 0] + 1j * points[..., 1]
