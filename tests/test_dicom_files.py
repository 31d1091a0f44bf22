"""DICOM X-rays: whatever viewers open is read as they show it, or refused in one sentence."""

import logging

import numpy as np
import pydicom
import pytest
from pydicom.data import get_testdata_file
from pydicom.uid import (
    UID,
    DeflatedExplicitVRLittleEndian,
    ExplicitVRBigEndian,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
    JPEGLSLossless,
    RLELossless,
)

from datasets.files.image_files import read_images
from tests.support.xray_files import alike, deep, dicom_dataset, picture, write_dicom, write_dicom_by_itk

SHOWN = picture()
DEEP = deep(SHOWN)
PIXEL_DATA = 0x7FE00010


def read_one(file):
    (source,) = read_images(file)
    return source


def written(file, dataset, syntax):
    """``dataset`` in a transfer syntax that pydicom writes."""
    if syntax in (RLELossless, JPEGLSLossless):
        dataset.compress(syntax, generate_instance_uid=False)
    dataset.file_meta.TransferSyntaxUID = syntax
    if syntax == ExplicitVRBigEndian:
        dataset["PixelData"].VR = "OW"
        dataset.PixelData = np.frombuffer(dataset.PixelData, "<u2").astype(">u2").tobytes()
        dataset._read_little, dataset._read_implicit = None, None
        dataset.save_as(file, implicit_vr=False, little_endian=False, enforce_file_format=True)
    else:
        dataset.save_as(file, enforce_file_format=True)
    return file


@pytest.mark.parametrize(
    "syntax",
    [
        ImplicitVRLittleEndian,
        ExplicitVRLittleEndian,
        ExplicitVRBigEndian,
        DeflatedExplicitVRLittleEndian,
        RLELossless,
        JPEGLSLossless,
    ],
    ids=lambda syntax: syntax.name,
)
def test_transfer_syntaxes_that_pydicom_writes(tmp_path, syntax):
    if syntax == JPEGLSLossless:
        pytest.importorskip("jpeg_ls", reason="pyjpegls, which writes JPEG-LS, is not installed")
    file = written(tmp_path / "x", dicom_dataset(DEEP), syntax)
    assert pydicom.dcmread(file).file_meta.TransferSyntaxUID == syntax
    assert alike(read_one(file).image, SHOWN)


@pytest.mark.parametrize(("compressor", "uid"), [("JPEG", "1.2.840.10008.1.2.4.70"), ("JPEG2000", None)])
@pytest.mark.parametrize("kind", [np.uint8, np.uint16, np.int16])
def test_lossless_jpeg_and_jpeg_2000(tmp_path, compressor, uid, kind):
    pixels = SHOWN if kind is np.uint8 else DEEP.astype(kind) - (2000 if kind is np.int16 else 0)
    file = write_dicom_by_itk(tmp_path / "x", pixels, compressor)
    assert pydicom.dcmread(file).file_meta.TransferSyntaxUID == (uid or "1.2.840.10008.1.2.4.90")
    image = read_one(file).image
    assert alike(image, SHOWN)
    assert np.array_equal(image, read_one(write_dicom_like(tmp_path / "plain", file, pixels)).image)


def write_dicom_like(file, other, pixels):
    """The image of ``other`` uncompressed: its tags, and ``pixels`` as they were before."""
    dataset = pydicom.dcmread(other)
    dataset.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    dataset.PixelData = pixels.tobytes()
    dataset["PixelData"].is_undefined_length = False
    dataset.save_as(file, enforce_file_format=True)
    return file


@pytest.mark.parametrize(
    ("name", "plain"),
    [
        ("MR_small_RLE.dcm", "MR_small.dcm"),
        ("MR_small_bigendian.dcm", "MR_small.dcm"),
        ("MR_small_jp2klossless.dcm", "MR_small.dcm"),
        ("MR_small_jpeg_ls_lossless.dcm", "MR_small.dcm"),
        ("JPGExtended.dcm", "JPEG2000.dcm"),  # 12-bit JPEG (process 4); both are lossy copies of few counts
        ("JPEG-lossy.dcm", "JPEG2000.dcm"),
    ],
)
def test_files_that_others_wrote(name, plain, capfd):
    one, other = (read_one(get_testdata_file(file)).image.astype(float) for file in (name, plain))
    assert one.shape == other.shape
    assert np.corrcoef(one.ravel(), other.ravel())[0, 1] > (0.99 if "MR" in name else 0.94)
    assert capfd.readouterr().err == ""  # the library's own words on what it tried in vain


