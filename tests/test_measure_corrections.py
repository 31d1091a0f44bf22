"""What corrections bring by the page's orders: both ends are known, and a wrong landmark comes first."""

import json
from pathlib import Path

import numpy as np

from datasets.landmarks.landmark_set import load_landmark_set
from tests.support.faces import E2
from tests.support.run_tool import run_tool

LANDMARKS = load_landmark_set("isbi19")


def test_the_unsure_landmark_comes_first_and_all_corrections_leave_nothing(tmp_path: Path) -> None:
    truth = np.stack([10.0 * E2[:19], 10.0 * E2[:19] + 5.0])
    predicted, doubts = truth.copy(), np.full((2, 19), 0.5)
    predicted[:, 4, 0] += 80.0  # A point: 8 mm off, and unsure of it
    doubts[:, 4] = 8.0
    content = {
        "cases": ["one", "two"],
        "landmark_set": LANDMARKS.to_dict(),
        "points": {"predicted": predicted.tolist(), "truth": truth.tolist()},
        "spacing_mm": [[0.1, 0.1]] * 2,
        "uncertainty_mm": doubts.tolist(),
    }
    (tmp_path / "test.json").write_text(json.dumps(content))
    options = ("--predictions", tmp_path / "test.json", "--most", 19, "--json", tmp_path / "all.json")
    ended = run_tool("tools/measure_corrections.py", *options)
    assert ended.returncode == 0, ended.stderr
    found = json.loads((tmp_path / "all.json").read_text())
    assert set(found) == {"effect", "uncertainty", "chance"}
    for order, steps in found.items():
        assert len(steps) == 20
        assert abs(steps[0]["mre_mm"] - 8.0 / 19) < 1e-6 and steps[0]["classes_percent"] < 100.0
        assert steps[-1]["mre_mm"] < 1e-9 and steps[-1]["classes_percent"] == 100.0
        if order != "chance":
            assert steps[1]["mre_mm"] < 1e-9, order
    more = (*options[:2], "--most", 20)
    refused = run_tool("tools/measure_corrections.py", *more)
    assert refused.returncode == 1 and "--most 20: expected 0 to 19" in refused.stderr
