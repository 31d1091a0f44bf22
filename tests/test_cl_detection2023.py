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

from datasets.files.mha_files import open_stack
from datasets.landmarks import cl_detection2023 as cl
from datasets.prepared.prepared import PreparedDataset
from tests.support.cl_stack import FRAME, SCALES, SIZES, images, stack_pixels, truth, write_stack
from tests.support.run_tool import run_tool


def run(folder: Path, stack: Path, annotations: Path, *options: object) -> subprocess.CompletedProcess[str]:
    script = "tools/prepare_cl_detection2023.py"
    return run_tool(script, "--stack", stack, "--annotations", annotations, "--output", folder, *options)


def test_the_script_prepares_every_slice(tmp_path):
    out = tmp_path / "out"
    done = run(out, *write_stack(tmp_path, stack_pixels(), truth()), "--split", 2, 1, 2)
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
            assert np.array_equal(sample.spacing, [float(SCALES[number - 1])] * 2)


def test_splits_that_do_not_sum_to_the_slices_get_a_suggestion(tmp_path):
    done = run(tmp_path / "out", *write_stack(tmp_path, stack_pixels(), truth()), "--split", 300, 50, 50)
    assert done.returncode == 1 and "such as --split 3 1 1" in done.stderr and "Traceback" not in done.stderr
    assert not (tmp_path / "out").exists()


def test_a_file_may_name_the_slices_of_each_split(tmp_path):
    stack = write_stack(tmp_path, stack_pixels(), truth())
    file = tmp_path / "by_film.json"
    file.write_text('{"train": ["004", "001"], "val": ["005"], "test": ["002"]}')
    done = run(tmp_path / "out", *stack, "--split", file)
    assert done.returncode == 0, done.stderr
    assert "1 slices that" in done.stdout and "left out: 003" in done.stdout
    assert "train 2, val 1, test 1" in done.stdout
    assert [list(PreparedDataset(tmp_path / "out", part).cases) for part in cl.SPLITS] == [
        ["001", "004"],
        ["005"],
        ["002"],
    ]
    assert "--split by_film.json" in json.loads((tmp_path / "out/dataset.json").read_text())["created_by"]


@pytest.mark.parametrize("given", [("3", "2"), ("3", "1", "one"), ("absent.json",), ("1", "split.json")])
def test_a_split_that_is_neither_three_numbers_nor_a_file_is_refused(tmp_path, given):
    done = run(tmp_path / "out", *write_stack(tmp_path, stack_pixels(), truth()), "--split", *given)
    assert done.returncode == 1 and "Traceback" not in done.stderr
    assert given[0] in done.stderr and ("expected" in done.stderr or "No such file" in done.stderr)
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
    stack = open_stack(write_stack(tmp_path, pixels, truth(), compress=compress)[0])
    assert stack.compressed == compress and stack.num_slices == len(SIZES)
    assert np.array_equal(np.stack(list(stack.slices())), pixels)


def test_sixteen_bits_survive_compression(tmp_path):
    pixels = np.random.default_rng(0).integers(0, 65536, (3, 20, 30), np.uint16)
    stack = open_stack(write_stack(tmp_path, pixels, truth(), compress=True)[0])
    assert np.array_equal(np.stack(list(stack.slices())), pixels)


def test_a_compressed_stack_is_never_in_memory_at_once(tmp_path):
    pixels = np.zeros((150, 256, 256), np.uint8)  # 9.8 MB
    stack = open_stack(write_stack(tmp_path, pixels, truth(), compress=True)[0])
    tracemalloc.start()
    try:
        assert sum(1 for _ in stack.slices()) == 150
        assert tracemalloc.get_traced_memory()[1] < 2e6
    finally:
        tracemalloc.stop()