@pytest.mark.parametrize("name", ["SC_rgb_jpeg_dcmtk.dcm", "SC_rgb_rle.dcm", "SC_rgb_dcmtk_+eb+cy+s2.dcm"])
def test_colours_are_read_however_they_are_stored(name):
    one, other = (read_one(get_testdata_file(file)).image for file in (name, "SC_rgb_rle_16bit.dcm"))
    assert np.corrcoef(one.ravel(), other.ravel())[0, 1] > 0.98


def test_compressed_frames_are_read_one_by_one(tmp_path):
    dataset = dicom_dataset(np.stack([DEEP, DEEP[::-1]]))
    sources = list(read_images(written(tmp_path / "x", dataset, RLELossless)))
    assert [source.slice for source in sources] == [1, 2]
    assert alike(sources[0].image, SHOWN) and alike(sources[1].image, SHOWN[::-1])


@pytest.mark.parametrize("syntax", [UID("1.2.840.10008.1.2.4.100"), UID("1.2.840.10008.1.2.4.102")])
def test_a_compression_without_decoder_is_refused_by_name(tmp_path, syntax):
    dataset = dicom_dataset(DEEP)
    dataset.compress(RLELossless)
    dataset.file_meta.TransferSyntaxUID = syntax
    dataset.save_as(tmp_path / "x", enforce_file_format=True)
    with pytest.raises(ValueError, match=r"x: .*compressed as .*no decoder is at hand\. Save it"):
        read_one(tmp_path / "x")


@pytest.mark.parametrize("compressor", ["JPEG", "JPEG2000"])
def test_compressed_data_that_are_cut_short_are_refused_in_one_line(tmp_path, compressor, capfd):
    file = write_dicom_by_itk(tmp_path / "x", DEEP, compressor)
    data = file.read_bytes()
    file.write_bytes(data[: data.index(b"\xe0\x7f\x10\x00") + 60])
    with pytest.raises(ValueError, match="x: cannot be read") as refused:
        read_one(file)
    assert "\n" not in str(refused.value) and len(str(refused.value)) < 500
    assert "Traceback" not in capfd.readouterr().err


@pytest.mark.parametrize(("implicit", "little"), [(True, True), (False, True), (False, False)])
def test_files_without_preamble(tmp_path, implicit, little):
    dataset = dicom_dataset(DEEP if little else DEEP.byteswap())
    del dataset.file_meta
    dataset.preamble = None
    dataset._read_implicit, dataset._read_little = implicit, little
    with (tmp_path / "x").open("wb") as stream:
        pydicom.filewriter.dcmwrite(
            stream, dataset, implicit_vr=implicit, little_endian=little, enforce_file_format=False
        )
    assert (tmp_path / "x").read_bytes()[:2] in (b"\x08\0", b"\0\x08")
    assert alike(read_one(tmp_path / "x").image, SHOWN)


def with_padding(value, kind=np.int16):
    """The picture between two bars of ``value``, as stored."""
    stored = DEEP.astype(kind)
    stored[:, :9] = stored[:, -9:] = np.array(value).astype(kind)
    return stored


@pytest.mark.parametrize("interpretation", ["MONOCHROME1", "MONOCHROME2"])
@pytest.mark.parametrize(
    ("value", "kind", "tags"),
    [
        (-32768, np.int16, {"PixelPaddingValue": -32768}),
        (-2000, np.int16, {"PixelPaddingValue": -2000}),
        (65535, np.uint16, {"PixelPaddingValue": 65535}),
        (30000, np.uint16, {"PixelPaddingValue": 20000, "PixelPaddingRangeLimit": 40000}),
        (30000, np.uint16, {"PixelPaddingValue": 40000, "PixelPaddingRangeLimit": 20000}),
    ],
)
def test_padding_is_black_and_has_no_say_in_the_contrast(tmp_path, interpretation, value, kind, tags):
    stored = with_padding(value, kind)
    file = write_dicom(tmp_path / "x", stored, bits=16, interpretation=interpretation, **tags)
    image = read_one(file).image
    assert (image[:, :9] == 0).all() and (image[:, -9:] == 0).all()
    inner = image[:, 9:-9] if interpretation == "MONOCHROME2" else 255 - image[:, 9:-9]
    assert alike(inner, SHOWN[:, 9:-9]) and np.ptp(inner) == 255


