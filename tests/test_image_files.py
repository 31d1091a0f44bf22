"""Every kind of X-ray file gives the same picture, the right way round, with its spacing."""

from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk
from PIL import Image

from datasets.files.image_files import read_grey, read_images
from datasets.files.search import find_images
from tests.support.xray_files import write_dicom

GREY = np.random.default_rng(0).integers(0, 256, (24, 32), np.uint8)
RAMP = np.linspace(1000, 3000, 24 * 32).reshape(24, 32).astype(np.uint16)


def read_one(file: Path):
    (source,) = read_images(file)
    assert source.file == file and source.slice is None
    assert source.image.dtype == np.uint8 and source.image.ndim == 2 and source.spacing.shape == (2,)
    return source


@pytest.mark.parametrize("suffix", [".png", ".bmp", ".tif", ".TIFF"])
@pytest.mark.parametrize("mode", ["L", "RGB"])
def test_lossless_pictures_keep_their_grey_values(tmp_path, suffix, mode):
    Image.fromarray(GREY).convert(mode).save(tmp_path / f"x{suffix}")
    source = read_one(tmp_path / f"x{suffix}")
    assert np.array_equal(source.image, GREY) and np.isnan(source.spacing).all()


def test_jpeg(tmp_path):
    smooth = np.tile(np.arange(0, 256, 8, dtype=np.uint8), (24, 1))
    Image.fromarray(smooth).convert("RGB").save(tmp_path / "x.jpg", quality=95)
    assert np.abs(read_one(tmp_path / "x.jpg").image.astype(int) - smooth).max() <= 4


@pytest.mark.parametrize("suffix", [".png", ".tif"])
def test_sixteen_bits_are_stretched_between_percentiles(tmp_path, suffix):
    pixels = RAMP.copy()
    pixels[0, 0] = 65535  # a burnt-in marker must not flatten the rest
    Image.fromarray(pixels).save(tmp_path / f"x{suffix}")
    image = read_one(tmp_path / f"x{suffix}").image
    assert image[0, 0] == 255 and image.min() == 0
    assert np.median(image) == pytest.approx(127.5, abs=2)
    assert (np.diff(image.ravel()[1:].astype(int)) >= 0).all()  # order of grey values is kept


def test_pages_of_a_tiff_are_numbered(tmp_path):
    pages = [Image.fromarray(np.roll(GREY, shift)) for shift in range(3)]
    pages[0].save(tmp_path / "x.tif", save_all=True, append_images=pages[1:])
    sources = list(read_images(tmp_path / "x.tif"))
    assert [source.slice for source in sources] == [1, 2, 3]
    assert all(np.array_equal(source.image, np.roll(GREY, shift)) for shift, source in enumerate(sources))


@pytest.mark.parametrize("compress", [False, True])
@pytest.mark.parametrize("colour", [False, True])
def test_stacks_are_numbered_and_keep_known_spacing(tmp_path, compress, colour):
    pixels = np.stack([np.roll(GREY, shift) for shift in range(3)])
    image = sitk.GetImageFromArray(np.repeat(pixels[..., None], 3, -1) if colour else pixels, isVector=colour)
    image.SetSpacing((0.2, 0.3, 1.0))
    sitk.WriteImage(image, str(tmp_path / "x.mha"), useCompression=compress)
    sources = list(read_images(tmp_path / "x.mha"))
    assert [source.slice for source in sources] == [1, 2, 3]
    assert all(
        np.array_equal(source.image, expected) for source, expected in zip(sources, pixels, strict=True)
    )
    assert all(np.allclose(source.spacing, [0.2, 0.3]) for source in sources)


def test_a_stack_of_one_image_that_knows_no_spacing(tmp_path):
    sitk.WriteImage(sitk.GetImageFromArray(GREY), str(tmp_path / "x.mha"))
    source = read_one(tmp_path / "x.mha")
    assert np.array_equal(source.image, GREY) and np.isnan(source.spacing).all()


def test_dicom_lists_the_spacing_of_rows_first(tmp_path):
    both = {"PixelSpacing": [0.3, 0.2], "ImagerPixelSpacing": [0.5, 0.4]}
    assert read_one(write_dicom(tmp_path / "x.dcm", RAMP, **both)).spacing.tolist() == [0.2, 0.3]
    assert read_one(
        write_dicom(tmp_path / "y.dcm", RAMP, ImagerPixelSpacing=[0.5, 0.4])
    ).spacing.tolist() == [0.4, 0.5]
    assert np.isnan(read_one(write_dicom(tmp_path / "z.dcm", RAMP)).spacing).all()


def test_monochrome1_is_turned_over(tmp_path):
    usual = read_one(write_dicom(tmp_path / "2.dcm", RAMP)).image
    turned = read_one(write_dicom(tmp_path / "1.dcm", RAMP, interpretation="MONOCHROME1")).image
    assert np.array_equal(turned, 255 - usual) and usual[0, 0] == 0 and usual[-1, -1] == 255


