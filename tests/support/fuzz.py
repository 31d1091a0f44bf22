"""Damaged X-ray files without end: each ends in pictures or in a refusal of one line.

    python -m tests.support.fuzz --seconds 600 --seed 1

reads mutations of every format in turn, in a process of its own, and says how many it read, refused, and what
went wrong: another exception, more than one line, a crash, more memory than some 3 GiB, or 30 seconds for a
small file.
"""

import argparse
import contextlib
import io
import json
import multiprocessing
import os
import resource
import signal
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pydicom
import SimpleITK as sitk
from PIL import Image
from pydicom.data import get_testdata_file
from pydicom.uid import RLELossless

from datasets.files.image_files import read_images
from datasets.files.search import find_images
from tests.support.tiff_writer import write_tiff
from tests.support.xray_files import deep, dicom_dataset, picture, write_dicom_by_itk

_MEMORY = 9 << 30  # of addresses: libraries map some 6 GiB before anything is read
_SECONDS_A_FILE = 30
_HEADER = 400  # bytes in which most mutations happen
_EXTREME = (b"\0" * 4, b"\xff" * 4, b"\x7f\xff\xff\xff", b"\xff\xff\xff\x7f", b"-1", b"1e9", b"nan")


def whole_files(folder: Path) -> dict[str, bytes]:
    """One small whole file of every format and compression, by name."""
    shown = picture()
    kinds: dict[str, bytes] = {}
    for name, image, options in (
        ("x.png", shown, {}),
        ("deep.png", deep(shown), {}),
        ("x.jpg", shown, {}),
        ("x.bmp", shown, {}),
        ("x.gif", shown, {}),
        ("x.webp", shown, {"lossless": True}),
        ("x.jp2", shown, {}),
        ("x.pgm", shown, {}),
        ("x.tif", shown, {}),
        ("lzw.tif", deep(shown), {"compression": "tiff_lzw"}),
        ("pages.tif", shown, {"save_all": True, "append_images": [Image.fromarray(shown)] * 2}),
    ):
        stream = io.BytesIO()
        form = {".jpg": "JPEG", ".tif": "TIFF", ".jp2": "JPEG2000", ".pgm": "PPM"}
        suffix = Path(name).suffix
        Image.fromarray(image).save(stream, format=form.get(suffix, suffix[1:].upper()), **options)
        kinds[name] = stream.getvalue()
    write_tiff(folder / "planes.tif", np.dstack([deep(shown)] * 3), meaning=2, by_planes=True, deflated=True)
    write_tiff(folder / "fractions.tif", deep(shown) / np.float32(4096), ">", rows_a_strip=9)
    kinds |= {name: (folder / name).read_bytes() for name in ("planes.tif", "fractions.tif")}
    for name in ("rgb16.png", "rgb16.tif", "rgb16.jp2", "rgb16.ppm"):
        kinds[name] = cv2.imencode(Path(name).suffix, np.dstack([deep(shown)] * 3))[1].tobytes()
    stacks = {"x.mha": False, "zip.mha": True}
    for name, compress in stacks.items():
        sitk.WriteImage(
            sitk.GetImageFromArray(np.stack([deep(shown)] * 2)), str(folder / name), useCompression=compress
        )
        kinds[name] = (folder / name).read_bytes()
    kinds["itk.mha"] = kinds["x.mha"].replace(b"BinaryData = True", b"HeaderSize = -1")
    tags = {"WindowCenter": 2000, "WindowWidth": 3000, "PixelSpacing": [0.1, 0.1], "PixelPaddingValue": 0}
    for name, dataset in (
        ("x.dcm", dicom_dataset(deep(shown), **tags)),
        ("frames.dcm", dicom_dataset(np.stack([deep(shown)] * 2), **tags)),
        ("rle.dcm", dicom_dataset(deep(shown), **tags)),
    ):
        if name == "rle.dcm":
            dataset.compress(RLELossless)
        dataset.save_as(folder / name, enforce_file_format=True)
        kinds[name] = (folder / name).read_bytes()
    for compressor in ("JPEG", "JPEG2000"):
        name = f"{compressor.lower()}.dcm"
        kinds[name] = write_dicom_by_itk(folder / name, deep(shown), compressor).read_bytes()
    for name in ("MR_small_jpeg_ls_lossless.dcm", "SC_rgb_small_odd_jpeg.dcm", "MR_small_bigendian.dcm"):
        kinds[name] = Path(str(get_testdata_file(name))).read_bytes()
    bare = pydicom.dcmread(folder / "x.dcm")
    bare.preamble = None
    del bare.file_meta
    bare.save_as(folder / "bare", implicit_vr=True, little_endian=True, enforce_file_format=False)
    kinds["bare"] = (folder / "bare").read_bytes()
    return kinds


