"""MetaImage as wide as ITK itself reads it, slice by slice where that can be."""

import os

import numpy as np
import pytest
import SimpleITK as sitk

from datasets.files.image_files import read_images
from datasets.files.mha_files import data_files, open_stack
from tests.support.xray_files import alike, deep, picture

SHOWN = picture()
SLICES = np.stack([np.roll(deep(SHOWN), 5 * shift, 1) for shift in range(3)])


def read_one(file):
    (source,) = read_images(file)
    return source


def header(pixels, *, data="LOCAL", **fields):
    """The text of a MetaImage header, by hand: ITK writes few of the fields that it reads."""
    kinds = {"uint16": "MET_USHORT", "uint8": "MET_UCHAR", "float32": "MET_FLOAT"}
    usual = {
        "ObjectType": "Image",
        "NDims": pixels.ndim,
        "DimSize": " ".join(map(str, pixels.shape[::-1])),
        "ElementType": kinds[pixels.dtype.name],
    } | fields
    lines = [f"{key} = {value}" for key, value in usual.items() if value is not None]
    return "\n".join([*lines, f"ElementDataFile = {data}", ""]).encode()


@pytest.mark.parametrize("spelling", ["True", "true", "TRUE", "T", "1"])
@pytest.mark.parametrize("suffix", [".mha", ".mhd"])
def test_compressed_in_any_spelling_and_detached(tmp_path, spelling, suffix):
    file = tmp_path / f"x{suffix}"
    sitk.WriteImage(sitk.GetImageFromArray(SLICES), str(file), useCompression=True)
    data = file.read_bytes()
    assert data.count(b"CompressedData = True") == 1
    file.write_bytes(data.replace(b"CompressedData = True", f"CompressedData = {spelling}".encode()))
    sources = list(read_images(file))
    assert [source.slice for source in sources] == [1, 2, 3]
    assert all(alike(source.image, np.roll(SHOWN, 5 * shift, 1)) for shift, source in enumerate(sources))


