"""Several looks at one image, by several models, at several scales or close up, and what they come to.

Each class is a predictor around others, so they can be nested (``util.prediction.landmarks.looks``).
"""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from datasets.files.image_files import SourceImage
from transforms.geometry import pixel_shape, square_side
from util.prediction.landmarks.predict import ImageLandmarks, Predictor

SCALE_RANGE = (0.5, 2.0)  # what a model trained with zooms of 0.8 to 1.25 can be asked for, generously
_MARGIN = 0.05  # around the landmarks, as a share of the longer side of their bounding box
_SIGMAS = 3.0  # a landmark may lie this many predicted errors from where it was first seen
_CROP_MARGIN = 0.4  # cephalograms then fill the canvas about as they do in training
_TRAINED_ZOOM = (0.8, 1.25)  # of TrainTransforms; a crop beyond says that the head was too small or too large
_LESS_SURE = 1.25  # times the first look's uncertainty: the crop has lost what landmarks are told by
_CROP_RANGE = (0.1, 2.0)  # longer side of a crop as a share of the image's; beyond, the first look was wrong

Window = tuple[np.ndarray, np.ndarray]  # corner (2,) and size (2,) in whole pixels of the image


class Ensemble(Predictor):
    """A predictor that averages others of the same landmarks; its file is that of the first."""

    def __init__(self, predictors: Sequence[Predictor]) -> None:
        if not predictors:
            raise ValueError("an ensemble of no model, expected at least one checkpoint.")
        first = predictors[0]
        for other in predictors[1:]:
            if other.landmark_set.landmarks != first.landmark_set.landmarks:
                raise ValueError(
                    f"{other.file}: finds the landmarks of {other.landmark_set.name!r}, but {first.file} "
                    f"those of {first.landmark_set.name!r}. Give checkpoints of one landmark set."
                )
        labels = " + ".join(dict.fromkeys(predictor.labels for predictor in predictors))
        super().__init__(first.landmark_set, labels, first.file, first.landmark_shapes)
        self._predictors = tuple(predictors)

    def __call__(self, images: Sequence[SourceImage]) -> list[ImageLandmarks]:
        """Landmarks of each image, in order."""
        return _combine_each([predictor(images) for predictor in self._predictors], images)


class ScaleAveraged(Predictor):
    """A predictor that shows another the same image enlarged or made smaller by each of ``scales``.

    A first look at the whole image says where the landmarks are; a scale above 1 is a window of the image
    around them, enlarged until it would cut one of them away, and a scale below 1 adds a black border.
    """

    def __init__(self, predictor: Predictor, scales: Sequence[float]) -> None:
        require_scales(scales)
        super().__init__(predictor.landmark_set, predictor.labels, predictor.file, predictor.landmark_shapes)
        self._predictor, self._scales = predictor, tuple(scales)

    def __call__(self, images: Sequence[SourceImage]) -> list[ImageLandmarks]:
        """Landmarks of each image, in order, in pixels of the whole image."""
        whole = self._predictor(images)
        looks = [whole if scale == 1.0 else self._look(images, whole, scale) for scale in self._scales]
        return _combine_each(looks, images)

    def _look(
        self, images: Sequence[SourceImage], whole: Sequence[ImageLandmarks], scale: float
    ) -> list[ImageLandmarks]:
        windows = [_window(image, found, scale) for image, found in zip(images, whole, strict=True)]
        return _look_through(self._predictor, images, windows)


class SelfCropped(Predictor):
    """A predictor that shows another the image twice: whole, and then only what lies around its landmarks.

    The crop is the landmarks' bounding box and ``margin`` times its longer side around it, black beyond the
    image. So landmarks fill the second view alike, whether the head was small in the picture or filled it.
    It replaces the first look, or is combined with it where that was close to it in scale. Where the first
    look cannot be right (no extent, outside the image, far beyond it), there is no second. Where the second
    is clearly less sure, the first stands.
    """

    def __init__(self, predictor: Predictor, margin: float = _CROP_MARGIN) -> None:
        if not 0.0 < margin <= 1.0:
            raise ValueError(
                f"margin {margin}: expected a share of the landmarks' extent, over 0 and at most 1."
            )
        super().__init__(predictor.landmark_set, predictor.labels, predictor.file, predictor.landmark_shapes)
        self._predictor, self._margin = predictor, margin

    def __call__(self, images: Sequence[SourceImage]) -> list[ImageLandmarks]:
        """Landmarks of each image, in order, in pixels of the whole image."""
        found = list(self._predictor(images))
        crops = [_crop(*seen, self._margin) for seen in zip(images, found, strict=True)]
        again = {index: crop for index, crop in enumerate(crops) if crop is not None}
        if again:
            chosen = [images[index] for index in again]
            closer = _look_through(self._predictor, chosen, list(again.values()))
            for index, image, second in zip(again, chosen, closer, strict=True):
                if _unsureness(second) > _LESS_SURE * _unsureness(found[index]):
                    continue
                count_both = _similar_scale(image, again[index])
                found[index] = combine([found[index], second], image.spacing) if count_both else second
        return found


