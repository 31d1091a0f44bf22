"""The compatible mode against reference numbers of the published detector, by the product's own check."""

import json
import os
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch

from models.backbone import TimmBackbone
from tests.support.run_tool import run_tool
from transforms.published_size import PublishedSize, resized
from util.checkpoints.boxes.published_names import ALIASES, published_names, published_shape
from util.config import instantiate, load_config
from util.inspection.boxes.parity import StageResult, check_case
from util.inspection.boxes.parity_case import difference, parameter_differences, read_case
from util.inspection.boxes.parity_rule import hash_weights, picked_places, weight
from util.inspection.boxes.parity_training import drop_no_path

ROOT = Path(__file__).resolve().parent.parent
DATA = ROOT / "tests" / "data" / "box_parity"
CONFIGS = sorted((ROOT / "configs" / "salience_detr").glob("*.py"))
ORACLE = Path(os.environ.get("CEPHDETR_REAL_DATA", "")).resolve().parent / "design" / "oracle"


def model_of(name: str):
    return load_config(ROOT / "configs" / "salience_detr" / f"{name}.py").model


@pytest.mark.parametrize("name", ["roi_head", "preprocess"])
def test_small_cases_agree(name):
    results = check_case(read_case(DATA / f"{name}.npz"), model_of, "float64")
    assert len(results) >= 5
    assert [result for result in results if not result.within] == []


@pytest.mark.slow
@pytest.mark.skipif(ORACLE.is_dir(), reason="test_every_case_agrees runs these two as well")
@pytest.mark.parametrize("name", ["r50_train", "backbone_convnext_l"])
def test_a_training_step_and_a_large_backbone_agree(name):
    results = check_case(read_case(DATA / f"{name}.npz"), model_of, "float64")
    assert [result for result in results if not result.within] == []


@pytest.mark.slow
@pytest.mark.real_data
@pytest.mark.skipif(not ORACLE.is_dir(), reason="the folder of all reference numbers is not there")
def test_every_case_agrees():
    done = run_tool("tools/check_box_parity.py", ORACLE)
    assert done.returncode == 0, done.stdout[-3000:]


@pytest.mark.real_data
@pytest.mark.skipif(not ORACLE.is_dir(), reason="the folder of all reference numbers is not there")
@pytest.mark.parametrize(
    ("config", "file"),
    [("resnet50_800_1333", "r50"), ("resnet50_5scale_800_1333", "r50_5scale"), ("swin_l_800_1333", "swin_l")],
)
def test_names_and_shapes_are_the_published_ones(config, file):
    wanted = json.loads((ORACLE / f"shapes_{file}.json").read_text())
    state = instantiate(model_of(f"salience_detr_{config}"), num_classes=91).state_dict()
    found = {
        name: [*published_shape(name, tuple(state[own].shape))]
        for own, name in published_names(state).items()
    }
    fixed = ("dim_tx", "dim_ty", "relative_position_index")
    assert found == {n: s for n, s in wanted.items() if n not in ALIASES and not n.endswith(fixed)}


def test_the_five_published_configs_are_there():
    assert [file.stem.removeprefix("salience_detr_") for file in CONFIGS] == [
        "convnext_l_800_1333",
        "focalnet_large_lrf_800_1333",
        "resnet50_5scale_800_1333",
        "resnet50_800_1333",
        "swin_l_800_1333",
    ]


def test_the_published_r50_has_its_parameters():
    model = instantiate(model_of("salience_detr_resnet50_800_1333"), num_classes=91)
    assert sum(p.numel() for p in model.parameters()) == 56_080_495
    assert sum(p.numel() for p in model.parameters() if p.requires_grad) == 55_858_095


@pytest.mark.parametrize(
    ("size", "resized"),
    [
        ((640, 480), (1066, 800)),
        ((640, 425), (1204, 799)),
        ((2000, 100), (1333, 66)),
        ((300, 235), (1021, 799)),
    ],
)
def test_published_sizes_are_truncated(size, resized):
    assert PublishedSize().size(size) == resized


def test_a_picture_that_cannot_be_written_is_resized_without_a_warning():
    """As Pillow gives them. Warnings of ours are errors in tests."""
    image = np.arange(24, dtype=np.uint8).reshape(2, 4, 3)
    image.flags.writeable = False
    assert resized(image, (8, 4)).shape == (4, 8, 3)


def test_a_wrong_number_is_found(tmp_path):
    """In a whole array, among the picked places of a large one, and in its sums alone."""
    rng = np.random.default_rng(0)
    small, large = rng.normal(size=(3, 4)), rng.normal(size=30000)
    places = picked_places("large", large.size, 16)
    sums = [large.sum(), large @ large, large @ hash_weights("large", large.size)]
    arrays = {"small": small, "large#shape": [30000], "large#sums": sums, "large#at": large[places]}
    np.savez(tmp_path / "case.npz", **arrays)
    case = read_case(tmp_path / "case.npz")
    assert case.names == ["small", "large"]
    assert difference(case, "small", small) == difference(case, "large", large) == 0.0
    assert difference(case, "small", small + 1e-3) > 1e-4
    assert difference(case, "small", small[:2]) == float("inf")
    unpicked = large.copy()
    unpicked[np.setdiff1d(np.arange(30000), places)[0]] += 1.0
    assert difference(case, "large", unpicked) > 1e-6


