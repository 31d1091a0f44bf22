"""Pictures that lie wrongly, or small in a wide frame, are put right before a model sees them.

And what cannot be put right is flagged.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from datasets.files.image_files import SourceImage
from datasets.landmarks.cl_detection2023 import without_padding
from transforms.geometry import translate, warp_points
from transforms.poses import AS_IS, POSES, Pose, pose_by_directions
from util.prediction.landmarks.plausibility import Limits
from util.prediction.landmarks.predict import ImageLandmarks, Predictor
from util.prediction.margins import without_margins

_BETTER = 0.5  # a pose is changed for one that is this much less strange: other anatomy is strange in all


class Posed(Predictor):
    """A predictor that shows another each picture upright and without even margins, and flags the rest.

    Of a file of several images the zeros below and on the right are padding to one size, and not shown.

    A DICOM file may say how the patient lies (PatientOrientation). Otherwise the picture is taken as it is.
    Where the landmarks found are beyond ``limits``, the other seven poses are tried, and the least strange
    one is kept if it is clearly less strange. Landmarks are in pixels of the file's picture, whatever its
    pose.

    Without ``limits`` (older checkpoints) no pose is tried, and nothing is flagged.
    """

    def __init__(self, predictor: Predictor, limits: Limits | None, *, search: bool) -> None:
        super().__init__(predictor.landmark_set, predictor.labels, predictor.file, predictor.landmark_shapes)
        self._predictor, self._limits, self._search = predictor, limits, search

    def __call__(self, images: Sequence[SourceImage]) -> list[ImageLandmarks]:
        """Landmarks of each image, in order, in its own pixels. Raises ValueError when one is not finite."""
        views = [_view(image, self._first_pose(image)) for image in images]
        found = self._predictor([view.image for view in views])
        looks = [self._look(*seen) for seen in zip(views, found, strict=True)]
        return [self._best(image, look).landmarks() for image, look in zip(images, looks, strict=True)]

    def _first_pose(self, image: SourceImage) -> Pose:
        """As the file says that the patient lies, if it does."""
        wanted = self._limits.orientation if self._limits is not None else None
        if not self._search or wanted is None or image.patient_orientation is None:
            return AS_IS
        return pose_by_directions(image.patient_orientation, wanted) or AS_IS

    def _best(self, image: SourceImage, first: "_Look") -> "_Look":
        """The first look, or the least strange of all poses where the first is implausible."""
        if not self._search or first.plausible is not False:
            return first
        best = first
        for pose in POSES:
            if pose == first.view.pose:
                continue
            view = _view(image, pose)
            look = self._look(view, self._predictor([view.image])[0])
            if look.strangeness < min(best.strangeness, _BETTER * first.strangeness):
                best = look
        return best

    def _look(self, view: "_View", found: ImageLandmarks) -> "_Look":
        if self._limits is None:
            return _Look(view, found, 0.0, None, None)
        strangeness, reason = self._limits.strangeness(found, view.image.spacing)
        return _Look(view, found, strangeness, reason is None, reason)


@dataclass(frozen=True)
class _View:
    """A picture as the model is to see it."""

    image: SourceImage
    pose: Pose
    to_source: np.ndarray  # (3, 3) from its pixels to those of the file's picture


@dataclass(frozen=True)
class _Look:
    """What was found on a view, in its pixels."""

    view: _View
    found: ImageLandmarks
    strangeness: float
    plausible: bool | None
    reason: str | None

    def landmarks(self) -> ImageLandmarks:
        """In pixels of the file's picture."""
        return replace(
            self.found,
            points=warp_points(self.found.points, self.view.to_source),
            pose=str(self.view.pose),
            plausible=self.plausible,
            plausible_reason=self.reason,
        )


def _view(image: SourceImage, pose: Pose) -> _View:
    pixels, to_source = image.image, np.eye(3)
    if image.slice is not None:
        pixels = without_padding(pixels, str(image.file))
    window = without_margins(pixels)
    if window is not None:
        corner, size = window
        right, below = corner + size
        pixels = pixels[corner[1] : below, corner[0] : right]
        to_source = translate(*corner)
    to_source = to_source @ pose.to_source(pixels.shape[::-1])
    spacing = image.spacing[::-1] if pose.quarters % 2 else image.spacing
    return _View(replace(image, image=pose.put_right(pixels), spacing=spacing), pose, to_source)
