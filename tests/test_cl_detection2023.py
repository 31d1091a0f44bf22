"""CL-Detection 2023 from the published layout, on synthetic stacks, and on real slices where they are."""

import json
import os
import subprocess
import sys
import tracemalloc
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk

from datasets import cl_detection2023 as cl
from datasets.mha_files import open_stack
from datasets.prepared import PreparedDataset
from tests.support.run_tool import run_tool

FRAME = (72, 84)  # height, width of a slice, padding included
SIZES = [(60, 50), (72, 84), (41, 66), (72, 40), (55, 55)]  # height, width of the image on each slice


def images() -> list[np.ndarray]:
    """An image per slice, without a zero."""
    return [np.random.default_rng(n).integers(1, 256, size, np.uint8) for n, size in enumerate(SIZES)]


def stack_pixels() -> np.ndarray:
    """(5, 72, 84, 3) with every image at the top left."""
    stack = np.zeros((len(SIZES), *FRAME, 3), np.uint8)
    for number, image in enumerate(images()):
        stack[number, : image.shape[0], : image.shape[1]] = image[..., None]
    return stack


def truth() -> dict:
    """As published: names and coordinates are numbers, the scale is text, and differs from slice to slice."""
    points = []
    for number, (height, width) in enumerate(SIZES, start=1):
        pixels = np.random.default_rng(number).integers(0, (width, height), (38, 2)).tolist()
        scale = f"0.{number}"
        points += [
            {"name": k, "point": [x, y, number], "scale": scale} for k, (x, y) in enumerate(pixels, start=1)
        ]
    return {"name": "Orthodontic landmarks", "type": "Multiple points", "points": points}


def write(
    folder: Path, pixels: np.ndarray, annotations: dict, *, compress: bool = False
) -> tuple[Path, Path]:
    stack, file = folder / "train_stack.mha", folder / "train-gt.json"
    sitk.WriteImage(
        sitk.GetImageFromArray(pixels, isVector=pixels.ndim == 4), str(stack), useCompression=compress
    )
    file.write_text(json.dumps(annotations))
    return stack, file


def run(folder: Path, stack: Path, annotations: Path, *options: object) -> subprocess.CompletedProcess[str]:
    script = "tools/prepare_cl_detection2023.py"
    return run_tool(script, "--stack", stack, "--annotations", annotations, "--output", folder, *options)


def test_the_script_prepares_every_slice(tmp_path):
    out = tmp_path / "out"
    done = run(out, *write(tmp_path, stack_pixels(), truth()), "--split", 2, 1, 2)
    assert done.returncode == 0, done.stderr
    header = json.loads((out / "dataset.json").read_text())
    assert sorted(case for cases in header["split"].values() for case in cases) == [
        "001",
        "002",
        "003",
        "004",
        "005",
    ]
    assert set(header["source_files"]) == {"train_stack.mha", "train-gt.json"} and header["seed"] == 2023
    for subset, count in {"train": 2, "val": 1, "test": 2}.items():
        dataset = PreparedDataset(out, subset)
        assert len(dataset) == count and dataset.landmark_set == cl.LANDMARKS
        for index, case in enumerate(dataset.cases):
            sample, number = dataset.load(index), int(case)
            marked = [point["point"][:2] for point in truth()["points"] if point["point"][2] == number]
            assert np.array_equal(sample.image, images()[number - 1])
            assert np.array_equal(sample.points, np.array(marked) + 0.5)
            assert np.array_equal(sample.spacing, [number / 10, number / 10])


def test_splits_that_do_not_sum_to_the_slices_get_a_suggestion(tmp_path):
    done = run(tmp_path / "out", *write(tmp_path, stack_pixels(), truth()), "--split", 300, 50, 50)
    assert done.returncode == 1 and "such as --split 3 1 1" in done.stderr and "Traceback" not in done.stderr
    assert not (tmp_path / "out").exists()


def test_the_default_split_is_proportional():
    assert cl.split_sizes(400, None) == {"train": 300, "val": 50, "test": 50}
    assert sum(cl.split_sizes(198, None).values()) == 198 and min(cl.split_sizes(3, None).values()) == 1
    with pytest.raises(ValueError, match="at least 3"):
        cl.split_sizes(2, None)


@pytest.mark.parametrize("compress", [False, True])
@pytest.mark.parametrize("grey", [False, True])
def test_every_kind_of_stack_gives_the_same_slices(tmp_path, compress, grey):
    pixels = stack_pixels()[..., 0] if grey else stack_pixels()
    stack = open_stack(write(tmp_path, pixels, truth(), compress=compress)[0])
    assert stack.compressed == compress and stack.num_slices == len(SIZES)
    assert np.array_equal(np.stack(list(stack.slices())), pixels)


def test_sixteen_bits_survive_compression(tmp_path):
    pixels = np.random.default_rng(0).integers(0, 65536, (3, 20, 30), np.uint16)
    stack = open_stack(write(tmp_path, pixels, truth(), compress=True)[0])
    assert np.array_equal(np.stack(list(stack.slices())), pixels)


def test_a_compressed_stack_is_never_in_memory_at_once(tmp_path):
    pixels = np.zeros((150, 256, 256), np.uint8)  # 9.8 MB
    stack = open_stack(write(tmp_path, pixels, truth(), compress=True)[0])
    tracemalloc.start()
    try:
        assert sum(1 for _ in stack.slices()) == 150
        assert tracemalloc.get_traced_memory()[1] < 2e6
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize("compress", [False, True])
def test_a_truncated_stack_is_named(tmp_path, compress):
    file, _ = write(tmp_path, stack_pixels(), truth(), compress=compress)
    file.write_bytes(file.read_bytes()[:-3000])
    with pytest.raises(ValueError, match=r"train_stack.mha.*again"):
        list(open_stack(file).slices())


