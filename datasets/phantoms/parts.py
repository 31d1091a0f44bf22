"""The parts of a phantom that boxes are drawn about: teeth, bones and what is foreign to the head.

What is drawn says itself what it is the outline of (``Structure.part``). Parts overlap, come once or often,
and reach from 3 mm to most of the film.
"""

from collections.abc import Iterable

import numpy as np

from datasets.boxes.class_set import BoxClasses
from datasets.boxes.geometry import clip, hull, in_sight
from datasets.phantoms.drawing import Structure

_NAMES = (
    "braincase",
    "ear canal",
    "ear rod",
    "filling",
    "hyoid",
    "lower incisor",
    "mandible",
    "marker",
    "molar",
    "orbit",
    "palate",
    "premolar",
    "pterygomaxillary fissure",
    "sphenoid sinus",
    "symphysis",
    "upper incisor",
    "vertebra",
)
PART_CLASSES = BoxClasses(_NAMES, tuple(range(1, len(_NAMES) + 1)))


def part_boxes(
    structures: Iterable[Structure], size: tuple[int, int], spacing: float
) -> tuple[np.ndarray, np.ndarray]:
    """(N, 4) boxes in continuous pixels of a film of ``size``, width first, and (N,) labels.

    spacing: mm per pixel. What the film does not show, or too little of, has no box
    (``datasets.boxes.geometry.in_sight``).
    """
    parts = [structure for structure in structures if structure.part is not None]
    boxes = np.concatenate([_box(part) for part in parts]) / spacing
    labels = np.array([PART_CLASSES.names.index(str(part.part)) for part in parts], np.int64)
    kept = in_sight(boxes, size)
    return clip(boxes[kept], size), labels[kept]


def _box(part: Structure) -> np.ndarray:
    """(1, 4) mm: the hull of the outline, and of the stroke where it is drawn as one."""
    reach = 0.0 if part.width is None else part.width / 2.0
    return hull(part.path[None]) + np.array([-reach, -reach, reach, reach])
