"""Training and evaluation transforms: one matrix per sample, one resampling, then pixels.

A transform is a callable ``(Sample, Generator) -> Sample`` that puts the sample, of whatever task, on a
canvas of one size.
"""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from transforms import geometry
from transforms.artefacts import burn_in
from transforms.devices import with_devices
from transforms.elastic import Deformation
from transforms.in_words import in_words
from transforms.intensity import Intensity
from transforms.move import Move
from transforms.sample import AnySample, PointSample, Sample
from transforms.shape_modes import ShapeModes
from transforms.thin_plate import ThinPlate

_ELASTIC_CELLS = 5  # of the deformation grid in the height of the canvas


class EvalTransforms:
    """Letterbox: the whole image, centred on a (height, width) canvas, aspect kept, black around it.

    Where the spacing says that pixels are oblong, the aspect is that in mm: on the canvas they are square.
    """

    def __init__(self, size: Sequence[int]) -> None:
        self.height, self.width = _checked(size)

    def __call__(self, sample: AnySample, rng: np.random.Generator) -> AnySample:
        """``rng`` is not used: evaluation is deterministic."""
        return sample.moved(Move(self.matrix(sample), (self.width, self.height)))

    def matrix(self, sample: Sample) -> np.ndarray:
        """(3, 3) pixels of the sample's image -> pixels of the canvas."""
        wide, high = sample.pixel_shape
        width, height = wide * sample.size[0], high * sample.size[1]
        zoom = min(self.width / width, self.height / height)
        centre = geometry.translate((self.width - zoom * width) / 2, (self.height - zoom * height) / 2)
        return centre @ geometry.scale(zoom * wide, zoom * high)


