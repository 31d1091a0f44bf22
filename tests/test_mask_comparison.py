"""Two evaluations of masks, compared on the same images and persons."""

import json
from pathlib import Path

import numpy as np
import pytest

from datasets.masks.class_set import ClassSet
from tests.support.run_tool import run_tool
from util.evaluation.masks.edge_calibration import EdgeCalibration
from util.evaluation.masks.mask_comparison import compare_masks, comparison_table, read_evaluation
from util.evaluation.masks.mask_metrics import NUMBERS
from util.evaluation.masks.mask_results import MaskResults
from util.evaluation.masks.mask_summary import summary

BONES = ClassSet("two", ("radius", "ulna"))


def written(file: Path, dice: np.ndarray, **changes) -> Path:
    """An evaluation file with the given Dice (N, 2); everything else is the same for all files."""
    numbers = np.full((len(dice), 2, len(NUMBERS)), 0.5)
    numbers[..., NUMBERS.index("dice")] = dice
    numbers[..., NUMBERS.index("assd")] = np.nan
    results = MaskResults(
        class_set=BONES,
        thresholds=(0.5, 0.5),
        cases=tuple(f"c{n}" for n in range(len(dice))),
        persons=tuple(f"p{n // 2}" for n in range(len(dice))),
        spacing=np.ones((len(dice), 2)),
        numbers=numbers,
        calibration=(EdgeCalibration.nothing(),) * 2,
    )
    file.write_text(json.dumps({**summary(results), **changes}))
    return file


def test_differences_are_paired_and_named(tmp_path):
    rng = np.random.default_rng(0)
    hard = rng.uniform(0.5, 0.9, (40, 1))
    first = hard + rng.normal(0, 0.005, (40, 2))
    other = hard + np.array([0.03, 0.0]) + rng.normal(0, 0.005, (40, 2))
    found = compare_masks(
        *map(read_evaluation, (written(tmp_path / "a", first), written(tmp_path / "b", other)))
    )
    radius, ulna = found["dice"]["radius"], found["dice"]["ulna"]
    assert radius["difference"] == pytest.approx((other - first)[:, 0].mean())
    assert radius["first"] == pytest.approx(first[:, 0].mean())
    assert radius["ci95"][0] > 0.025 and radius["ci95"][1] < 0.035
    assert ulna["ci95"][0] < 0.0 < ulna["ci95"][1] or abs(ulna["difference"]) < 0.004
    assert found["dice"]["mean"]["difference"] == pytest.approx((other - first).mean())
    assert found["assd"]["radius"] == {"first": None, "other": None, "difference": None, "ci95": None}
    table = comparison_table(found, "dice").splitlines()
    assert table[1].startswith("mean") and f"{radius['difference']:+.4f}" in table[2]


@pytest.mark.parametrize(
    ("changes", "named"),
    [
        ({"cases": ["x", "y"]}, "images"),
        ({"classes": ["a", "b"]}, "classes"),
        ({"persons": ["q", "q"]}, "persons"),
    ],
)
def test_evaluations_of_other_images_are_refused(tmp_path, changes, named):
    values = np.full((2, 2), 0.5)
    first, other = written(tmp_path / "a", values), written(tmp_path / "b", values, **changes)
    with pytest.raises(ValueError, match=f"not the same {named}"):
        compare_masks(read_evaluation(first), read_evaluation(other))


def test_the_tool_prints_and_writes_or_says_what_is_wrong(tmp_path):
    values = np.linspace(0.5, 0.9, 8).reshape(4, 2)
    first, other = written(tmp_path / "a.json", values), written(tmp_path / "b.json", values + 0.05)
    done = run_tool("tools/compare_masks.py", first, other, "--json", tmp_path / "c.json")
    assert done.returncode == 0 and "+0.0500" in done.stdout and "4 images of 2 persons" in done.stdout
    record = json.loads((tmp_path / "c.json").read_text())
    assert record["dice"]["mean"]["difference"] == pytest.approx(0.05)
    (tmp_path / "d.json").write_text("{}")
    for wrong, message in (
        (tmp_path / "d.json", "no evaluation of masks"),
        (tmp_path / "no.json", "cannot be read"),
    ):
        done = run_tool("tools/compare_masks.py", first, wrong)
        assert done.returncode != 0 and message in done.stderr and "Traceback" not in done.stderr
