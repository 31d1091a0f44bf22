"""A small chest of discs that overlap: two lungs, a heart over the left one, and a clavicle in few images."""

from pathlib import Path

import cv2
import numpy as np

from datasets.masks.case import MaskCase
from datasets.masks.class_set import ClassSet
from datasets.masks.raster import fill, pack
from datasets.masks.shape import Shape
from datasets.masks.writer import write_masks
from util.prediction.masks.image_masks import ImageMasks

CHEST = ClassSet(
    "tiny chest", ("right_lung", "left_lung", "heart", "clavicle"), ((0, 1),), {"sex": ("female", "male")}
)
SIZE = (96, 80)  # width, height
_DISCS = ((28.0, 42.0, 20.0, 28.0), (66.0, 42.0, 19.0, 27.0), (52.0, 52.0, 16.0, 15.0), (48, 12, 24, 5))


def ellipse(x: float, y: float, wide: float, high: float) -> np.ndarray:
    """(64, 2) vertices."""
    angles = np.linspace(0.0, 2.0 * np.pi, 64, endpoint=False)
    return np.stack([x + wide * np.cos(angles), y + high * np.sin(angles)], -1)


def chest_case(number: int) -> MaskCase:
    """0.5 mm/px; lungs are polygons, heart and clavicle pixels; odd images have no clavicle, two a person."""
    rng = np.random.default_rng(number)
    outlines = [ellipse(*np.array(disc) + rng.uniform(-2.0, 2.0, 4)) for disc in _DISCS]
    masks = [fill(outline, SIZE) for outline in outlines]
    if number % 2:
        masks[3] = np.zeros_like(masks[3])
    image = 20.0 + sum(shade * mask for shade, mask in zip((50, 50, 70, 60), masks, strict=True))
    image = cv2.GaussianBlur(np.asarray(image + rng.normal(0.0, 4.0, image.shape), np.float32), (0, 0), 0.7)
    pixels = [Shape.of_mask(mask) for mask in masks]
    return MaskCase(
        name=f"chest{number}",
        image=image.clip(0, 255).astype(np.uint8),
        shapes=(Shape((outlines[0],)), Shape((outlines[1],)), pixels[2], pixels[3]),
        spacing=np.array([0.5, 0.5]),
        source_file=f"chest{number}.png",
        person=f"P{number // 2}",
        attributes={"sex": ("female", "male")[number // 2 % 2]},
    )


def write_chests(folder: Path, *, train: int = 8, val: int = 2, test: int = 4) -> Path:
    """Prepared; even numbers of images, so that no person is split."""
    numbers = iter(range(train + val + test))
    counts = {"train": train, "val": val, "test": test}
    cases = {name: [chest_case(next(numbers)) for _ in range(count)] for name, count in counts.items()}
    write_masks(
        folder,
        cases,
        class_set=CHEST,
        labels="synthetic",
        created_by="tests/support/tiny_masks.py",
        source_files={},
        seed=0,
    )
    return folder


def found_of(number: int, spacing: float = 0.5) -> ImageMasks:
    """The structures of ``chest_case`` as if a model had found them."""
    masks = [shape.mask(SIZE) for shape in chest_case(number).shapes]
    return ImageMasks(pack(masks, SIZE, 1), 4, np.full(2, spacing))
