"""TIFFs of every number type, byte order, compression, plane order and orientation read as one picture."""

import zlib

import cv2
import numpy as np
import pytest
from PIL import Image, TiffImagePlugin

from datasets.files.image_files import read_images
from tests.support.tiff_writer import write_tiff
from tests.support.xray_files import ORIENTATIONS, alike, deep, picture
from util.prediction.landmarks.measuring import scale_known

UPRIGHT = picture()
DEEP = deep(UPRIGHT)
KINDS = {  # what each kind of number holds, and what turns it over
    "u1": (UPRIGHT, 255 - UPRIGHT),
    "i1": (UPRIGHT.astype(np.int16) - 128, 127 - UPRIGHT.astype(np.int16)),
    "u2": (DEEP, 65535 - DEEP),
    "i2": (DEEP.astype(np.int32) - 2000, 2000 - DEEP.astype(np.int32)),
    "u4": (DEEP.astype(np.int64) * 1_000_000, 4_294_967_295 - DEEP.astype(np.int64) * 1_000_000),
    "i4": (DEEP.astype(np.int64) - 5000, 5000 - DEEP.astype(np.int64)),
    "f4": (DEEP / 4096.0, -DEEP / 4096.0),
    "f8": (DEEP / 4096.0, -DEEP / 4096.0),
}


def read_one(file):
    (source,) = read_images(file)
    return source.image


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("deflated", [False, True])
@pytest.mark.parametrize("kind", KINDS)
def test_every_number_type_is_read_with_black_or_white_as_zero(tmp_path, order, deflated, kind):
    file = tmp_path / "x.tif"
    for meaning, values in zip((1, 0), KINDS[kind], strict=True):
        write_tiff(file, values.astype(kind), order, deflated=deflated, meaning=meaning, rows_a_strip=9)
        assert alike(read_one(file), UPRIGHT), meaning


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("deflated", [False, True])
@pytest.mark.parametrize("orientation", ORIENTATIONS)
@pytest.mark.parametrize("channels", [1, 2, 3, 4])
def test_deep_pages_are_put_upright(tmp_path, order, deflated, orientation, channels):
    stored = np.ascontiguousarray(ORIENTATIONS[orientation](DEEP))
    alpha = np.full_like(stored, 65535)
    stack = {1: [stored], 2: [stored, alpha], 3: [stored] * 3, 4: [stored] * 3 + [alpha]}[channels]
    tags = {274: orientation} | ({338: 2} if channels in (2, 4) else {})
    file, meaning = tmp_path / "x.tif", 2 if channels > 2 else 1
    pixels = np.dstack(stack) if channels > 1 else stored
    write_tiff(file, pixels, order, deflated=deflated, meaning=meaning, tags=tags)
    assert alike(read_one(file), UPRIGHT)


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("deep_pixels", [False, True])
def test_colours_may_lie_in_planes(tmp_path, order, deep_pixels):
    channel = DEEP if deep_pixels else UPRIGHT
    write_tiff(tmp_path / "x.tif", np.dstack([channel] * 3), order, meaning=2, by_planes=True, rows_a_strip=7)
    assert alike(read_one(tmp_path / "x.tif"), UPRIGHT)


@pytest.mark.parametrize("order", ["<", ">"])
def test_twelve_bits_may_be_packed(tmp_path, order):
    write_tiff(tmp_path / "x.tif", DEEP, order, packed_bits=12)
    assert alike(read_one(tmp_path / "x.tif"), UPRIGHT)


@pytest.mark.parametrize("compression", ["packbits", "tiff_lzw", "tiff_deflate", "lzma", "zstd"])
def test_every_compression_that_pillow_writes_is_read(tmp_path, compression):
    for image in (Image.fromarray(UPRIGHT), Image.fromarray(DEEP)):
        image.save(tmp_path / "x.tif", compression=compression)
        assert alike(read_one(tmp_path / "x.tif"), UPRIGHT)
    Image.fromarray(DEEP).save(tmp_path / "x.tif", compression="tiff_lzw", tiffinfo={317: 2})
    assert alike(read_one(tmp_path / "x.tif"), UPRIGHT)


def test_a_bigtiff_and_fractions_in_colour_are_read(tmp_path):
    Image.fromarray(DEEP).save(tmp_path / "x.tif", big_tiff=True)
    assert alike(read_one(tmp_path / "x.tif"), UPRIGHT)
    cv2.imwrite(str(tmp_path / "y.tif"), np.dstack([DEEP.astype(np.float32)] * 3))
    assert alike(read_one(tmp_path / "y.tif"), UPRIGHT)


def test_other_colours_beyond_eight_bits_are_refused_by_name(tmp_path):
    write_tiff(tmp_path / "x.tif", np.dstack([DEEP] * 4), meaning=5)
    with pytest.raises(ValueError, match=r"x\.tif: .*colours of kind 5 beyond 8 bits"):
        read_one(tmp_path / "x.tif")


@pytest.mark.parametrize("kind", ["u2", "f4"])
def test_a_deep_page_cut_short_is_refused(tmp_path, kind):
    write_tiff(tmp_path / "x.tif", KINDS[kind][0].astype(kind), rows_a_strip=9)
    data = (tmp_path / "x.tif").read_bytes()
    for share in (0.3, 0.9):
        (tmp_path / "y.tif").write_bytes(data[: int(share * len(data))])
        with pytest.raises(ValueError, match=r"y\.tif: cannot be read"):
            read_one(tmp_path / "y.tif")


