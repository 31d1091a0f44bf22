"""Files as they should not be: every one ends in pictures or in one line that names it."""

import resource
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from datasets.files.image_files import read_images
from tests.support.fuzz import in_a_process, whole_files
from tests.support.xray_files import picture

ROOT = Path(__file__).parent.parent
_FORMATS = "x.png deep.png x.jpg x.bmp x.gif x.webp x.tif lzw.tif rgb16.png rgb16.tif x.mha zip.mha itk.mha "
_FORMATS += "x.dcm rle.dcm jpeg.dcm jpeg2000.dcm bare"
_CUT = [f"{name} cut to {share}" for name in _FORMATS.split() for share in ("10 bytes", "half")]
_NONSENSE = {
    "nothing.png": b"",
    "text.png": b"not an image",
    "zeros.dcm": bytes(500),
    "zeros.mha": bytes(500),
    "zeros.tif": bytes(500),
    "html.jpg": b"<html><body>404</body></html>",
    "png in name only.jpg": b"\x89PNG\r\n\x1a\n",
    "tiff without pages.tif": b"II*\0\x08\0\0\0\0\0\0\0\0\0",
    "tiff that points at itself.tif": b"II*\0\x08\0\0\0\0\0\x08\0\0\0",
    "tiff beyond its end.tif": b"II*\0\xff\xff\xff\x7f",
    "huge.pgm": b"P5\n100000 100000\n255\n",
    "negative.pgm": b"P5\n-5 5\n255\n" + bytes(25),
    "huge.mha": b"NDims = 2\nDimSize = 100000 100000\nElementType = MET_UCHAR\nElementDataFile = LOCAL\n",
    "zero.mha": b"NDims = 2\nDimSize = 0 5\nElementType = MET_UCHAR\nElementDataFile = LOCAL\n",
    "no size.mha": b"NDims = 2\nElementType = MET_UCHAR\nElementDataFile = LOCAL\n",
    "odd type.mha": b"NDims = 2\nDimSize = 4 4\nElementType = MET_OTHER\nElementDataFile = LOCAL\n",
    "four sizes.mha": b"NDims = 4\nDimSize = 2 2 2 2\nElementType = MET_UCHAR\nElementDataFile = LOCAL\n",
    "no data.mhd": b"NDims = 2\nDimSize = 4 4\nElementType = MET_UCHAR\nElementDataFile = gone.raw\n",
    "folder as data.mhd": b"NDims = 2\nDimSize = 4 4\nElementType = MET_UCHAR\nElementDataFile = .\n",
    "list of nothing.mhd": b"NDims = 3\nDimSize = 4 4 2\nElementType = MET_UCHAR\nElementDataFile = LIST\n",
    "no end.mha": b"NDims = 2\n" * 20000,
    "preamble only.dcm": bytes(128) + b"DICM",
    "dicom of text.dcm": bytes(128) + b"DICM" + b"hello " * 50,
    "bmp header.bmp": b"BM" + (40).to_bytes(4, "little") * 4,
}


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    return whole_files(tmp_path_factory.mktemp("whole"))


def test_the_whole_files_are_read(whole, tmp_path):
    for name, content in whole.items():
        (tmp_path / name).write_bytes(content)
        assert len(list(read_images(tmp_path / name))) >= 1, name


@pytest.mark.parametrize("name", [*_CUT, *_NONSENSE])
def test_malformed_files_are_refused_in_one_line(whole, tmp_path, name, capfd):
    if name in _NONSENSE:
        file, content = tmp_path / name, _NONSENSE[name]
    else:
        stem, _, share = name.partition(" cut to ")
        content = whole[stem][:10] if share == "10 bytes" else whole[stem][: len(whole[stem]) // 2]
        file = tmp_path / stem
    file.write_bytes(content)
    with pytest.raises(ValueError, match="cannot be read as an X-ray image") as refused:
        list(read_images(file))
    text = str(refused.value)
    assert text.startswith(f"{file}: ") and "\n" not in text and len(text) < 700
    assert "Traceback" not in capfd.readouterr().err


def test_there_are_sixty_of_them():
    assert len({*_CUT, *_NONSENSE}) >= 60


@pytest.mark.slow
def test_damaged_files_without_end(tmp_path):
    """Twenty seconds; for ten minutes: python -m tests.support.fuzz --seconds 600."""
    found = in_a_process(20.0, 0, tmp_path)
    assert found["faults"] == []
    assert found["counts"]["read"] > 20 and found["counts"]["refused"] > 50


@pytest.mark.slow
def test_film_scans_of_200_megapixels_are_read_at_bounded_memory(tmp_path):
    """In a process of its own, whose peak is looked at: up to six bytes a pixel of grey, nine of colour."""
    tile = np.kron(picture(100, 140), np.ones((140, 100), np.uint8))  # 14000 x 14000
    for name, image, most in (("grey.png", tile, 6.0), ("rgb.jpg", np.dstack([tile] * 3), 9.0)):
        Image.fromarray(image).save(tmp_path / name, **({"compress_level": 1} if name[-3:] == "png" else {}))
        peak = peak_bytes(tmp_path / name) - peak_bytes(None)
        assert peak < most * tile.size, (name, peak / tile.size)


def peak_bytes(file):
    """Of a process that reads ``file``, or nothing."""
    code = (
        "import resource, sys; from datasets.files.image_files import read_images\n"
        "for image in read_images(sys.argv[1]) if len(sys.argv) > 1 else ():\n"
        "    assert image.image.shape == (14000, 14000)\n"
        "print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)"
    )
    command = [sys.executable, "-c", code, *([str(file)] if file else [])]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    return 1024 * int(done.stdout)


@pytest.mark.slow
def test_memory_stays_flat_over_a_thousand_mixed_files(whole, tmp_path):
    """A round through all kinds first, so that every library is loaded; then nothing may add up."""
    names = sorted(whole)

    def read(count):
        for number in range(count):
            name = names[number % len(names)]
            file = tmp_path / name
            content = whole[name]
            file.write_bytes(content if number % 3 else content[: len(content) // 2])
            try:
                list(read_images(file))
            except ValueError:
                assert number % 3 == 0

    read(200)
    before = current_bytes()
    read(1000)
    assert current_bytes() - before < 40 << 20


def current_bytes():
    with open("/proc/self/statm") as stream:
        return int(stream.read().split()[1]) * resource.getpagesize()
