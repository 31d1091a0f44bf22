"""Real chests and teeth through the tool that prepares masks."""

import json
import os
from pathlib import Path

import pytest

from datasets.masks.dataset import MaskDataset
from tests.support.mask_sources import (
    prepared,
)


def real(name: str) -> Path:
    if "CEPHDETR_REAL_DATA" not in os.environ:
        pytest.skip(f"CEPHDETR_REAL_DATA is not set: the folder that holds {name}/")
    return Path(os.environ["CEPHDETR_REAL_DATA"]) / name


@pytest.mark.real_data
def test_real_chests_are_the_same_from_pictures_and_polygons(tmp_path):
    source = real("jsrt")
    for kind in ("masks", "polygons"):
        given = ("--images", source / "images", f"--{kind}", source / kind, "--output", tmp_path / kind)
        done = prepared(*given, "--spacing", 0.35)
        assert done.returncode == 0, done.stderr
        assert "suspicious" not in done.stdout, "nothing wrong with these labels"
    differing = images = 0
    for name in ("train", "val", "test"):
        one, other = (MaskDataset(tmp_path / kind, name) for kind in ("masks", "polygons"))
        assert one.cases == other.cases and one.class_set.classes == other.class_set.classes
        for index in range(len(one)):
            differing += int((one.load(index).packed() != other.load(index).packed()).sum())
        images += len(one)
    assert images == 124 and differing <= 1, "one polygon passes over a hole of one pixel"
    assert one.class_set.pairs is not None and len(one.class_set.pairs) == 2


@pytest.mark.real_data
def test_exchanged_sides_of_a_real_chest_are_suspected(tmp_path):
    source = real("jsrt")
    (tmp_path / "polygons").mkdir()
    for file in sorted((source / "polygons").iterdir())[:40]:
        data = json.loads(file.read_text())
        if file.stem == "JPCLN021":
            for entry in data["annotations"]:
                sides = {"left_lung": "right_lung", "right_lung": "left_lung"}
                entry["label"] = sides.get(entry["label"], entry["label"])
        (tmp_path / "polygons" / file.name).write_text(json.dumps(data))
    given = ("--images", source / "images", "--polygons", tmp_path / "polygons", "--output", tmp_path / "out")
    done = prepared(*given, "--spacing", 0.35)
    assert done.returncode == 0, done.stderr
    suspects = json.loads((tmp_path / "out" / "checks.json").read_text())["suspects"]
    assert {(s["case"], s["structure"]) for s in suspects} == {
        ("JPCLN021", "left_lung"),
        ("JPCLN021", "right_lung"),
    }


@pytest.mark.real_data
def test_real_teeth_are_scaled_to_their_films(tmp_path):
    source = real("teeth")
    given = ("--images", source, "--coco", source / "masks_512.json", "--output", tmp_path / "out")
    done = prepared(*given)
    assert done.returncode == 0, done.stderr
    assert "scaled from 512x512 to 640x640: 119" in done.stdout
    dataset = MaskDataset(tmp_path / "out", "train")
    assert len(dataset.class_set) == 32 and len(dataset.class_set.pairs or ()) == 16
    assert dataset.load(0).size == (640, 640) == dataset.load(0).source_size