def test_a_black_border_of_the_image_itself_does_not_move_the_origin(tmp_path):
    """Black rows and columns on all four sides, as a collimator leaves them; landmarks lie on some."""
    pixels, annotations = stack_pixels(), truth()
    pixels[1, :20], pixels[1, 50:], pixels[1, :, :30], pixels[1, :, 60:] = 0, 0, 0, 0
    stack, file = (
        open_stack(path) if path.suffix == ".mha" else path
        for path in write_stack(tmp_path, pixels, annotations)
    )
    case = list(cl.read_cases(stack, cl.read_annotations(file)))[1]
    marked = np.array([point["point"][:2] for point in annotations["points"][38:76]])
    assert np.array_equal(case.points, marked + 0.5)
    height, width = case.image.shape
    assert (width, height) == tuple(np.maximum(marked.max(0) + 1, (60, 50)))
    assert np.array_equal(case.image, pixels[1, :height, :width, 0])
    image = list(cl.read_images(stack))[1]
    assert image.slice == 2 and np.array_equal(image.image, pixels[1, :50, :60, 0])


def test_colour_becomes_luma_and_its_darkest_channel_is_no_padding(tmp_path):
    pixels = np.zeros((5, *FRAME, 3), np.uint8)
    pixels[:, :30, :40] = (0, 0, 200)  # blue alone, still image
    stack = open_stack(write_stack(tmp_path, pixels, truth())[0])
    for image in cl.read_images(stack):
        assert image.image.shape == (30, 40) and (image.image == round(0.114 * 200)).all()


def test_a_stack_cut_short_leaves_nothing_behind(tmp_path):
    file, annotations = write_stack(tmp_path, stack_pixels(), truth(), compress=True)
    file.write_bytes(file.read_bytes()[:-200])
    done = run(tmp_path / "out", file, annotations)
    assert done.returncode == 1 and "train_stack.mha: slice 5" in done.stderr
    assert "Traceback" not in done.stderr
    assert sorted(path.name for path in tmp_path.iterdir()) == ["train-gt.json", "train_stack.mha"]


@pytest.mark.parametrize("compress", [False, True])
def test_a_truncated_stack_is_named(tmp_path, compress):
    file, _ = write_stack(tmp_path, stack_pixels(), truth(), compress=compress)
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
    assert np.array_equal(cl.without_padding(pixels, "slice", inner), pixels[:6, :8])
    beyond = np.array([[4.5, 3.5], [10.5, 7.5]])  # on the padding: kept in the image
    assert cl.without_padding(pixels, "slice", beyond).shape == (8, 11)
    assert cl.without_padding(pixels, "slice").shape == (6, 8)  # no landmark is known yet
    with pytest.raises(ValueError, match="slice 3 is empty"):
        cl.without_padding(np.zeros((10, 12, 3), np.uint8), "slice 3")


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
    "half a name": (lambda p: p[0].update(name=1.5), "1.5"),
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


@pytest.mark.parametrize("content", ["[]", "{}", '{"points": 5}', "points", "null"])
def test_something_else_than_annotations_is_named(tmp_path, content):
    file = tmp_path / "train-gt.json"
    file.write_text(content)
    with pytest.raises(ValueError, match="train-gt.json: .*expected a"):
        cl.read_annotations(file)


def test_a_landmark_outside_its_slice_is_named(tmp_path):
    annotations = truth()
    annotations["points"][38]["point"][0] = FRAME[1]
    stack, file = write_stack(tmp_path, stack_pixels(), annotations)
    with pytest.raises(ValueError, match=r"slice 2: landmark 1 \(sella\) at x=84"):
        list(cl.read_cases(open_stack(stack), cl.read_annotations(file)))


@pytest.mark.parametrize(
    ("count", "message"),
    [(4, "beyond the stack: 5"), (6, "without annotation: 6; annotated beyond the stack: none")],
)
def test_a_stack_of_other_annotations_is_refused(tmp_path, count, message):
    pixels = np.ones((count, *FRAME, 3), np.uint8)
    stack, file = write_stack(tmp_path, pixels, truth())
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