def test_a_dicom_window_is_followed(tmp_path):
    file = write_dicom(tmp_path / "x.dcm", RAMP, WindowCenter=[2000, 9], WindowWidth=[1000, 9])
    image = read_one(file).image
    assert (image[RAMP < 1500] == 0).all() and (image[RAMP > 2500] == 255).all()
    middle = np.abs(RAMP.astype(int) - 2000) < 400
    assert np.abs(image[middle] - (RAMP[middle] - 1500.0) * 255 / 1000).max() < 1


def test_the_window_is_in_rescaled_values(tmp_path):
    rescaled = {
        "RescaleSlope": 2,
        "RescaleIntercept": -100,
        "WindowCenter": 2 * 2000 - 100,
        "WindowWidth": 2000,
    }
    plain = read_one(write_dicom(tmp_path / "x.dcm", RAMP, WindowCenter=2000, WindowWidth=1000)).image
    image = read_one(write_dicom(tmp_path / "y.dcm", RAMP, **rescaled)).image
    assert np.abs(image.astype(int) - plain).max() <= 1


def test_eight_bit_and_colour_dicom_keep_their_values(tmp_path):
    colour = np.repeat(GREY[..., None], 3, -1)
    assert np.array_equal(read_one(write_dicom(tmp_path / "x.dcm", GREY, bits=8)).image, GREY)
    file = write_dicom(tmp_path / "y.dcm", colour, bits=8, interpretation="RGB")
    assert np.array_equal(read_one(file).image, GREY)


def test_frames_of_a_dicom_are_numbered_and_it_needs_no_suffix(tmp_path):
    file = write_dicom(tmp_path / "IM000001", np.stack([RAMP, RAMP.T.reshape(24, 32)]))
    assert [source.slice for source in read_images(file)] == [1, 2]
    assert find_images([tmp_path]).files == [file]


@pytest.mark.parametrize("spacing", [[0, 0], [0.1, -0.1]])
def test_a_dicom_spacing_that_cannot_be_is_named(tmp_path, spacing):
    with pytest.raises(ValueError, match=r"x.dcm.*PixelSpacing.*above 0"):
        list(read_images(write_dicom(tmp_path / "x.dcm", RAMP, PixelSpacing=spacing)))


@pytest.mark.parametrize("suffix", [".png", ".jpg", ".bmp", ".tif", ".dcm", ".mha"])
@pytest.mark.parametrize("content", ["empty", "garbage", "truncated"])
def test_files_that_cannot_be_read_are_named(tmp_path, suffix, content):
    file = tmp_path / f"bad{suffix}"
    if suffix == ".dcm":
        write_dicom(file, RAMP)
    elif suffix == ".mha":
        sitk.WriteImage(sitk.GetImageFromArray(GREY), str(file))
    else:
        Image.fromarray(GREY).save(file)
    whole = file.read_bytes()
    file.write_bytes(
        {"empty": b"", "garbage": b"no image " * 40, "truncated": whole[: len(whole) * 2 // 3]}[content]
    )
    with pytest.raises(ValueError, match=rf"bad\{suffix}: cannot be read"):
        list(read_images(file))


def test_files_that_are_not_there_or_no_images_are_named(tmp_path):
    (tmp_path / "notes.txt").write_text("hello")
    for name in ("gone.png", "notes.txt"):
        with pytest.raises(ValueError, match=name):
            list(read_images(tmp_path / name))


def test_folders_are_searched_and_sorted_and_files_taken_as_given(tmp_path):
    names = ["b.png", "a.JPG", "sub/c.bmp", "notes.txt"]
    (tmp_path / "sub").mkdir()
    for name in names:
        (tmp_path / name).write_bytes(b"x")
    assert find_images([tmp_path]).files == [tmp_path / name for name in ("a.JPG", "b.png", "sub/c.bmp")]
    assert find_images([tmp_path / "b.png", "gone.png"]).files == [tmp_path / "b.png", Path("gone.png")]


def test_a_folder_without_images_is_refused(tmp_path):
    (tmp_path / "notes.txt").write_text("hello")
    with pytest.raises(ValueError, match=r"no image in this folder \(1 file left out: 1 .txt\)"):
        find_images([tmp_path])


def test_one_picture_is_wanted_where_one_is_expected(tmp_path):
    pages = [Image.fromarray(GREY)] * 2
    pages[0].save(tmp_path / "x.tif", save_all=True, append_images=pages[1:])
    with pytest.raises(ValueError, match="2 images, expected one"):
        read_grey(tmp_path / "x.tif")


def test_a_folder_in_place_of_a_file_is_called_one(tmp_path):
    with pytest.raises(ValueError, match="a folder. Give a file in it"):
        list(read_images(tmp_path))
