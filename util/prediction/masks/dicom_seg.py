"""Found masks as a DICOM Segmentation object, for viewers and archives; segments may overlap.

Needs highdicom, which is not among the requirements: ``pip install highdicom``.
"""

import io
from collections.abc import Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import pydicom
from pydicom.errors import InvalidDicomError
from pydicom.sr.codedict import codes
from pydicom.sr.coding import Code

from util.files import write_atomic
from util.prediction.masks.image_masks import ImageMasks

_MAKER, _MODEL = "CephDETR", "CephDETR masks"


def write_dicom_seg(file: Path, source: Path, found: ImageMasks, classes: Sequence[str]) -> int:
    """Write a binary Segmentation that refers to the DICOM image ``source``; the number of its segments.

    A class without a pixel has no segment. Raises ValueError without highdicom, for a source that is no
    DICOM image of one frame of the masks' size, and where there is nothing to write.
    """
    highdicom = _highdicom(file)
    image = _source_image(source, found.size)
    kept = [(k, name) for k, name in enumerate(classes) if found.mask(k).any()]
    if not kept:
        raise ValueError(f"{file}: no structure was found, and a Segmentation must have one.")
    pixels = np.stack([found.mask(k) for k, _ in kept], -1).astype(np.uint8)[None]  # (1, H, W, segments)
    segmentation = highdicom.seg.Segmentation(
        source_images=[image],
        pixel_array=pixels,
        segmentation_type=highdicom.seg.SegmentationTypeValues.BINARY,
        segment_descriptions=[
            _description(highdicom, number, name) for number, (_, name) in enumerate(kept, start=1)
        ],
        series_instance_uid=highdicom.UID(),
        series_number=900,
        sop_instance_uid=highdicom.UID(),
        instance_number=1,
        manufacturer=_MAKER,
        manufacturer_model_name=_MODEL,
        software_versions=f"highdicom {version('highdicom')}",
        device_serial_number="0",
    )
    stream = io.BytesIO()
    segmentation.save_as(stream)
    write_atomic(file, stream.getvalue())
    return len(kept)


def _highdicom(file: Path) -> Any:
    try:
        import highdicom
        import highdicom.seg
    except ImportError as error:
        raise ValueError(
            f"{file}: a DICOM Segmentation needs highdicom. Install it: pip install highdicom."
        ) from error
    return highdicom


def _source_image(source: Path, size: tuple[int, int]) -> Any:
    try:
        image = pydicom.dcmread(source)
        shape = int(image.Columns), int(image.Rows)
    except (OSError, InvalidDicomError, AttributeError) as error:
        raise ValueError(
            f"{source}: not a DICOM image, and a Segmentation must refer to one. Write PNG or COCO instead."
        ) from error
    if shape != size or int(image.get("NumberOfFrames", 1) or 1) != 1:
        raise ValueError(
            f"{source}: {shape[0]}x{shape[1]} pixels in {image.get('NumberOfFrames', 1)} frames, the masks "
            f"have {size[0]}x{size[1]}. A Segmentation needs the very image that was looked at."
        )
    return image


def _description(highdicom: Any, number: int, name: str) -> Any:
    """A segment named as its class; the codes say no more than that it is a part of the body."""
    code = Code("123037004", "SCT", "Anatomical Structure")
    return highdicom.seg.SegmentDescription(
        segment_number=number,
        segment_label=name[:64],
        segmented_property_category=code,
        segmented_property_type=code,
        algorithm_type=highdicom.seg.SegmentAlgorithmTypeValues.AUTOMATIC,
        algorithm_identification=highdicom.AlgorithmIdentificationSequence(
            name=_MODEL, version="1", family=codes.cid7162.ArtificialIntelligence
        ),
    )