def require_scales(scales: Sequence[float]) -> None:
    """Raise ValueError unless ``scales`` are some that ScaleAveraged takes."""
    low, high = SCALE_RANGE
    wrong = [scale for scale in scales if not low <= scale <= high]
    if wrong or not scales or len(set(scales)) != len(scales):
        raise ValueError(f"scales {list(scales)}: expected distinct numbers from {low} to {high}.")


def combine(looks: Sequence[ImageLandmarks], spacing: np.ndarray) -> ImageLandmarks:
    """The mixture of ``looks`` at one image, each landmark weighted by its inverse predicted variance.

    The uncertainty is the mixture's: the mean of the variances and the spread of the points around their
    mean (Lakshminarayanan et al., 2017). ``spacing``: (2,) mm per pixel, NaN where unknown.
    """
    points = np.stack([look.points for look in looks])  # (M, K, 2), M looks
    variances = np.stack([look.uncertainty_px for look in looks]) ** 2  # (M, K)
    weights = variances.min(0) / variances
    weights /= weights.sum(0)
    mean = (weights[..., None] * points).sum(0)  # (K, 2)
    spread = (((points - mean) * pixel_shape(spacing)) ** 2).sum(-1)  # (M, K)
    error = np.sqrt((weights * (variances + spread)).sum(0))  # (K,)
    return ImageLandmarks(mean, error, error * square_side(spacing))


def _combine_each(
    looks: Sequence[Sequence[ImageLandmarks]], images: Sequence[SourceImage]
) -> list[ImageLandmarks]:
    """``looks``: of each look, the landmarks of all ``images``."""
    return [combine(found, image.spacing) for *found, image in zip(*looks, images, strict=True)]


def _look_through(
    predictor: Predictor, images: Sequence[SourceImage], windows: Sequence[Window]
) -> list[ImageLandmarks]:
    """Landmarks of each image, in pixels of the whole image, from its window alone."""
    views = [
        replace(image, image=_cut(image.image, *window))
        for image, window in zip(images, windows, strict=True)
    ]
    return [
        replace(found, points=found.points + corner)
        for found, (corner, _) in zip(predictor(views), windows, strict=True)
    ]


def _crop(image: SourceImage, found: ImageLandmarks, margin: float) -> Window | None:
    """The landmarks with room around them; None if they cannot be those of a head on this image."""
    extent = np.array(image.image.shape[::-1])
    low, high = found.points.min(0), found.points.max(0)
    room = margin * (high - low).max()
    share = ((high - low).max() + 2.0 * room) / extent.max()
    centre = (low + high) / 2.0
    inside = ((centre >= 0.0) & (centre <= extent)).all()
    if not (inside and _CROP_RANGE[0] <= share <= _CROP_RANGE[1]):
        return None
    corner = np.floor(low - room).astype(int)
    return corner, np.ceil(high + room).astype(int) - corner


def _unsureness(found: ImageLandmarks) -> float:
    """The mean uncertainty in pixels of the image."""
    return float(found.uncertainty_px.mean())


def _similar_scale(image: SourceImage, crop: Window) -> bool:
    """Whether the model sees landmarks in ``crop`` about as large as in the whole image."""
    low, high = _TRAINED_ZOOM
    return low <= (np.array(image.image.shape[::-1]) / crop[1]).min() <= high


def _window(image: SourceImage, found: ImageLandmarks, scale: float) -> Window:
    """What is shown of ``image`` at ``scale``.

    Its aspect is that of the image, so that a letterbox enlarges it as far as its size says.
    """
    size = np.array(image.image.shape[::-1])
    if scale < 1.0:
        shown = np.ceil(size / scale).astype(int)
        return -((shown - size) // 2), shown
    low, high = _bounds(found, size)
    share = min(max(1.0 / scale, *((high - low) / size)), 1.0)
    shown = np.minimum(np.ceil(size * share).astype(int), size)
    centred = (low + high - shown) // 2
    return np.clip(centred, np.maximum(high - shown, 0), np.minimum(low, size - shown)), shown


def _bounds(found: ImageLandmarks, size: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Whole pixels (2,) and (2,) between which the landmarks lie, with room to err, inside the image."""
    extent = np.ptp(found.points, axis=0).max()
    room = np.maximum(_MARGIN * extent, _SIGMAS * found.uncertainty_px)[:, None]  # (K, 1)
    low, high = (found.points - room).min(0), (found.points + room).max(0)
    return np.floor(np.clip(low, 0, size)).astype(int), np.ceil(np.clip(high, 0, size)).astype(int)


def _cut(image: np.ndarray, corner: np.ndarray, size: np.ndarray) -> np.ndarray:
    """The window of (H, W) ``image`` at ``corner``, black where it lies beyond the image."""
    extent = np.array(image.shape[::-1])
    (left, top), (right, below) = np.maximum(corner, 0), np.minimum(corner + size, extent)
    before, after = np.maximum(-corner, 0), np.maximum(corner + size - extent, 0)
    return np.pad(image[top:below, left:right], ((before[1], after[1]), (before[0], after[0])))
