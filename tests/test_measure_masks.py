"""tools/measure_masks.py: what masks of one large X-ray cost."""

from tests.support.run_tool import run_afresh, run_tool

TOOL = "tools/measure_masks.py"
SMALL = ("--classes", 2, "--repeats", 1, "--threads", 1)


def test_a_row_a_way() -> None:
    config = "configs/masks/models/neck_resnet18.py"
    ways = ("forward", "windows")
    done = run_afresh(TOOL, "--model-config", config, "--side", 128, "--window", 64, "--ways", *ways, *SMALL)
    assert done.returncode == 0, done.stderr
    rows = [line.split() for line in done.stdout.splitlines()[2:]]
    assert [row[:2] for row in rows] == [["neck_resnet18", way] for way in ways]
    assert all(float(row[3]) >= 0.0 and 0.1 < float(row[4]) < 4.0 for row in rows)


def test_what_finds_no_masks_is_refused() -> None:
    config = "configs/boxes/models/salience_detr_resnet18_320.py"
    done = run_afresh(TOOL, "--model-config", config, "--side", 64, "--ways", "whole", *SMALL)
    assert done.returncode == 1
    assert "measure_masks.py: " in done.stderr
    assert "salience_detr_resnet18_320.py: SalienceDetr finds no masks" in done.stderr


def test_a_side_that_no_model_takes_is_refused() -> None:
    done = run_tool(TOOL, "--model-config", "configs/masks/models/neck_resnet18.py", "--side", 100)
    assert done.returncode == 2
    assert "100: expected a multiple of 32, such as 128" in done.stderr