class TrainTransforms:
    """Letterbox with a random similarity and deformation, then random intensity and burnt-in artefacts.

    ``zoom`` is a range of factors, drawn log-uniformly; ``rotation`` in degrees and ``shift`` as a share
    of the canvas are the largest absolute values; ``elastic`` is the standard deviation of the displacements
    of a deformation grid as a share of the canvas height, 0 for none; ``artefacts`` is the probability of a
    burnt-in artefact, ``capital`` the height of the largest burnt-in letters as a share of the canvas height.
    ``devices`` is the probability of rods, rests and rings of other machines in front of the patient.

    What the draw moves off the canvas is missing from then on: no model can find it there, and a heatmap
    would be taught its border instead.

    ``flip`` is the probability of a mirror image, for annotation that knows what it exchanges.

    ``shape_modes`` is the share of another shape in each (``ShapeModes.draw``), from 0 for none to 1: image
    and landmarks are warped to it. How shapes vary is told by ``learn``; a data set does so by itself.

    A deformation has no matrix, so with one ``to_source`` is where the pixels would lie without it.
    """

    shapes: ShapeModes | None = None  # pixels of the canvas

    def __init__(
        self,
        size: Sequence[int],
        *,
        zoom: tuple[float, float] = (0.8, 1.25),
        rotation: float = 15.0,
        shift: float = 0.05,
        elastic: float = 0.0,
        intensity: Intensity | None = None,
        artefacts: float = 0.2,
        capital: float = 0.041,
        devices: float = 0.0,
        flip: float = 0.0,
        shape_modes: float = 0.0,
    ) -> None:
        for name, share in {"artefacts": artefacts, "devices": devices, "flip": flip}.items():
            if not 0.0 <= share <= 1.0:
                raise ValueError(f"train_transforms.{name}={share}: expected a probability from 0 to 1.")
        if not 0.0 < zoom[0] <= zoom[1]:
            raise ValueError(
                f"train_transforms.zoom={tuple(zoom)}: expected (low, high) with 0 < low <= high."
            )
        for name, largest in {"rotation": rotation, "shift": shift}.items():
            if not largest >= 0.0:
                raise ValueError(f"train_transforms.{name}={largest}: expected a number of at least 0.")
        if not 0.0 <= elastic <= 0.05:
            raise ValueError(f"train_transforms.elastic={elastic}: expected a share from 0 to 0.05.")
        if not 0.0 <= shape_modes <= 1.0:
            raise ValueError(f"train_transforms.shape_modes={shape_modes}: expected a share from 0 to 1.")
        if elastic and shape_modes:
            raise ValueError(
                f"train_transforms: elastic={elastic}, shape_modes={shape_modes}, expected one of the two."
            )
        self.letterbox, self.elastic, self.shape_modes = EvalTransforms(size), elastic, shape_modes
        self.log_zoom = np.log(zoom)
        self.rotation, self.shift = rotation, shift
        self.artefacts, self.capital, self.flip = artefacts, capital, flip
        self.devices = devices
        self.intensity = intensity or Intensity()

    def __str__(self) -> str:
        """What is drawn, by the names of the arguments; what is off is left out."""
        return in_words(
            {
                "zoom": np.exp(self.log_zoom).tolist(),
                "rotation": self.rotation,
                "shift": self.shift,
                "elastic": self.elastic,
                "shape_modes": self.shape_modes,
                "flip": self.flip,
                "devices": self.devices,
                "intensity": str(self.intensity),
                "artefacts": self.artefacts,
            }
        )

    def __call__(self, sample: AnySample, rng: np.random.Generator) -> AnySample:
        canvas = (self.letterbox.width, self.letterbox.height)
        upright = self.letterbox.matrix(sample)
        similarity = self._similarity(canvas, rng)
        deformation = None
        if self.elastic:
            deformation = self._deformation(canvas, rng)
        elif self.shape_modes:
            deformation = self._to_other_shape(sample, upright, similarity, rng)
        sample = sample.moved(Move(similarity @ upright, canvas, deformation))
        image = sample.image
        if self.devices and rng.random() < self.devices:
            image = with_devices(image, rng)
        image = self.intensity(image, rng)
        if rng.random() < self.artefacts:
            image = burn_in(image, rng, self.capital)
        return replace(sample, image=image).in_sight()

    def learn(self, shapes: ShapeModes) -> None:
        """Draw by ``shapes`` from now on; their frame is that of ``letterbox``, or any like it."""
        self.shapes = shapes

    def _similarity(self, canvas: tuple[int, int], rng: np.random.Generator) -> np.ndarray:
        """(3, 3) random zoom, rotation and shift about the centre of the canvas."""
        zoom = float(np.exp(rng.uniform(*self.log_zoom)))
        turn = geometry.rotate(rng.uniform(-self.rotation, self.rotation)) @ geometry.scale(zoom, zoom)
        shift = rng.uniform(-self.shift, self.shift, 2) * canvas
        if self.flip and rng.random() < self.flip:
            turn = turn @ geometry.scale(-1.0, 1.0)
        return geometry.translate(*shift) @ geometry.about(turn, canvas[0] / 2, canvas[1] / 2)

    def _deformation(self, canvas: tuple[int, int], rng: np.random.Generator) -> Deformation:
        height = canvas[1]
        return Deformation.random(canvas, height / _ELASTIC_CELLS, self.elastic * height, rng)

    def _to_other_shape(
        self, sample: Sample, upright: np.ndarray, similarity: np.ndarray, rng: np.random.Generator
    ) -> ThinPlate | None:
        """The warp of the canvas, on which ``similarity`` comes after the letterbox ``upright``."""
        if self.shapes is None or not isinstance(sample, PointSample):
            raise ValueError(
                f"train_transforms.shape_modes={self.shape_modes}: expected 0 here. Only landmarks have "
                "shapes, and those of a training set have to be learnt first (docs/data.md)."
            )
        points = geometry.warp_points(sample.points, upright)
        other = self.shapes.draw(points, self.shape_modes, rng)
        old, new = (geometry.warp_points(shape, similarity) for shape in (points, other))
        return ThinPlate.between(old, new, (self.letterbox.width, self.letterbox.height))


def _checked(size: Sequence[int]) -> tuple[int, int]:
    if isinstance(size, str):
        raise ValueError(
            f"canvas size={size!r}: expected (height, width); only main.py can find it for itself."
        )
    height, width = size
    if height <= 0 or width <= 0 or height % 32 or width % 32:
        raise ValueError(
            f"canvas size (height, width)={tuple(size)}: expected positive multiples of 32, e.g. (512, 416)."
        )
    return int(height), int(width)
