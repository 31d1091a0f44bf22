"""Found masks as a DICOM Segmentation object, for viewers and archives; segments may overlap.

Needs highdicom, which is not among the requirements: ``pip install highdicom``.
"""

import io
from collections.abc import Mapping
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
from pydicom.sr.codedict import codes
from pydicom.sr.coding import Code

from datasets.files.dicom_files import read_dicom, require_identity
from datasets.files.image_files import SourceImage
from util.files import printable, write_atomic

_MAKER, _MODEL = "CephDETR", "CephDETR masks"


def write_dicom_seg(file: Path, source: Path, masks: Mapping[str, np.ndarray]) -> None:
    """Write a binary Segmentation that refers to the DICOM image ``source``: a segment a mask (H, W) bool.

    Raises ValueError without highdicom, for a source that is no DICOM image of one frame of the masks' size
    or has no identity to refer to, and for masks without a pixel, which a Segmentation cannot hold.
    """
    highdicom = _highdicom()
    empty = [name for name, mask in masks.items() if not mask.any()]
    if empty or not masks:
        raise ValueError(f"{file}: no pixel of {empty or 'any structure'}, expected some of every segment.")
    height, width = next(iter(masks.values())).shape
    image = _source_image(source, (width, height))
    pixels = np.stack(list(masks.values()), -1).astype(np.uint8)[None]  # (1, H, W, segments)
    segmentation = highdicom.seg.Segmentation(
        source_images=[image],
        pixel_array=pixels,
        segmentation_type=highdicom.seg.SegmentationTypeValues.BINARY,
        segment_descriptions=[
            _description(highdicom, number, name) for number, name in enumerate(masks, start=1)
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


def require_highdicom() -> None:
    """Raise ValueError where it is not installed."""
    _highdicom()


def require_referable(image: SourceImage) -> SourceImage:
    """``image``, to whose file a Segmentation can refer. Raises ValueError naming the file otherwise."""
    if printable(image.file) != str(image.file):  # records hold names as text, by which it is found again
        raise ValueError(f"{printable(image.file)}: a name that is no text. Rename the file.")
    _source_image(image.file, (image.image.shape[1], image.image.shape[0]), pixels=False)
    return image


def _highdicom() -> Any:
    try:
        import highdicom
        import highdicom.seg
    except ImportError as error:
        raise ValueError(
            "a DICOM Segmentation needs highdicom. Install it: pip install highdicom."
        ) from error
    return highdicom


def _source_image(source: Path, size: tuple[int, int], *, pixels: bool = True) -> Any:
    try:
        image = read_dicom(source, stop_before_pixels=not pixels)
        shape = int(image.Columns), int(image.Rows)
    except (OSError, AttributeError) as error:
        raise ValueError(
            f"{source}: not a DICOM image, and a Segmentation must refer to one. Write PNG or COCO instead."
        ) from error
    if shape != size or int(image.get("NumberOfFrames", 1) or 1) != 1:
        raise ValueError(
            f"{source}: {shape[0]}x{shape[1]} pixels in {image.get('NumberOfFrames', 1)} frames, the masks "
            f"have {size[0]}x{size[1]}. A Segmentation needs the very image that was looked at."
        )
    require_identity(image, source, "Write PNG or COCO instead.")
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