def test_padding_is_black_under_a_window_too(tmp_path):
    tags = {"PixelPaddingValue": 4000, "WindowCenter": 2000, "WindowWidth": 4000}
    image = read_one(write_dicom(tmp_path / "x", with_padding(4000, np.uint16), bits=16, **tags)).image
    assert (image[:, :9] == 0).all() and alike(image[:, 9:-9], SHOWN[:, 9:-9])


def test_the_same_bits_are_the_same_padding_whatever_their_sign(tmp_path):
    dataset = dicom_dataset(with_padding(-32768), bits=16)
    dataset.add_new("PixelPaddingValue", "US", 32768)
    dataset.save_as(tmp_path / "x", enforce_file_format=True)
    assert (read_one(tmp_path / "x").image[:, :9] == 0).all()


@pytest.mark.parametrize(
    "tags",
    [
        {"WindowCenter": 60000, "WindowWidth": 100},
        {"WindowCenter": -500, "WindowWidth": 10},
        {"WindowCenter": -5000, "WindowWidth": 10, "VOILUTFunction": "SIGMOID"},
    ],
)
def test_a_window_that_misses_the_values_is_said_and_left_aside(tmp_path, caplog, tags):
    with caplog.at_level(logging.WARNING):
        image = read_one(write_dicom(tmp_path / "x.dcm", DEEP, **tags)).image
    assert alike(image, SHOWN)
    assert "x.dcm: its window" in caplog.text and "percentiles" in caplog.text


def test_a_window_that_meets_the_values_is_not_warned_of(tmp_path, caplog):
    read_one(write_dicom(tmp_path / "x.dcm", DEEP, WindowCenter=2000, WindowWidth=4000))
    assert not caplog.text


@pytest.mark.parametrize(
    ("tags", "millimetres", "source"),
    [
        ({"PixelSpacing": [0.3, 0.2], "ImagerPixelSpacing": [0.5, 0.4]}, [0.2, 0.3], "PixelSpacing"),
        ({"ImagerPixelSpacing": [0.5, 0.4]}, [0.4, 0.5], "ImagerPixelSpacing"),
        (
            {"ImagerPixelSpacing": [0.55, 0.44], "EstimatedRadiographicMagnificationFactor": 1.1},
            [0.4, 0.5],
            "ImagerPixelSpacing / magnification 1.10",
        ),
        (
            {"PixelSpacing": [0.3, 0.2], "EstimatedRadiographicMagnificationFactor": 1.1},
            [0.2, 0.3],
            "PixelSpacing",
        ),
        ({"NominalScannedPixelSpacing": [0.3, 0.2]}, [0.2, 0.3], "NominalScannedPixelSpacing"),
        (
            {"NominalScannedPixelSpacing": [0.3, 0.2], "ImagerPixelSpacing": [0.5, 0.4]},
            [0.4, 0.5],
            "ImagerPixelSpacing",
        ),
        (
            {
                "PixelSpacing": [0.55, 0.44],  # only says again what the detector has
                "ImagerPixelSpacing": [0.55, 0.44],
                "EstimatedRadiographicMagnificationFactor": 1.1,
            },
            [0.4, 0.5],
            "ImagerPixelSpacing / magnification 1.10",
        ),
        (
            {
                "PixelSpacing": [0.5, 0.4],
                "ImagerPixelSpacing": [0.5, 0.4],
                "PixelSpacingCalibrationType": "FIDUCIAL",
            },
            [0.4, 0.5],
            "PixelSpacing",
        ),
        ({"PixelSpacing": [1, 1]}, [np.nan, np.nan], "none"),  # what writers put that know none
        ({"PixelSpacing": [1, 1], "ImagerPixelSpacing": [0.5, 0.4]}, [0.4, 0.5], "ImagerPixelSpacing"),
        ({"ImagerPixelSpacing": [1, 1]}, [np.nan, np.nan], "none"),
        (
            {"ImagerPixelSpacing": [1, 1], "EstimatedRadiographicMagnificationFactor": 1.1},
            [np.nan, np.nan],
            "none",
        ),
        (
            {"ImagerPixelSpacing": [1, 1], "NominalScannedPixelSpacing": [0.3, 0.2]},
            [0.2, 0.3],
            "NominalScannedPixelSpacing",
        ),
        ({"PixelAspectRatio": [1, 1]}, [np.nan, np.nan], "none"),
        ({"PixelAspectRatio": [3, 2], "ImagerPixelSpacing": [0.3, 0.2]}, [0.2, 0.3], "ImagerPixelSpacing"),
        ({}, [np.nan, np.nan], "none"),
    ],
)
def test_where_the_spacing_comes_from(tmp_path, tags, millimetres, source):
    found = read_one(write_dicom(tmp_path / "x", DEEP, **tags))
    np.testing.assert_allclose(found.spacing, millimetres)
    assert found.spacing_source == source


