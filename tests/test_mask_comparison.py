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


def written(file: Path, dice: np.ndarray, *, assd=np.nan, spacing=1.0, **changes) -> Path:
    """An evaluation file with the given Dice (N, 2); everything else is the same for all files."""
    numbers = np.full((len(dice), 2, len(NUMBERS)), 0.5)
    numbers[..., NUMBERS.index("dice")] = dice
    numbers[..., NUMBERS.index("assd")] = assd
    results = MaskResults(
        class_set=BONES,
        thresholds=(0.5, 0.5),
        cases=tuple(f"c{n}" for n in range(len(dice))),
        persons=tuple(f"p{n // 2}" for n in range(len(dice))),
        spacing=np.ones((len(dice), 2)) * spacing,
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
    assert table[1] == table[3] == "-" * len(table[0]), "as the table of an evaluation has it"
    assert table[2].startswith("mean") and f"{radius['difference']:+.4f}" in table[4]


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


def test_millimetres_and_pixels_have_no_common_mean(tmp_path):
    dice, spacing = np.full((2, 2), 0.5), np.array([[0.5], [np.nan]])
    first = written(tmp_path / "a.json", dice, assd=[[2.0, 2.0], [40.0, 40.0]], spacing=spacing)
    other = written(tmp_path / "b.json", dice, assd=[[3.0, 3.0], [90.0, 90.0]], spacing=spacing)
    found = compare_masks(read_evaluation(first), read_evaluation(other))
    mean = found["assd"]["mean"]
    assert (mean["first"], mean["other"], mean["difference"]) == (2.0, 3.0, 1.0)
    assert found["hd95"]["mean"]["first"] == 0.5 and found["dice"]["mean"]["first"] == 0.5
    done = run_tool("tools/compare_masks.py", first, other)
    assert "Lengths are in mm, of the 1 images with a spacing alone." in done.stdout
    pixels = [
        written(tmp_path / name, dice, assd=assd, spacing=np.nan) for name, assd in (("c", 4), ("d", 6))
    ]
    assert compare_masks(*map(read_evaluation, pixels))["assd"]["mean"]["difference"] == 2.0
    with pytest.raises(ValueError, match="lengths of 1 images, such as 'c0', are in mm in one"):
        compare_masks(read_evaluation(first), read_evaluation(pixels[0]))


def test_an_older_file_does_not_say_whose_lengths_are_in_mm(tmp_path):
    file = written(tmp_path / "a.json", np.full((2, 2), 0.5))
    record = json.loads(file.read_text())
    del record["spacing_mm"]
    file.write_text(json.dumps(record))
    assert read_evaluation(file).in_mm.all()
    file.write_text(json.dumps(record | {"num_images_without_spacing": 1}))
    with pytest.raises(ValueError, match="1 of 2 images have no spacing, and it does not say which"):
        read_evaluation(file)


def test_seeds_are_averaged_image_by_image_and_classes_chosen(tmp_path):
    values = np.linspace(0.5, 0.8, 8).reshape(4, 2)
    a, b, c, d = (
        written(tmp_path / f"{name}.json", values + by)
        for name, by in (("a", 0.0), ("b", [0.0, 0.1]), ("c", [0.1, 0.3]), ("d", [0.0, 0.1]))
    )
    options = ["--first-seeds", b, "--other-seeds", d, "--classes", "ulna", "--measures", "dice"]
    done = run_tool("tools/compare_masks.py", a, c, *options, "--json", tmp_path / "of.json")
    assert done.returncode == 0 and "first: means of 2 trainings." in done.stdout, done.stderr
    found = json.loads((tmp_path / "of.json").read_text())
    assert set(found["dice"]) == {"ulna", "mean"} and found["other_seeds"] == [str(d)]
    assert found["dice"]["mean"] == found["dice"]["ulna"]
    assert found["dice"]["ulna"]["first"] == pytest.approx(values[:, 1].mean() + 0.05)
    assert found["dice"]["ulna"]["difference"] == pytest.approx(0.15)
    fewer = written(tmp_path / "fewer.json", values[:2])
    for wrong, message in (
        (["--first-seeds", fewer], "not the same images"),
        (["--classes", "tibia"], "classes ['tibia'], expected some of ['radius', 'ulna']"),
    ):
        refused = run_tool("tools/compare_masks.py", a, c, *wrong)
        assert refused.returncode == 1 and message in refused.stderr


def test_the_tool_prints_and_writes_or_says_what_is_wrong(tmp_path):
    values = np.linspace(0.5, 0.9, 8).reshape(4, 2)
    first, other = written(tmp_path / "a.json", values), written(tmp_path / "b.json", values + 0.05)
    done = run_tool("tools/compare_masks.py", first, other, "--json", tmp_path / "c.json")
    assert done.returncode == 0 and "+0.0500" in done.stdout and "4 images of 2 persons" in done.stdout
    assert "Differences are of the images that have the number in both" in done.stdout
    record = json.loads((tmp_path / "c.json").read_text())
    assert record["dice"]["mean"]["difference"] == pytest.approx(0.05)
    (tmp_path / "d.json").write_text("{}")
    for wrong, message in (
        (tmp_path / "d.json", "no evaluation of masks"),
        (tmp_path / "no.json", "cannot be read"),
    ):
        done = run_tool("tools/compare_masks.py", first, wrong)
        assert done.returncode != 0 and message in done.stderr and "Traceback" not in done.stderr