@pytest.mark.parametrize("compressed", [False, True])
@pytest.mark.parametrize("kind", ["u1", "i1", "u2", "i2", "u4", "i4", "u8", "i8", "f4", "f8"])
def test_every_number_type_that_itk_writes(tmp_path, kind, compressed):
    pixels = (SHOWN // 2 if kind in ("u1", "i1") else deep(SHOWN)).astype(kind)
    sitk.WriteImage(sitk.GetImageFromArray(pixels), str(tmp_path / "x.mha"), useCompression=compressed)
    image = read_one(tmp_path / "x.mha").image
    assert np.corrcoef(image.ravel(), SHOWN.ravel())[0, 1] > 0.99


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("field", ["BinaryDataByteOrderMSB", "ElementByteOrderMSB"])
def test_either_byte_order(tmp_path, order, field):
    text = header(SLICES, **{field: order == ">"})
    (tmp_path / "x.mha").write_bytes(text + SLICES.astype(f"{order}u2").tobytes())
    assert [source.slice for source in read_images(tmp_path / "x.mha")] == [1, 2, 3]
    assert alike(next(read_images(tmp_path / "x.mha")).image, SHOWN)


def test_a_list_of_files_is_read_slice_by_slice(tmp_path):
    names = [f"slice {number}.raw" for number in range(3)]
    for name, pixels in zip(names, SLICES, strict=True):
        (tmp_path / name).write_bytes(pixels.tobytes())
    (tmp_path / "x.mhd").write_bytes(header(SLICES, data="LIST") + "\n".join(names).encode() + b"\n")
    assert data_files(tmp_path / "x.mhd") == [tmp_path / name for name in names]
    sources = list(read_images(tmp_path / "x.mhd"))
    assert [source.slice for source in sources] == [1, 2, 3]
    assert alike(sources[2].image, np.roll(SHOWN, 10, 1))


def test_a_pattern_of_files(tmp_path):
    for number, pixels in enumerate(SLICES, start=1):
        (tmp_path / f"s{number:02d}.raw").write_bytes(pixels.tobytes())
    (tmp_path / "x.mhd").write_bytes(header(SLICES, data="s%02d.raw 1 3 1"))
    assert alike(list(read_images(tmp_path / "x.mhd"))[1].image, np.roll(SHOWN, 5, 1))


@pytest.mark.parametrize("size", [100, -1])
def test_a_header_of_the_data_file_is_skipped(tmp_path, size):
    (tmp_path / "x.raw").write_bytes(b"\xff" * 100 + SLICES.tobytes())
    (tmp_path / "x.mhd").write_bytes(header(SLICES, data="x.raw", HeaderSize=size))
    assert alike(next(read_images(tmp_path / "x.mhd")).image, SHOWN)


def test_values_as_text(tmp_path):
    text = " ".join(map(str, deep(SHOWN).ravel()))
    (tmp_path / "x.mha").write_bytes(header(deep(SHOWN), BinaryData=False) + text.encode() + b"\n")
    assert alike(read_one(tmp_path / "x.mha").image, SHOWN)


@pytest.mark.parametrize(
    ("fields", "millimetres", "source"),
    [
        ({"ElementSpacing": "0.2 0.3"}, [0.2, 0.3], "ElementSpacing"),
        ({"ElementSize": "0.2 0.3"}, [0.2, 0.3], "ElementSize"),
        ({"ElementSize": "0.9 0.9", "ElementSpacing": "0.2 0.3"}, [0.2, 0.3], "ElementSpacing"),
        ({"ElementSpacing": "1 1"}, [np.nan, np.nan], "none"),
        ({}, [np.nan, np.nan], "none"),
    ],
)
@pytest.mark.parametrize("by_simpleitk", [False, True])
def test_where_the_spacing_comes_from(tmp_path, fields, millimetres, source, by_simpleitk):
    pixels = deep(SHOWN)
    more = {"HeaderSize": -1} if by_simpleitk else {}
    (tmp_path / "x.mha").write_bytes(header(pixels, **fields, **more) + pixels.tobytes())
    found = read_one(tmp_path / "x.mha")
    np.testing.assert_allclose(found.spacing, millimetres)
    assert found.spacing_source == source


@pytest.mark.parametrize("text", ["0 0", "0.2", "a b", "nan nan", "-1 1", ""])
def test_a_spacing_that_cannot_be_is_named(tmp_path, text):
    pixels = deep(SHOWN)
    (tmp_path / "x.mha").write_bytes(header(pixels, ElementSize=text) + pixels.tobytes())
    with pytest.raises(ValueError, match=rf"x\.mha: .*ElementSize {text!r}"):
        read_one(tmp_path / "x.mha")


def test_names_that_are_no_utf8(tmp_path):
    pixels = deep(SHOWN)
    for name, more in ((b"\xc8\xaf.mha", {}), (b"\xc0\xda.mha", {"HeaderSize": -1})):
        file = os.fsencode(tmp_path) + b"/" + name
        with open(file, "wb") as stream:
            stream.write(header(pixels, **more) + pixels.tobytes())
        assert alike(read_one(os.fsdecode(file)).image, SHOWN)


@pytest.mark.parametrize("cut", [30, 200, 2000])
def test_what_simpleitk_cannot_read_is_refused_in_one_line(tmp_path, cut, capfd):
    whole = header(SLICES, data="LIST") + b"a.raw\nb.raw\nc.raw\n"
    (tmp_path / "x.mhd").write_bytes(whole[:cut])
    with pytest.raises(ValueError, match=r"x\.mhd: cannot be read") as refused:
        list(read_images(tmp_path / "x.mhd"))
    assert "\n" not in str(refused.value)
    assert capfd.readouterr().err == ""


def test_slices_of_a_large_raw_stack_are_read_one_by_one(tmp_path):
    (tmp_path / "x.mha").write_bytes(header(SLICES) + SLICES.tobytes())
    slices = open_stack(tmp_path / "x.mha").slices()
    assert np.array_equal(next(slices), SLICES[0])
    os.truncate(tmp_path / "x.mha", len(header(SLICES)) + SLICES[:2].nbytes)
    assert np.array_equal(next(slices), SLICES[1])  # the file has been opened, not read
    with pytest.raises(ValueError, match="slice 3"):
        next(slices)
