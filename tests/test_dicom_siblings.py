"""DICOM as few write it: shutters, values in the upper bits, what frames share, newer compressions."""

import imagecodecs
import numpy as np
import pytest
from pydicom.dataset import Dataset
from pydicom.encaps import encapsulate
from pydicom.uid import UID

from datasets.files.image_files import read_images
from tests.support.xray_files import alike, deep, dicom_dataset, picture, write_dicom

SHOWN = picture()  # 40 x 56
DEEP = deep(SHOWN)
GLARE = 60000  # of what lies beside the anatomy


def read_one(file):
    (source,) = read_images(file)
    return source.image


RECTANGLE = {
    "ShutterShape": "RECTANGULAR",
    "ShutterLeftVerticalEdge": 11,
    "ShutterRightVerticalEdge": 50,
    "ShutterUpperHorizontalEdge": 5,
    "ShutterLowerHorizontalEdge": 38,
}
CIRCLE = {"ShutterShape": "CIRCULAR", "CenterOfCircularShutter": [20, 28], "RadiusOfCircularShutter": 15}
POLYGON = {"ShutterShape": "POLYGONAL", "VerticesOfThePolygonalShutter": [5, 11, 5, 50, 38, 50, 38, 11]}


def inside(name):
    rows, columns = np.mgrid[1:41, 1:57]
    box = (rows >= 5) & (rows <= 38) & (columns >= 11) & (columns <= 50)
    return {"circle": (rows - 20) ** 2 + (columns - 28) ** 2 <= 15**2}.get(name, box)


@pytest.mark.parametrize("interpretation", ["MONOCHROME1", "MONOCHROME2"])
@pytest.mark.parametrize(("name", "tags"), [("box", RECTANGLE), ("circle", CIRCLE), ("polygon", POLYGON)])
def test_what_a_shutter_hides_is_black_and_has_no_say(tmp_path, name, tags, interpretation):
    seen = inside(name)
    stored = np.where(seen, DEEP, GLARE).astype(np.uint16)
    image = read_one(write_dicom(tmp_path / "x", stored, bits=16, interpretation=interpretation, **tags))
    assert (image[~seen] == 0).all()
    shown = image[seen].astype(float) if interpretation == "MONOCHROME2" else 255.0 - image[seen]
    assert np.corrcoef(shown, SHOWN[seen])[0, 1] > 0.99 and np.ptp(shown) == 255


def test_several_shutters_and_padding_leave_what_is_within_all(tmp_path):
    tags = RECTANGLE | CIRCLE | {"ShutterShape": ["RECTANGULAR", "CIRCULAR"], "PixelPaddingValue": 3}
    stored = DEEP.copy()
    stored[:, 25:28] = 3
    image = read_one(write_dicom(tmp_path / "x", stored, **tags))
    seen = inside("box") & inside("circle")
    seen[:, 25:28] = False
    assert (image[~seen] == 0).all() and (image[seen] > 0).mean() > 0.9


@pytest.mark.parametrize(
    "tags",
    [
        RECTANGLE | {"ShutterShape": "BITMAP"},
        RECTANGLE | {"ShutterRightVerticalEdge": 5},  # nothing would be left
        {"ShutterShape": "CIRCULAR"},
        POLYGON | {"VerticesOfThePolygonalShutter": [5, 11, 5, 50, 38]},
    ],
)
def test_a_shutter_that_says_nothing_hides_nothing(tmp_path, tags):
    assert alike(read_one(write_dicom(tmp_path / "x", DEEP, **tags)), SHOWN)


@pytest.mark.parametrize("kind", [np.uint16, np.int16])
def test_values_may_lie_in_the_upper_bits(tmp_path, kind):
    """Twelve bits in the upper part of sixteen, with anything in the lower four."""
    values = DEEP.astype(np.int32) - (2048 if kind is np.int16 else 0)
    stored = ((values << 4) | 0b1011).astype(kind)
    dataset = dicom_dataset(stored, WindowCenter=0 if kind is np.int16 else 2048, WindowWidth=4096)
    dataset.HighBit = 15
    dataset.save_as(tmp_path / "x", enforce_file_format=True)
    assert np.abs(read_one(tmp_path / "x").astype(int) - SHOWN).max() <= 2


def test_overlays_in_the_unused_bits_are_no_values(tmp_path):
    assert alike(read_one(write_dicom(tmp_path / "x", DEEP | 0xF000)), SHOWN)


def test_a_presentation_that_is_inverse_is_turned_over(tmp_path):
    file = write_dicom(tmp_path / "x", 4095 - DEEP, PresentationLUTShape="INVERSE")
    assert alike(read_one(file), SHOWN)
    tags = {"interpretation": "MONOCHROME1", "PresentationLUTShape": "INVERSE"}  # says the same twice
    assert alike(read_one(write_dicom(tmp_path / "y", 4095 - DEEP, **tags)), SHOWN)


def test_the_spacing_may_be_what_the_frames_share(tmp_path):
    dataset, measures, shared = dicom_dataset(np.stack([DEEP] * 2)), Dataset(), Dataset()
    measures.PixelSpacing = [0.3, 0.2]
    shared.PixelMeasuresSequence = [measures]
    dataset.SharedFunctionalGroupsSequence = [shared]
    dataset.save_as(tmp_path / "x", enforce_file_format=True)
    for source in read_images(tmp_path / "x"):
        assert source.spacing.tolist() == [0.2, 0.3] and source.spacing_source == "PixelSpacing"


@pytest.mark.parametrize(
    ("number", "encode"),
    [
        (201, imagecodecs.htj2k_encode),
        (80, imagecodecs.jpegls_encode),
        (81, lambda values: imagecodecs.jpegls_encode(values, level=3)),
        (70, lambda values: imagecodecs.ljpeg_encode(values, bitspersample=12)),
        (51, lambda values: imagecodecs.jpeg_encode(values, level=95, bitspersample=12)),
        (91, lambda values: imagecodecs.jpeg2k_encode(values, codecformat="j2k", bitspersample=12, level=60)),
    ],
)
def test_what_another_library_compressed_is_read(tmp_path, number, encode):
    dataset = dicom_dataset(np.stack([DEEP, DEEP[::-1]]))
    dataset.file_meta.TransferSyntaxUID = UID(f"1.2.840.10008.1.2.4.{number}")
    dataset.PixelData = encapsulate(
        [bytes(encode(np.ascontiguousarray(part))) for part in (DEEP, DEEP[::-1])]
    )
    dataset["PixelData"].is_undefined_length = True
    dataset.save_as(tmp_path / "x", enforce_file_format=True)
    first, second = (source.image for source in read_images(tmp_path / "x"))
    assert alike(first, SHOWN) and alike(second, SHOWN[::-1])