def test_oblong_pixels_of_unknown_size_are_refused(tmp_path):
    file = write_dicom(tmp_path / "x", DEEP, PixelAspectRatio=[4, 3])
    with pytest.raises(
        ValueError, match=r"PixelAspectRatio \[4.0, 3.0\].* oblong.*--spacing with two numbers"
    ):
        read_one(file)
    (source,) = read_images(file, [0.3, 0.4])
    assert source.spacing.tolist() == [0.3, 0.4]


def with_text(file, keyword, text):
    """A file whose ``keyword`` holds ``text``, which pydicom itself would not write."""
    places = len(text) + len(text) % 2
    dataset = dicom_dataset(DEEP)
    dataset.add_new(keyword, "DS" if keyword != "NumberOfFrames" else "IS", "1" * places)
    dataset.save_as(file, enforce_file_format=True)
    data = file.read_bytes()
    mark = b"1" * places
    assert data.count(mark) == 1
    file.write_bytes(data.replace(mark, text.encode().ljust(places)))
    return file


@pytest.mark.parametrize(
    ("keyword", "text"),
    [
        ("PixelSpacing", "0,76333\\0,76333"),
        ("PixelSpacing", "0.00\\0.000"),
        ("PixelSpacing", "0.7631234567"),
        ("ImagerPixelSpacing", "nan\\nan     "),
        ("NominalScannedPixelSpacing", "-0.76\\-0.76"),
        ("WindowCenter", "about 2000"),
        ("NumberOfFrames", "1A 34567890"),
    ],
)
def test_malformed_numbers_are_named_with_tag_and_value(tmp_path, keyword, text):
    file = with_text(tmp_path / "x.dcm", keyword, text)
    if keyword == "WindowCenter":
        dataset = pydicom.dcmread(file)
        dataset.WindowWidth = 100
        dataset.save_as(file)
    with pytest.raises(ValueError, match=rf"x\.dcm: .*{keyword}") as refused:
        read_one(file)
    assert "Correct or remove" in str(refused.value)
    for number in text.replace("\\", " ").split():
        assert number.rstrip("0").lstrip("-") in str(refused.value)


def test_a_given_spacing_takes_the_place_of_a_malformed_one(tmp_path):
    file = with_text(tmp_path / "x.dcm", "PixelSpacing", "0,76333\\0,76333")
    (source,) = read_images(file, [0.5, 0.25])
    assert source.spacing.tolist() == [0.5, 0.25] and source.spacing_source == "--spacing"


def test_a_report_and_a_directory_are_refused_as_what_they_are(tmp_path):
    report = dicom_dataset(DEEP)
    for keyword in ("Rows", "Columns", "PixelData"):
        delattr(report, keyword)
    report.save_as(tmp_path / "report", enforce_file_format=True)
    with pytest.raises(ValueError, match="DICOM without pixels, expected an image"):
        read_one(tmp_path / "report")
    report.SOPClassUID = report.file_meta.MediaStorageSOPClassUID = UID("1.2.840.10008.1.3.10")
    report.save_as(tmp_path / "DICOMDIR", enforce_file_format=True)
    with pytest.raises(ValueError, match="DICOMDIR, expected an image"):
        read_one(tmp_path / "DICOMDIR")
