"""Pictures of labels that are probably wrong: the suspected structure red, all others blue."""

from collections.abc import Sequence
from pathlib import Path

import cv2

from datasets.masks.dataset import MaskDataset
from datasets.masks.raster import plane
from datasets.masks.suspects import Suspect
from util.files import write_atomic
from util.reporting.masks.mask_drawing import TRUTH, outlined

_OTHERS = (90, 150, 255)
_LONGER_SIDE = 1000  # pixels of a picture


def write_suspect_pictures(folder: Path, dataset: MaskDataset, suspects: Sequence[Suspect]) -> None:
    """One PNG a suspected image of ``dataset``, the reasons written on it."""
    for case in dict.fromkeys(suspect.case for suspect in suspects if suspect.case in dataset.cases):
        found = [suspect for suspect in suspects if suspect.case == case]
        sample = dataset.load(dataset.cases.index(case))
        names = dataset.class_set.classes
        named = {suspect.structure for suspect in found}
        packed = sample.packed()
        order = sorted(range(len(names)), key=lambda k: names[k] in named)  # the suspected ones on top
        picture = outlined(
            sample.image,
            [plane(packed, k) for k in order],
            [TRUTH if names[k] in named else _OTHERS for k in order],
        )
        zoom = min(1.0, _LONGER_SIDE / max(sample.size))
        picture = cv2.resize(picture, None, fx=zoom, fy=zoom, interpolation=cv2.INTER_AREA)
        for line, suspect in enumerate(found[:12]):
            text = f"{suspect.structure}: {suspect.reason}".lstrip(": ")
            place = (8, 20 + 20 * line)
            cv2.putText(picture, text, place, cv2.FONT_HERSHEY_SIMPLEX, 0.5, TRUTH, 1, cv2.LINE_AA)
        write_atomic(folder / f"{case}.png", cv2.imencode(".png", picture[..., ::-1])[1].tobytes())
