"""Pictures are read upright, at their full depth, and without their previews."""

import zlib

import cv2
import numpy as np
import pytest
import SimpleITK as sitk
import tifffile
from PIL import Image, TiffImagePlugin

from datasets.files import picture_files
from datasets.files.colour import read_picture
from datasets.files.image_files import read_images
from tests.support.xray_files import ORIENTATIONS, alike, deep, picture

UPRIGHT = picture()


def read_one(file):
    (source,) = read_images(file)
    assert source.slice is None and source.image.dtype == np.uint8
    return source.image


def save_lying(file, stored, orientation, **options):
    exif = Image.Exif()
    exif[0x0112] = orientation
    Image.fromarray(np.ascontiguousarray(stored)).save(file, exif=exif, **options)


def test_the_pictures_of_this_test_are_eight_different_ones():
    stored = [turn(UPRIGHT).tobytes() for turn in ORIENTATIONS.values()]
    assert len(set(stored)) == 8


@pytest.mark.parametrize("orientation", ORIENTATIONS)
@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("x.png", {}),
        ("x.jpg", {"quality": 98}),
        ("x.tif", {}),
        ("x.tif", {"compression": "tiff_lzw"}),
        ("x.tif", {"compression": "tiff_adobe_deflate"}),
        ("x.webp", {"lossless": True}),
    ],
)
def test_lying_pictures_are_put_upright(tmp_path, orientation, name, options):
    save_lying(tmp_path / name, ORIENTATIONS[orientation](UPRIGHT), orientation, **options)
    image = read_one(tmp_path / name)
    assert image.shape == UPRIGHT.shape
    assert np.abs(image.astype(int) - UPRIGHT).max() <= 6


@pytest.mark.parametrize("orientation", ORIENTATIONS)
@pytest.mark.parametrize("name", ["x.png", "x.tif"])
def test_lying_pictures_of_sixteen_bits_are_put_upright(tmp_path, orientation, name):
    save_lying(tmp_path / name, ORIENTATIONS[orientation](deep(UPRIGHT)), orientation)
    assert alike(read_one(tmp_path / name), UPRIGHT)


@pytest.mark.parametrize("orientation", ORIENTATIONS)
def test_lying_pictures_of_deep_colour_are_put_upright(tmp_path, orientation):
    stored = np.ascontiguousarray(ORIENTATIONS[orientation](np.dstack([deep(UPRIGHT)] * 3)))
    cv2.imwrite(str(tmp_path / "plain.png"), stored)
    data = (tmp_path / "plain.png").read_bytes()
    exif = Image.Exif()
    exif[0x0112] = orientation
    tagged = insert_chunk(data, b"eXIf", exif.tobytes().removeprefix(b"Exif\0\0"))
    (tmp_path / "x.png").write_bytes(tagged)
    assert alike(read_one(tmp_path / "x.png"), UPRIGHT)


def insert_chunk(png, name, content):
    """``png`` with a chunk behind its header."""
    chunk = len(content).to_bytes(4, "big") + name + content + zlib.crc32(name + content).to_bytes(4, "big")
    return png[:33] + chunk + png[33:]


def write_channels(file, channels):
    """16-bit channels (H, W, C); two are grey and alpha, which OpenCV does not write."""
    if channels.shape[2] == 2:
        sitk.WriteImage(sitk.GetImageFromArray(channels, isVector=True), str(file))
    else:
        cv2.imwrite(str(file), channels)


@pytest.mark.parametrize(
    ("suffix", "channels"),
    [*((".png", count) for count in (1, 2, 3, 4)), (".tif", 1), (".tif", 3), (".tif", 4)],
)
def test_sixteen_bit_channels_keep_their_depth(tmp_path, suffix, channels):
    """Twelve bits in sixteen: at eight bits a channel only 16 grey values would be left."""
    grey = deep(UPRIGHT)
    alpha = np.full_like(grey, 65535)
    stack = {1: [grey], 2: [grey, alpha], 3: [grey] * 3, 4: [grey] * 3 + [alpha]}[channels]
    write_channels(tmp_path / f"x{suffix}", np.dstack(stack))
    assert alike(read_one(tmp_path / f"x{suffix}"), UPRIGHT)


@pytest.mark.parametrize("orientation", [1, 6])
@pytest.mark.parametrize("name", ["x.png", "x.tif"])
def test_colours_of_twelve_in_sixteen_bits_keep_their_hues_and_are_not_dark(tmp_path, name, orientation):
    colours = np.dstack([UPRIGHT, UPRIGHT // 2, 255 - UPRIGHT])  # red, green, blue
    stored = np.ascontiguousarray(ORIENTATIONS[orientation](deep(colours)))
    if name.endswith("png"):
        cv2.imwrite(str(tmp_path / "plain.png"), stored[..., ::-1])
        exif = Image.Exif()
        exif[0x0112] = orientation
        chunk = exif.tobytes().removeprefix(b"Exif\0\0")
        (tmp_path / name).write_bytes(insert_chunk((tmp_path / "plain.png").read_bytes(), b"eXIf", chunk))
    else:
        tag = (274, "H", 1, orientation, True)
        tifffile.imwrite(tmp_path / name, stored, photometric="rgb", extratags=[tag])
    shown = read_picture(tmp_path / name)
    assert shown.shape == colours.shape
    assert np.corrcoef(shown.ravel(), colours.ravel())[0, 1] > 0.995 and np.ptp(shown) == 255


@pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "RGB", "RGBA", "CMYK", "I", "F", "I;16"])
def test_the_same_picture_is_read_the_same_whatever_its_mode(tmp_path, mode):
    name = "x.tif" if mode in ("CMYK", "F", "I") else "x.png"
    if mode in ("I", "F", "I;16"):
        kinds = {"I": np.int32, "F": np.float32, "I;16": np.uint16}
        Image.fromarray(deep(UPRIGHT).astype(kinds[mode])).save(tmp_path / name)
    else:
        Image.fromarray(UPRIGHT).convert(mode if mode not in ("LA", "CMYK") else "RGB").convert(mode).save(
            tmp_path / name
        )
    image = read_one(tmp_path / name)
    if mode == "1":
        assert set(np.unique(image)) == {0, 255}
    else:
        assert alike(image, UPRIGHT)


