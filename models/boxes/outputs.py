"""What a detector returns."""

from dataclasses import dataclass

from torch import Tensor

from models.boxes.decoder import Stage
from models.boxes.denoising import Denoising
from models.boxes.detections import Detections
from models.boxes.proposals import Proposals
from models.boxes.pyramid import Pyramid
from models.boxes.refinement import Refined
from models.boxes.targets import BoxTargets


@dataclass(frozen=True)
class Denoised:
    """The denoising queries after each layer, and what they started from."""

    stages: tuple[Stage, ...]
    queries: Denoising
    targets: BoxTargets  # the objects that took part


@dataclass(frozen=True)
class BoxOutputs:
    """Everything the losses need; ``final`` is what users see."""

    final: Detections
    stages: tuple[Stage, ...]  # of each decoder layer in training, else of the last
    proposals: Proposals
    salience: tuple[Tensor, ...]  # L maps (B, rows, columns) of logits
    pyramid: Pyramid
    canvas: tuple[int, int]  # height and width of the images, in pixels
    sizes: Tensor  # (B, 2) width and height of each image on the canvas, in pixels
    denoised: Denoised | None  # in training
    refined: Refined | None  # where the detector has a refinement: ``final`` has these boxes