@pytest.mark.parametrize(("suffix", "channels"), [(".jp2", 1), (".jp2", 3), (".pgm", 1), (".ppm", 3)])
def test_other_formats_keep_their_depth_in_colour_too(tmp_path, suffix, channels):
    cv2.imwrite(str(tmp_path / f"x{suffix}"), np.dstack([DEEP] * 3) if channels == 3 else DEEP)
    assert alike(read_one(tmp_path / f"x{suffix}"), UPRIGHT)


@pytest.mark.parametrize("behind", [False, True])
@pytest.mark.parametrize("deep_pixels", [False, True])
@pytest.mark.parametrize("orientation", ORIENTATIONS)
def test_a_png_may_say_before_or_behind_its_pixels_how_it_lies(tmp_path, behind, deep_pixels, orientation):
    channel = np.ascontiguousarray(ORIENTATIONS[orientation](DEEP if deep_pixels else UPRIGHT))
    exif = Image.Exif()
    exif[0x0112] = orientation
    chunk = exif_chunk(exif.tobytes()[6:])
    data = bytes(cv2.imencode(".png", np.dstack([channel] * 3))[1])
    at = data.index(b"IEND" if behind else b"IDAT") - 4
    (tmp_path / "x.png").write_bytes(data[:at] + chunk + data[at:])
    assert alike(read_one(tmp_path / "x.png"), UPRIGHT)


def exif_chunk(content):
    body = b"eXIf" + content
    return len(content).to_bytes(4, "big") + body + zlib.crc32(body).to_bytes(4, "big")


def spacing_of(file, resolution, unit, **more):
    """What a file says whose tags are ``resolution`` along x and y, and ``unit``."""
    tags = {282: resolution[0], 283: resolution[1]} | ({} if unit is None else {296: unit})
    write_tiff(file, UPRIGHT, tags=tags | more.pop("tags", {}), **more)
    (source,) = read_images(file)
    return source


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize(
    ("resolution", "unit", "spacing"),
    [
        (((300, 1), (150, 1)), 2, (25.4 / 300, 25.4 / 150)),
        (((204, 1), (98, 1)), None, (25.4 / 204, 25.4 / 98)),  # inches where no unit is said
        (((1000, 10), (2000, 10)), 3, (0.1, 0.05)),
    ],
)
def test_oblong_pixels_are_as_long_as_their_tags_say(tmp_path, order, resolution, unit, spacing):
    found = spacing_of(tmp_path / "x.tif", resolution, unit, order=order)
    np.testing.assert_allclose(found.spacing, spacing)
    record = {"spacing_mm": found.spacing.tolist(), "spacing_source": found.spacing_source}
    assert found.spacing_source == "XResolution, YResolution" and not scale_known(record)


@pytest.mark.parametrize("unit", [None, 1, 2, 3])
@pytest.mark.parametrize(
    "resolution",
    [
        ((72, 1), (72, 1)),
        ((300, 1), (300, 1)),
        ((30000, 100), (2999, 10)),  # rounded: as good as square
        ((1, 1), (1, 1)),
        ((0, 1), (0, 1)),
        ((300, 0), (150, 0)),
    ],
)
def test_a_resolution_that_is_the_same_both_ways_says_nothing(tmp_path, resolution, unit):
    found = spacing_of(tmp_path / "x.tif", resolution, unit)
    assert np.isnan(found.spacing).all() and found.spacing_source == "none"


def test_a_resolution_of_one_a_unit_says_nothing(tmp_path):
    assert np.isnan(spacing_of(tmp_path / "x.tif", ((300, 1), (1, 1)), 2).spacing).all()


@pytest.mark.parametrize("orientation", ORIENTATIONS)
def test_oblong_pixels_turn_with_the_picture(tmp_path, orientation):
    found = spacing_of(tmp_path / "x.tif", ((100, 1), (50, 1)), 3, tags={274: orientation})
    np.testing.assert_allclose(found.spacing, (0.2, 0.1) if orientation >= 5 else (0.1, 0.2))


def test_oblong_pixels_without_a_length_are_refused_unless_it_is_given(tmp_path):
    file = tmp_path / "x.tif"
    with pytest.raises(ValueError, match=r"x.tif: .*\(1.0, 2.0\).*oblong.*Give --spacing with two"):
        spacing_of(file, ((1, 1), (2, 1)), 1)
    (source,) = read_images(file, [0.2, 0.1])
    assert source.spacing.tolist() == [0.2, 0.1]


def test_pages_of_several_sizes_of_pixels_are_refused(tmp_path):
    with TiffImagePlugin.AppendingTiffWriter(str(tmp_path / "x.tif"), new=True) as stream:
        for down in (150.0, 200.0):
            tags = {282: 300.0, 283: down, 296: 2}
            Image.fromarray(UPRIGHT).save(stream, format="TIFF", tiffinfo=tags)
            stream.newFrame()
    with pytest.raises(ValueError, match="on page 2, expected one size of pixels"):
        list(read_images(tmp_path / "x.tif"))
