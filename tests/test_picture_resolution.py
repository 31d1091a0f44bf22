"""Oblong pixels of pictures are as long as their files say; TIFF: ``test_tiff_files``."""

import io
import zlib

import numpy as np
import pytest
from PIL import Image

from datasets.files.image_files import count_images, read_grey, read_images
from tests.support.xray_files import ORIENTATIONS, picture
from util.inspection.chosen_image import chosen_image
from util.prediction.landmarks.measuring import scale_known

UPRIGHT = picture()
LENGTHS = [("png", 1), ("jpg", 1), ("jpg", 2)]  # units: a metre; an inch, a centimetre
PER_MM = {("png", 1): 1000.0, ("jpg", 1): 25.4, ("jpg", 2): 10.0}
SOURCES = {"png": "pHYs", "jpg": "JFIF density"}


def write(folder, suffix, density, unit, *, orientation=None, image=UPRIGHT):
    """A picture whose header says ``density`` along x and y of the stored picture, and ``unit``."""
    exif = Image.Exif()
    exif[0x0112] = orientation or 1
    stream = io.BytesIO()
    form = {"png": "PNG", "jpg": "JPEG"}[suffix]
    Image.fromarray(image).save(stream, form, **({} if orientation is None else {"exif": exif}))
    data = stream.getvalue()
    if suffix == "png":
        chunk = b"pHYs" + b"".join(number.to_bytes(4, "big") for number in density) + bytes([unit])
        data = data[:33] + (9).to_bytes(4, "big") + chunk + zlib.crc32(chunk).to_bytes(4, "big") + data[33:]
    else:
        jfif = b"\xff\xe0\0\x10JFIF\0\1\1"
        numbers = bytes([unit]) + b"".join(number.to_bytes(2, "big") for number in density)
        data = data[:2] + jfif + numbers + data[18:]  # in place of Pillow's own
    file = folder / f"x.{suffix}"
    file.write_bytes(data)
    return file


def read(file, spacing=None):
    (source,) = read_images(file, spacing)
    return source


@pytest.mark.parametrize(("suffix", "unit"), LENGTHS)
@pytest.mark.parametrize("density", [(3000, 1500), (1500, 3000)])
def test_oblong_pixels_are_as_long_as_the_header_says(tmp_path, suffix, unit, density):
    found = read(write(tmp_path, suffix, density, unit))
    np.testing.assert_allclose(found.spacing, PER_MM[suffix, unit] / np.array(density), rtol=1e-6)
    record = {"spacing_mm": found.spacing.tolist(), "spacing_source": found.spacing_source}
    assert found.spacing_source == SOURCES[suffix] and not scale_known(record)


@pytest.mark.parametrize(("suffix", "unit"), [*LENGTHS, ("png", 0), ("jpg", 0)])
@pytest.mark.parametrize("density", [(300, 300), (3000, 2999), (1, 1), (0, 0), (300, 0)])
def test_a_density_that_is_the_same_both_ways_says_nothing(tmp_path, suffix, unit, density):
    found = read(write(tmp_path, suffix, density, unit))
    assert np.isnan(found.spacing).all() and found.spacing_source == "none"


@pytest.mark.parametrize(("suffix", "unit"), LENGTHS)
def test_pixels_of_a_centimetre_are_no_lengths(tmp_path, suffix, unit):
    assert np.isnan(read(write(tmp_path, suffix, (2, 1), unit)).spacing).all()


def test_oblong_pixels_of_a_bmp_are_as_long_as_its_header_says(tmp_path):
    Image.fromarray(UPRIGHT).save(tmp_path / "x.bmp", dpi=(3000, 1500))
    found = read(tmp_path / "x.bmp")
    np.testing.assert_allclose(found.spacing, 25.4 / np.array([3000, 1500]), rtol=1e-3)
    assert found.spacing_source == "PelsPerMeter"


def test_oblong_pixels_of_a_jpeg_2000_are_as_long_as_its_capture_resolution_says(tmp_path):
    stream = io.BytesIO()
    Image.fromarray(UPRIGHT).save(stream, "JPEG2000", no_jp2=False)
    data = stream.getvalue()
    halves = b"".join(number.to_bytes(2, "big") for number in (2000, 1, 4000, 1))  # down, across, each over 1
    box = b"\0\0\0\x1ares \0\0\0\x12resc" + halves + b"\0\0"  # exponents of 10: a metre's
    at = data.index(b"jp2h") - 4
    length = int.from_bytes(data[at : at + 4], "big")
    grown = (length + len(box)).to_bytes(4, "big")
    (tmp_path / "x.jp2").write_bytes(
        data[:at] + grown + data[at + 4 : at + length] + box + data[at + length :]
    )
    found = read(tmp_path / "x.jp2")
    np.testing.assert_allclose(found.spacing, [1000.0 / 4000, 1000.0 / 2000], rtol=1e-6)
    assert found.spacing_source == "capture resolution" and found.image.shape == UPRIGHT.shape


@pytest.mark.parametrize("suffix", ["png", "jpg"])
@pytest.mark.parametrize("orientation", ORIENTATIONS)
def test_oblong_pixels_turn_with_the_picture(tmp_path, suffix, orientation):
    stored = np.ascontiguousarray(ORIENTATIONS[orientation](UPRIGHT))
    found = read(write(tmp_path, suffix, (2000, 1000), 1, orientation=orientation, image=stored))
    assert found.image.shape == UPRIGHT.shape
    ratio = 0.5 if orientation < 5 else 2.0
    assert found.spacing[0] / found.spacing[1] == pytest.approx(ratio)


@pytest.mark.parametrize("suffix", ["png", "jpg"])
def test_a_shape_without_a_length_is_refused_unless_the_length_is_given(tmp_path, suffix):
    file = write(tmp_path, suffix, (1, 2), 0)
    with pytest.raises(ValueError, match=rf"{SOURCES[suffix]} \(1, 2\): .*oblong.*Give --spacing with two"):
        read(file)
    for found in (read(file, [0.2, 0.1]), chosen_image(file, spacing=[0.2, 0.1])):
        assert found.spacing.tolist() == [0.2, 0.1] and found.spacing_source == "--spacing"
    assert count_images(file) == 1 and read_grey(file).shape == UPRIGHT.shape, "which ask for no spacing"


def test_a_shape_is_not_hidden_by_an_exif_header_behind_it(tmp_path):
    with pytest.raises(ValueError, match="oblong"):
        read(write(tmp_path, "jpg", (1, 2), 0, orientation=1))