def test_a_nan_is_found_wherever_it_is(tmp_path):
    """Neither a place that is not picked nor a gradient may hide one."""
    large = np.ones(30000)
    places = picked_places("large", large.size, 16)
    arrays = {"large#shape": [30000], "large#sums": [3e4, 3e4, 0.0], "large#at": large[places]}
    case = read_case(case_file(tmp_path, {}, **arrays, **{"grad/names": np.frombuffer(b"a", np.uint8)}))
    large[np.setdiff1d(np.arange(30000), places)[0]] = np.nan
    table = np.ones((1, 2))
    for found in (
        difference(case, "large", large),
        parameter_differences(case, {"a": np.array([np.nan])}, table),
        parameter_differences(case, {"a": np.array([1.0])}, table * np.nan),
    ):
        assert not StageResult("stage", found, 1e-4).within


def test_a_case_without_numbers_is_refused(tmp_path):
    file = case_file(tmp_path, {"kind": "preprocess", "seed": 1, "images": [["a", 64, 64]]})
    with pytest.raises(ValueError, match="case.npz: no numbers to compare with"):
        check_case(read_case(file), model_of, "float64")


def test_a_pickle_in_the_folder_is_not_run(tmp_path):
    np.save(tmp_path / "case.npy", np.array([{"a": 1}], dtype=object), allow_pickle=True)
    (tmp_path / "case.npy").rename(tmp_path / "case.npz")
    done = run_tool("tools/check_box_parity.py", tmp_path)
    assert done.returncode == 2 and "no reference numbers" in done.stderr


def test_a_case_that_cannot_be_read_does_not_hide_the_others(tmp_path):
    (tmp_path / "a.npz").write_bytes(b"")
    shutil.copy(DATA / "preprocess.npz", tmp_path)
    done = run_tool("tools/check_box_parity.py", tmp_path)
    assert done.returncode == 2 and "a.npz: no reference numbers" in done.stderr
    assert "1 of 2 cases agree. 1 could not be checked." in done.stdout


def case_file(folder: Path, meta: object, **arrays: np.ndarray) -> Path:
    stated = np.frombuffer(json.dumps(meta).encode(), np.uint8)
    np.savez(folder / "case.npz", meta=stated, **arrays)
    return folder / "case.npz"


def test_a_config_that_is_a_path_is_refused_and_not_run(tmp_path):
    (tmp_path / "own.py").write_text("raise SystemExit('run')\n")
    meta = {"kind": "backbone", "seed": 1, "images": [["a", 64, 64]], "prefixes": [""]}
    path = os.path.relpath(tmp_path / "own", ROOT / "configs" / "salience_detr")
    file = case_file(tmp_path, meta | {"config": path})
    with pytest.raises(ValueError, match="expected the name of one of configs/salience_detr"):
        check_case(read_case(file), model_of, "float64")


def test_a_damaged_file_is_named(tmp_path):
    whole, file = (DATA / "roi_head.npz").read_bytes(), tmp_path / "case.npz"
    for content in (b"", whole[:3000], whole[:5000] + bytes(100) + whole[5100:]):
        file.write_bytes(content)
        with pytest.raises(ValueError, match="case.npz: no reference numbers"):
            read_case(file)
    for meta in ([1], {"seed": "1"}, {"images": [["a", 64]]}):
        with pytest.raises(ValueError, match="case.npz: no reference numbers"):
            read_case(case_file(tmp_path, meta))


def test_a_training_step_of_a_large_backbone_can_be_repeated():
    """Drop path is the one thing random in it that a case does not state."""
    backbone = TimmBackbone("convnext_atto", options={"drop_path_rate": 0.5}).train()
    image = torch.ones(1, 1, 64, 64)
    with torch.no_grad():
        found = [backbone(image)[-1] for _ in range(3)]
        assert not all(torch.equal(found[0], other) for other in found[1:])
        drop_no_path(backbone)
        assert torch.equal(backbone(image)[-1], backbone(image)[-1])


def test_a_case_that_lacks_something_names_it(tmp_path):
    with pytest.raises(ValueError, match="case.npz: no 'seed'"):
        check_case(read_case(case_file(tmp_path, {"kind": "eval", "images": []})), model_of, "float64")
    given = dict(np.load(DATA / "roi_head.npz"))
    del given["hs"]
    np.savez(tmp_path / "case.npz", **given)
    with pytest.raises(ValueError, match="case.npz: no 'hs'"):
        check_case(read_case(tmp_path / "case.npz"), model_of, "float64")


def test_the_rule_gives_norms_near_one_and_no_buffers():
    assert weight("transformer.encoder.layers.0.norm1.weight", (256,), 1).mean() == pytest.approx(
        1.0, abs=0.02
    )
    assert weight("position_embedding.dim_tx", (128,), 1) is None
    same = [weight(name, (91, 256), 4) for name in next(iter(ALIASES.items()))]
    assert np.array_equal(*same)