def mutated(data: bytes, rng: np.random.Generator) -> bytes:
    """``data`` with one to four faults such as files have: flipped, cut, doubled, overwritten by extremes."""
    damaged = bytearray(data)
    for _ in range(int(rng.integers(1, 5))):
        if not damaged:
            break
        reach = min(_HEADER, len(damaged)) if rng.random() < 0.7 else len(damaged)
        place = int(rng.integers(reach))
        kind = rng.integers(6)
        if kind == 0:
            damaged[place] ^= 1 << int(rng.integers(8))
        elif kind == 1:
            damaged[place] = int(rng.integers(256))
        elif kind == 2:
            extreme = _EXTREME[int(rng.integers(len(_EXTREME)))]
            damaged[place : place + len(extreme)] = extreme
        elif kind == 3:
            del damaged[int(rng.integers(len(damaged))) :]
        elif kind == 4:
            length = int(rng.integers(1, 64))
            damaged[place:place] = damaged[place : place + length]
        else:
            del damaged[place : place + int(rng.integers(1, 16))]
    return bytes(damaged)


def outcome(file: Path) -> str:
    """``read`` or ``refused``; anything else is what went wrong."""
    try:
        count = 0
        for source in read_images(file):
            count += 1
            if source.image.dtype != np.uint8 or source.image.ndim != 2:
                return f"an image {source.image.shape} {source.image.dtype}"
    except ValueError as error:
        text = str(error)
        one_line = "\n" not in text and len(text) < 700 and text.startswith(f"{file}: ")
        return "refused" if one_line else f"a refusal of another form: {text[:300]!r}"
    except BaseException as error:
        return f"{type(error).__name__}: {error}"
    return "read" if count else "neither an image nor a word"


def run(seconds: float, seed: int, only: str, folder: Path, record: Path) -> None:
    """Read mutations until the time is over; counts and faults are in ``record`` as they come."""
    resource.setrlimit(resource.RLIMIT_AS, (_MEMORY, resource.RLIM_INFINITY))
    signal.signal(signal.SIGALRM, _too_slow)
    kinds, rng = whole_files(folder), np.random.default_rng(seed)
    inside = folder / "inside"
    inside.mkdir()
    counts: Counter[str] = Counter()
    faults: list[str] = []
    end, names = time.monotonic() + seconds, sorted(name for name in kinds if only in name)
    while time.monotonic() < end:
        name = names[sum(counts.values()) % len(names)]
        file = inside / name
        file.write_bytes(mutated(kinds[name], rng))
        record.write_text(json.dumps({"counts": counts, "faults": faults, "now": name}))
        signal.alarm(_SECONDS_A_FILE)
        said = outcome(file)
        with contextlib.suppress(ValueError):  # nothing that looks like an image
            find_images([inside])
        signal.alarm(0)
        counts[said if said in ("read", "refused") else "faults"] += 1
        if said not in ("read", "refused"):
            faults.append(f"{name}: {said}")
            (record.parent / f"fault{len(faults)}-{name}").write_bytes(file.read_bytes())
        file.unlink()
    record.write_text(json.dumps({"counts": counts, "faults": faults, "now": None}))


def in_a_process(seconds: float, seed: int, folder: Path, only: str = "") -> dict:
    """What ``run`` recorded in a process of its own; a crash of that process is a fault too."""
    record = folder / "record.json"
    work = folder / "work"
    work.mkdir()
    target: Callable[..., None] = _quiet_run
    process = multiprocessing.get_context("fork").Process(
        target=target, args=(seconds, seed, only, work, record)
    )
    process.start()
    process.join()
    found = json.loads(record.read_text())
    if process.exitcode != 0:
        found["faults"].append(f"{found['now']}: the process ended with {process.exitcode}")
    return found


def _quiet_run(*arguments: object) -> None:
    """What libraries say on their own of thousands of damaged files is not read."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), 2)
    run(*arguments)  # pyright: ignore[reportArgumentType]


def _too_slow(*_: object) -> None:
    raise TimeoutError(f"more than {_SECONDS_A_FILE} s")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description="Read damaged X-ray files.")
    parser.add_argument("--seconds", type=float, default=600.0)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--only", default="", help="formats whose name has this in it, such as .mha")
    parser.add_argument("--keep", type=Path, help="a new folder for the record and the files at fault")
    arguments = parser.parse_args()
    place = arguments.keep or Path(tempfile.mkdtemp())
    place.mkdir(parents=True, exist_ok=True)
    result = in_a_process(arguments.seconds, arguments.seed, place, arguments.only)
    sys.stdout.write(json.dumps({key: result[key] for key in ("counts", "faults")}, indent=1) + "\n")
    sys.exit(bool(result["faults"]))
