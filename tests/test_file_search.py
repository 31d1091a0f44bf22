"""Folders as they come from a clinic: images are found by content, the rest is counted."""

import os
from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk
from PIL import Image

from datasets.files.image_files import read_images
from datasets.files.search import find_images, summary
from tests.support.xray_files import alike, deep, dicom_dataset, picture, write_dicom

SHOWN = picture()


def without_pixels(file, sop_class="1.2.840.10008.5.1.4.1.1.88.11"):
    dataset = dicom_dataset(deep(SHOWN))
    for keyword in ("Rows", "Columns", "PixelData"):
        delattr(dataset, keyword)
    dataset.SOPClassUID = dataset.file_meta.MediaStorageSOPClassUID = sop_class
    dataset.save_as(file, enforce_file_format=True)


@pytest.fixture
def clinic(tmp_path):
    """A folder with eight images, of which three have a telling name, and much else."""
    folder = tmp_path / "clinic"
    for name in ("CD", ".cache", "volume"):
        (folder / name).mkdir(parents=True)
    for name in ("1.2.826.0.1.3680043.8.498.1", "CD/I0000001", "CD/x.dcm"):
        write_dicom(folder / name, deep(SHOWN))
    bare = dicom_dataset(deep(SHOWN))
    bare.preamble = None
    del bare.file_meta
    bare.save_as(folder / "CD/bare", implicit_vr=True, little_endian=True, enforce_file_format=False)
    without_pixels(folder / "CD/DICOMDIR", "1.2.840.10008.1.3.10")
    without_pixels(folder / "CD/report.dcm")
    (folder / "CD/AUTORUN.INF").write_text("[autorun]")
    (folder / "CD/viewer.exe").write_bytes(b"MZ")
    Image.fromarray(SHOWN).save(folder / "a.png")
    Image.fromarray(SHOWN).save(folder / "scan", format="TIFF")
    Image.fromarray(SHOWN).save(folder / "photo.txt", format="JPEG")
    (folder / "._a.png").write_bytes(b"\0\x05\x16\x07" + bytes(200))
    (folder / ".DS_Store").write_bytes(b"\0\0\0\1Bud1")
    Image.fromarray(SHOWN).save(folder / ".cache" / "thumbnail.png")
    stack = sitk.GetImageFromArray(np.stack([deep(SHOWN)] * 2))
    sitk.WriteImage(stack, str(folder / "volume/x.mhd"))  # and x.raw, which belongs to it
    for name in ("v.nii", "v.nii.gz", "v.nrrd"):
        sitk.WriteImage(stack, str(folder / "volume" / name))
    (folder / "BMI notes.csv").write_text("BM,1")
    return folder


IMAGES = ["1.2.826.0.1.3680043.8.498.1", "CD/I0000001", "CD/bare", "CD/x.dcm"]
IMAGES += ["a.png", "photo.txt", "scan", "volume/x.mhd"]


def test_images_are_found_by_what_they_hold(clinic):
    search = find_images([clinic])
    assert [file.relative_to(clinic).as_posix() for file in search.files] == IMAGES
    for file in search.files:
        assert all(alike(source.image, SHOWN) for source in read_images(file)), file


def test_what_is_left_out_is_counted_by_kind(clinic):
    search = find_images([clinic])
    assert dict(search.left_out) == {
        "hidden": 3,
        "DICOM without pixels": 1,
        "DICOMDIR": 1,
        ".inf": 1,
        ".exe": 1,
        ".nii": 1,
        ".nii.gz": 1,
        ".nrrd": 1,
        ".csv": 1,
    }
    text = summary(search.left_out)
    assert text.startswith("11 files left out: 3 hidden, 1 .csv, ") and "1 DICOMDIR" in text


def test_every_file_is_found_or_counted(clinic):
    search = find_images([clinic])
    companions = 1  # x.raw
    total = sum(path.is_file() for path in clinic.rglob("*"))
    assert len(search.files) + search.left_out.total() + companions == total


def test_a_file_that_says_it_is_an_image_is_for_the_reader_to_refuse(tmp_path):
    for name in ("broken.png", "empty.dcm", "x.MHA"):
        (tmp_path / name).write_bytes(b"nothing" if name != "empty.dcm" else b"")
    assert [file.name for file in find_images([tmp_path]).files] == ["broken.png", "empty.dcm", "x.MHA"]


def test_links_to_folders_are_counted_and_a_lost_image_is_refused(tmp_path):
    folder = tmp_path / "clinic"
    folder.mkdir()
    (tmp_path / "away").mkdir()
    for file in (folder / "one.png", tmp_path / "away/two.png"):
        Image.fromarray(SHOWN).save(file)
    for name, to in (("patient", tmp_path / "away"), ("circle", folder), ("lost.png", tmp_path / "gone.png")):
        (folder / name).symlink_to(to)
    (folder / "lost.txt").symlink_to(tmp_path / "gone.txt")
    search = find_images([folder])
    assert [file.name for file in search.files] == ["lost.png", "one.png"]
    assert summary(search.left_out) == "2 files left out: 2 linked folder"
    with pytest.raises((ValueError, OSError), match=r"lost\.png"):
        list(read_images(folder / "lost.png"))


def test_given_files_are_taken_even_if_hidden(tmp_path):
    Image.fromarray(SHOWN).save(tmp_path / ".x.png")
    assert find_images([tmp_path / ".x.png"]).files == [tmp_path / ".x.png"]


def test_a_hidden_folder_that_is_given_is_searched(tmp_path):
    (tmp_path / ".hidden").mkdir()
    Image.fromarray(SHOWN).save(tmp_path / ".hidden" / "x.png")
    assert len(find_images([tmp_path / ".hidden"]).files) == 1


def test_a_name_that_is_no_utf8(tmp_path):
    name = os.fsencode(tmp_path) + b"/\xc8\xaf\xc0\xda.png"
    Image.fromarray(SHOWN).save(tmp_path / "x.png")
    os.rename(tmp_path / "x.png", name)
    (file,) = find_images([tmp_path]).files
    assert os.fsencode(file) == name and alike(next(read_images(file)).image, SHOWN)


@pytest.mark.parametrize(
    "content", [b"BM is how this note begins", b"P5, a page", b"\x08\0 nothing", b"a = b\n", b"", b"\0" * 500]
)
def test_other_content_is_not_taken_for_an_image(tmp_path, content):
    Image.fromarray(SHOWN).save(tmp_path / "x.png")
    (tmp_path / "notes").write_bytes(content)
    search = find_images([tmp_path])
    assert [file.name for file in search.files] == ["x.png"]
    assert search.left_out == {"without suffix": 1}


@pytest.mark.real_data
def test_awkward_folders_that_others_made():
    if "CEPHDETR_REAL_DATA" not in os.environ:
        pytest.skip("CEPHDETR_REAL_DATA is not set: the folder that holds awkward/")
    folder = Path(os.environ["CEPHDETR_REAL_DATA"]) / "awkward"
    counts = {"cd": (2, 0), "cd_dir": (1, 4), "volume": (1, 3), "mac": (1, 2)}
    for name, (images, others) in counts.items():
        search = find_images([folder / name])
        assert (len(search.files), search.left_out.total()) == (images, others), name
    base = next(read_images(folder / "base.png")).image
    places = ["cd", "cd_dir", "exif", "mpo", "tiff", "meta", "volume", "mac"]
    for file in find_images([folder / place for place in places]).files:
        assert [alike(source.image, base) for source in read_images(file)] == [True], file