def test_something_else_than_a_stack_is_named(tmp_path):
    file = tmp_path / "train_stack.mha"
    file.write_bytes(b"\x89PNG\r\n\x1a\n" + bytes(500))
    with pytest.raises(ValueError, match=r"train_stack.mha: not a MetaImage"):
        open_stack(file)


def test_only_trailing_zeros_are_cut():
    pixels = np.zeros((10, 12), np.uint8)
    pixels[3:6, 4:8] = 7
    pixels[4, 5] = 0
    inner = np.array([[4.5, 3.5]])
    assert np.array_equal(cl.without_padding(pixels, inner, "slice"), pixels[:6, :8])
    beyond = np.array([[4.5, 3.5], [10.5, 7.5]])  # on the padding: kept in the image
    assert cl.without_padding(pixels, beyond, "slice").shape == (8, 11)
    with pytest.raises(ValueError, match="slice 3 is empty"):
        cl.without_padding(np.zeros((10, 12, 3), np.uint8), inner, "slice 3")


def test_names_may_be_text_and_the_order_is_by_name(tmp_path):
    annotations = truth()
    for point in annotations["points"]:
        point["name"] = str(point["name"])
    annotations["points"].reverse()
    (tmp_path / "text.json").write_text(json.dumps(annotations))
    (tmp_path / "number.json").write_text(json.dumps(truth()))
    text, number = (cl.read_annotations(tmp_path / name) for name in ("text.json", "number.json"))
    assert text.keys() == number.keys() == {1, 2, 3, 4, 5}
    assert all(np.array_equal(text[k].points, number[k].points) for k in text)


FAULTS: dict[str, tuple[Callable[[list], object], str]] = {
    "missing": (lambda p: p.pop(40), r"slice 2 has 37 landmarks, expected 38: \[3\] missing"),
    "twice": (lambda p: p.append(p[0]), "slice 1 has landmark 1 twice"),
    "unknown name": (lambda p: p[0].update(name=39), r"\[1\] missing, \[39\] unknown"),
    "name": (lambda p: p[0].update(name="sella"), "'sella'"),
    "scale zero": (lambda p: p[0].update(scale="0"), "slice 1, scale '0'"),
    "scale text": (lambda p: p[0].update(scale="fine"), "'fine'"),
    "scale absent": (lambda p: p[0].pop("scale"), "scale"),
    "scales": (lambda p: p[0].update(scale="0.7"), r"scales \[0.1, 0.7\]"),
    "nan": (lambda p: p[0].update(point=[float("nan"), 3, 1]), "finite"),
    "slice zero": (lambda p: p[0].update(point=[3, 3, 0]), "slice from 1"),
    "short": (lambda p: p[0].update(point=[3, 3]), "x, y, slice"),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_faulty_annotations_are_named(tmp_path, fault):
    change, message = FAULTS[fault]
    annotations = truth()
    change(annotations["points"])
    file = tmp_path / "train-gt.json"
    file.write_text(json.dumps(annotations))
    with pytest.raises(ValueError, match=rf"train-gt.json.*{message}"):
        cl.read_annotations(file)


def test_a_landmark_outside_its_slice_is_named(tmp_path):
    annotations = truth()
    annotations["points"][38]["point"][0] = FRAME[1]
    stack, file = write(tmp_path, stack_pixels(), annotations)
    with pytest.raises(ValueError, match=r"slice 2: landmark 1 \(sella\) at x=84"):
        list(cl.read_cases(open_stack(stack), cl.read_annotations(file)))


@pytest.mark.parametrize(
    ("count", "message"),
    [(4, "beyond the stack: 5"), (6, "without annotation: 6; annotated beyond the stack: none")],
)
def test_a_stack_of_other_annotations_is_refused(tmp_path, count, message):
    pixels = np.ones((count, *FRAME, 3), np.uint8)
    stack, file = write(tmp_path, pixels, truth())
    with pytest.raises(ValueError, match=f"{count} slices, but 5 are annotated.*{message}"):
        cl.check_match(open_stack(stack), cl.read_annotations(file))


@pytest.mark.real_data
def test_real_slices(tmp_path):
    if "CEPHDETR_REAL_DATA" not in os.environ:
        pytest.skip("CEPHDETR_REAL_DATA is not set: the folder that holds cl_detection2023/")
    maker = Path(os.environ["CEPHDETR_REAL_DATA"]) / "cl_detection2023/make_stack.py"
    subprocess.run([sys.executable, maker, "--count", "3", "--raw", "--out", tmp_path], check=True)
    stack, file = tmp_path / "train_stack.mha", tmp_path / "train-gt.json"
    done = run(tmp_path / "out", stack, file, "--size", 512)
    assert done.returncode == 0, done.stderr
    annotations = cl.read_annotations(file)
    for subset in cl.SPLITS:
        dataset = PreparedDataset(tmp_path / "out", subset)
        sample, annotation = dataset.load(0), annotations[int(dataset.cases[0])]
        assert sample.size == (413, 512)  # of 1935x2400: the padding to 2880 is gone
        assert np.allclose(
            sample.points * sample.spacing, annotation.points * annotation.spacing_mm, atol=1e-4
        )