def test_every_page_of_a_deep_colour_tiff_is_its_own(tmp_path):
    pages = [np.dstack([deep(np.roll(UPRIGHT, shift, 1))] * 3) for shift in (0, 9)]
    cv2.imwritemulti(str(tmp_path / "x.tif"), pages)
    images = [source.image for source in read_images(tmp_path / "x.tif")]
    assert len(images) == 2
    assert alike(images[0], UPRIGHT) and alike(images[1], np.roll(UPRIGHT, 9, 1))


def test_pages_keep_their_own_orientation(tmp_path):
    write_pages(tmp_path / "x.tif", [(UPRIGHT, {}), (ORIENTATIONS[6](UPRIGHT), {274: 6}), (UPRIGHT, {})])
    assert all(np.array_equal(source.image, UPRIGHT) for source in read_images(tmp_path / "x.tif"))


def test_a_phone_picture_is_read_without_its_preview(tmp_path):
    pages = [Image.fromarray(UPRIGHT), Image.fromarray(UPRIGHT[::4, ::4])]
    pages[0].save(tmp_path / "x.jpg", format="MPO", save_all=True, append_images=pages[1:], quality=98)
    assert Image.open(tmp_path / "x.jpg").n_frames == 2
    assert read_one(tmp_path / "x.jpg").shape == UPRIGHT.shape


@pytest.mark.parametrize(("tag", "value"), [(254, 1), (254, 4), (254, 5), (255, 2)])
@pytest.mark.parametrize("first", [False, True])
def test_reduced_copies_in_a_tiff_are_left_out(tmp_path, tag, value, first):
    pages = [(UPRIGHT, {}), (UPRIGHT[::2, ::2], {tag: value})]
    write_pages(tmp_path / "x.tif", pages[::-1] if first else pages)
    sources = list(read_images(tmp_path / "x.tif"))
    assert [source.image.shape for source in sources] == [UPRIGHT.shape]
    assert sources[0].slice is None


def write_pages(file, pages):
    """A TIFF of pictures, each with tags of its own."""
    with TiffImagePlugin.AppendingTiffWriter(str(file), new=True) as stream:
        for pixels, tags in pages:
            Image.fromarray(np.ascontiguousarray(pixels)).save(stream, format="TIFF", tiffinfo=tags)
            stream.newFrame()


def test_a_tiff_of_reduced_copies_alone_is_refused(tmp_path):
    Image.fromarray(UPRIGHT).save(tmp_path / "x.tif", tiffinfo={254: 1})
    with pytest.raises(ValueError, match=r"x\.tif: .*every page is tagged as a reduced copy"):
        list(read_images(tmp_path / "x.tif"))


@pytest.mark.parametrize("name", ["x.gif", "x.webp", "x.png"])
def test_an_animation_is_refused(tmp_path, name):
    pages = [Image.fromarray(np.roll(UPRIGHT, shift)) for shift in (0, 9)]
    pages[0].save(tmp_path / name, save_all=True, append_images=pages[1:])
    with pytest.raises(ValueError, match="an animation of 2 pictures"):
        list(read_images(tmp_path / name))


@pytest.mark.parametrize("damage", ["cut", "flipped"])
def test_a_damaged_png_of_deep_colour_is_refused(tmp_path, damage):
    """OpenCV fills up what is missing, and does not look at checksums."""
    noise = np.random.default_rng(0).integers(0, 65535, (64, 64, 3), np.uint16)
    cv2.imwrite(str(tmp_path / "x.png"), noise)
    data = bytearray((tmp_path / "x.png").read_bytes())
    if damage == "cut":
        del data[len(data) // 2 :]
    else:
        data[len(data) // 2] ^= 0xFF
    (tmp_path / "x.png").write_bytes(data)
    with pytest.raises(ValueError, match=r"x\.png: .*cannot be read"):
        list(read_images(tmp_path / "x.png"))


@pytest.mark.parametrize("value", [0, 137, 255])
def test_a_constant_picture_is_refused(tmp_path, value):
    Image.fromarray(np.full((20, 30), value, np.uint8)).save(tmp_path / "x.png")
    with pytest.raises(ValueError, match=rf"every pixel has the grey value {value}"):
        list(read_images(tmp_path / "x.png"))


def test_an_empty_page_does_not_keep_the_others_from_being_read(tmp_path):
    pages = [Image.fromarray(page) for page in (UPRIGHT, np.zeros_like(UPRIGHT), UPRIGHT)]
    pages[0].save(tmp_path / "x.tif", save_all=True, append_images=pages[1:])
    read = []
    with pytest.raises(ValueError, match="image 2: every pixel has the grey value 0"):
        read.extend(source.slice for source in read_images(tmp_path / "x.tif"))
    assert read == [1, 3]


def test_pixels_beyond_the_limit_are_refused_before_they_are_decoded(tmp_path, monkeypatch):
    monkeypatch.setattr(picture_files, "MAX_PIXELS", 1000)
    Image.fromarray(UPRIGHT).save(tmp_path / "x.png")
    with pytest.raises(ValueError, match="56x40 pixels, expected at most 1000"):
        list(read_images(tmp_path / "x.png"))
