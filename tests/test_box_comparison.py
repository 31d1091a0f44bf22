"""Two detectors on the same images: the difference, and how sure it is."""

import json
from dataclasses import replace

import numpy as np
import pytest

from tests.support.run_scripts import run_scripts
from tests.test_box_metrics import random_results
from util.evaluation.boxes import bootstrap
from util.evaluation.boxes.box_comparison import compare_boxes, read_boxes, require_same_truth
from util.evaluation.boxes.box_evaluation import BoxEvaluation
from util.evaluation.boxes.box_results import BoxResults

NAMES = ("one", "two", "three", "four")


def worse(results: BoxResults, pixels: float) -> BoxResults:
    """The same detections, each off by some more pixels."""
    rng = np.random.default_rng(0)
    images = [
        replace(one, boxes=one.boxes + rng.normal(0, pixels, one.boxes.shape).astype(np.float32))
        for one in results.images
    ]
    return BoxResults(tuple(images))


def written(folder, name, results):
    """A file of test.py --json."""
    evaluation = BoxEvaluation(results, NAMES, (1, 2, 3, 9), (folder / "best.pt",), folder, "test")
    file = folder / f"{name}.json"
    file.write_text(json.dumps(evaluation.to_dict(), allow_nan=False))
    return file


@pytest.fixture(autouse=True)
def _fewer_resamples(monkeypatch):
    monkeypatch.setattr(bootstrap, "RESAMPLES", 300)


def test_a_worse_detector_is_told_apart_and_the_same_one_is_not(tmp_path):
    results = random_results(3, num_images=40)
    files = [
        written(tmp_path, name, one)
        for name, one in (("a", results), ("b", worse(results, 6)), ("c", results))
    ]
    runs = [read_boxes(file, file.stem) for file in files]
    require_same_truth(runs)
    first, second, third = compare_boxes(runs)
    assert "difference" not in first
    low, high = second["difference"]["ap"]["interval95"]
    assert low < second["difference"]["ap"]["mean"] < high < 0
    assert second["difference"]["ap"]["mean"] == pytest.approx(second["ap"] - first["ap"])
    assert third["difference"]["ap"] == {"mean": 0.0, "interval95": [0.0, 0.0], "better_in": 0.0}


def test_pairing_narrows_the_interval(tmp_path):
    results = random_results(4, num_images=40)
    runs = [
        read_boxes(written(tmp_path, str(k), one), str(k))
        for k, one in enumerate((results, worse(results, 2)))
    ]
    first, second = compare_boxes(runs)
    paired = np.diff(second["difference"]["ap"]["interval95"])
    alone = [np.diff(row["interval95"]["ap"]) for row in (first, second)]
    assert paired < 0.6 * np.hypot(*alone)


def test_other_images_objects_and_classes_are_refused(tmp_path):
    results = random_results(3)
    run = read_boxes(written(tmp_path, "a", results), "a")
    fewer = replace(run, results=BoxResults(results.images[1:]))
    with pytest.raises(ValueError, match=r"not the same images \(1 in only one"):
        require_same_truth([run, fewer])
    index = next(k for k, one in enumerate(results.images) if len(one.true_boxes))
    moved = list(results.images)
    moved[index] = replace(moved[index], true_boxes=moved[index].true_boxes + 1)
    with pytest.raises(ValueError, match="other objects on"):
        require_same_truth([run, replace(run, results=BoxResults(tuple(moved)))])
    crowd = [replace(one, ignored=~one.ignored) for one in results.images]
    with pytest.raises(ValueError, match="other objects on"):
        require_same_truth([run, replace(run, results=BoxResults(tuple(crowd)))])
    with pytest.raises(ValueError, match="other classes"):
        require_same_truth([run, replace(run, classes=NAMES[::-1])])
    (tmp_path / "x.json").write_text('{"task": "boxes"}')
    with pytest.raises(ValueError, match=r"lacks \['checkpoint'"):
        read_boxes(tmp_path / "x.json", "x")


def test_the_tool_tells_boxes_from_landmarks(tmp_path):
    results = random_results(3)
    one, other = (
        written(tmp_path, name, found) for name, found in (("a", results), ("b", worse(results, 6)))
    )
    (tmp_path / "points.json").write_text("{}")
    (tmp_path / "masks.json").write_text('{"task": "masks"}')
    calls = [["tools/compare.py", one, other, "--output", tmp_path / "out"]]
    calls += [
        ["tools/compare.py", one, tmp_path / "points.json"],
        ["tools/compare.py", one, tmp_path / "none"],
        ["tools/compare.py", tmp_path / "masks.json"],
    ]
    done = run_scripts(calls)
    assert done[0].returncode == 0, done[0].stderr
    assert "AP - first" in done[0].stdout and "12 images" in done[0].stdout
    rows = json.loads((tmp_path / "out/compare.json").read_text())["runs"]
    assert rows[1]["difference"]["ap"]["mean"] < 0 and rows[1]["name"] == "b"
    assert (tmp_path / "out/compare.md").read_text().startswith("| run | AP |")
    assert done[1].returncode == 1 and "expected one task" in done[1].stderr
    assert done[2].returncode == 1 and "Evaluate first" in done[2].stderr
    assert done[3].returncode == 1 and "compare_masks.py" in done[3].stderr
