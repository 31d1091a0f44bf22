"""The eight ways in which a flat picture can lie: four quarter turns, each of them mirrored or not."""

from dataclasses import dataclass

import numpy as np

from transforms.geometry import flip_x

_DIRECTIONS = {"A": "P", "P": "A", "F": "H", "H": "F", "R": "L", "L": "R"}  # each with its opposite


@dataclass(frozen=True)
class Pose:
    """How a picture lies in its file: mirrored (or not), then turned clockwise by quarters."""

    quarters: int  # 0 to 3
    mirrored: bool

    def __str__(self) -> str:
        parts = ["mirrored"] if self.mirrored else []
        parts += [f"turned {90 * self.quarters}"] if self.quarters else []
        return ", ".join(parts) or "as-is"

    def put_right(self, image: np.ndarray) -> np.ndarray:
        """(H, W[, C]) -> the same picture upright."""
        upright = np.rot90(image, self.quarters)  # anticlockwise
        return np.ascontiguousarray(upright[:, ::-1] if self.mirrored else upright)

    def to_source(self, size: tuple[int, int]) -> np.ndarray:
        """(3, 3) from pixels of the upright picture to those of the file's, of (width, height) ``size``."""
        width, height = size
        turns = {
            0: np.eye(3),
            1: np.array([[0.0, -1.0, width], [1.0, 0.0, 0.0], [0.0, 0.0, 1.0]]),
            2: np.array([[-1.0, 0.0, width], [0.0, -1.0, height], [0.0, 0.0, 1.0]]),
            3: np.array([[0.0, 1.0, 0.0], [-1.0, 0.0, height], [0.0, 0.0, 1.0]]),
        }
        upright_width = height if self.quarters % 2 else width
        return turns[self.quarters] @ (flip_x(upright_width) if self.mirrored else np.eye(3))


AS_IS = Pose(0, mirrored=False)
POSES = tuple(Pose(quarters, mirrored) for mirrored in (False, True) for quarters in range(4))


def pose_by_directions(given: tuple[str, str], wanted: tuple[str, str]) -> Pose | None:
    """How a picture lies whose rows and columns run towards ``given`` and should run towards ``wanted``.

    Directions of the patient as DICOM has them (PatientOrientation): A anterior, P posterior, F feet, H head,
    R right, L left. None where the two are not of one plane.
    """
    for pose in POSES:
        if _directions_of(pose, wanted) == given:
            return pose
    return None


def _directions_of(pose: Pose, upright: tuple[str, str]) -> tuple[str, str]:
    """Where the rows and columns of a picture run that lies in ``pose``."""
    along_x, along_y = upright
    if pose.mirrored:
        along_x = _DIRECTIONS[along_x]
    for _ in range(pose.quarters):  # clockwise: what ran down now runs to the left
        along_x, along_y = _DIRECTIONS[along_y], along_x
    return along_x, along_y
