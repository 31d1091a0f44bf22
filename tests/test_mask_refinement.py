"""Edges at full resolution: they change nothing untrained, only doubtful cells, and they learn."""

import importlib.util
import json
import shutil
from dataclasses import replace
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from omegaconf import OmegaConf

from datasets.masks.dataset import MaskDataset
from datasets.sample import images_of
from models.backbone import TimmBackbone
from models.masks.mask_model import enlarged
from models.masks.neck_net import NeckMaskNet
from models.masks.refined_net import RefinedMaskNet, _around, _read
from tests.support.run_scripts import run_scripts
from tests.support.tiny_masks import CHEST, write_chests
from transforms.augment import EvalTransforms
from util.checkpoints.checkpoint import config_of, load_checkpoint
from util.export.masks.export import verify
from util.export.masks.graph import MaskGraphFacts, SmallMaps, export_graph
from util.training.masks.edge_training import seen_by, train_edges


def built(kind: type[NeckMaskNet], **options: Any) -> Any:
    torch.manual_seed(0)
    backbone = TimmBackbone("resnet10t")
    return kind(num_classes=4, backbone=backbone, embed_dim=16, fine_dim=8, **options).eval()


def images(side: int) -> torch.Tensor:
    return torch.rand(2, 1, side, side, generator=torch.Generator().manual_seed(1))


@torch.no_grad()
def test_untrained_it_is_the_model_that_it_came_from() -> None:
    plain, refined = built(NeckMaskNet), built(RefinedMaskNet, reduction=2, points=50)
    refined.load_state_dict({**refined.state_dict(), **plain.state_dict()})
    large = images(128)
    small = torch.nn.functional.interpolate(large, (64, 64), mode="area")
    outputs = refined(large)
    torch.testing.assert_close(outputs.logits, enlarged(plain(small).logits, (64, 64)))
    assert outputs.final.shape == (2, 4, 128, 128)


@torch.no_grad()
def test_only_the_least_sure_cells_change() -> None:
    model = built(RefinedMaskNet, reduction=2, points=50)
    _, coarse, _ = model.coarse(images(128))
    model.edges.last.bias.fill_(3.0)
    change = (model(images(128)).logits - coarse).flatten(2)
    torch.testing.assert_close(change.sum(-1), torch.full((2, 4), 150.0), rtol=1e-4, atol=1e-2)
    for found, logits in zip(change.flatten(0, 1), coarse.flatten(2).flatten(0, 1), strict=True):
        assert logits[found > 1.0].abs().max() <= logits[found < 1.0].abs().min()


def test_cells_of_equal_rank_are_no_fault_of_an_exported_graph() -> None:
    """A runtime may choose other ones of them; what is wrong elsewhere is refused all the same."""
    model = built(RefinedMaskNet, reduction=2, points=50)
    model.head.weight.data.mul_(300.0)  # untrained, all cells are about equally unsure
    model.edges.last.bias.data.fill_(3.0)
    facts = MaskGraphFacts(CHEST, "exact", (64, 64), 1, (0.5,) * 4, 2, False, "none")
    graph = SmallMaps(model, ()).eval()
    export = partial(export_graph, graph, torch.rand(1, 1, 64, 64), opset=20, dynamic=False)
    right = export().SerializeToString()
    model.edges.last.bias.data.fill_(3.1)
    with pytest.raises(ValueError, match=r"differ by 0\.1 of a logit"):
        verify(right, graph, facts, "wrong.onnx", (1,))
    model.head.weight.data.zero_()
    assert "of a logit" in verify(export().SerializeToString(), graph, facts, "equal.onnx", (1,))


def test_a_nan_of_an_exported_graph_is_a_fault_in_any_batch(monkeypatch: pytest.MonkeyPatch) -> None:
    export = "util.export.masks.export"
    monkeypatch.setattr(f"{export}.open_session", lambda *_: None)
    monkeypatch.setattr(f"{export}._differences", lambda *given: [np.nan if given[-1] == 3 else 0.0])
    graph: Any = SimpleNamespace(outputs=("logits",))
    facts = MaskGraphFacts(CHEST, "exact", (64, 64), 1, (0.5,) * 4, 2, False, "none")
    with pytest.raises(ValueError, match="differ by nan"):
        verify(b"", graph, facts, "wrong.onnx", (1, 3))


def test_cells_are_read_where_they_lie() -> None:
    """Cell 13 of 4x8 is at row 1, column 5: pixels of rows 2 and 3, columns 10 and 11."""
    index = torch.tensor([[[13]]])
    ramp = torch.arange(16.0).repeat(8, 1)  # grows along x
    places = _read(torch.arange(0.5, 8.0)[None, None, None].repeat(1, 1, 4, 1), index, torch.Size((4, 8)))
    assert places.item() == pytest.approx(5.5)
    canvas = torch.zeros(1, 8, 16)
    canvas[0, 2, 10] = 1.0
    around = _around(canvas, index, 8).reshape(11, 11)
    assert around.argmax().item() == 5 * 11 + 5
    across = _around(ramp[None], index, 8).reshape(11, 11)
    assert (across.diff(dim=1)[:, :4] > 0).all() and across.diff(dim=0).abs().max() < 1e-5


def test_edges_learn_what_the_coarse_map_cannot_show(tmp_path) -> None:
    """From maps that are wrong by nothing but a shift of the edge, on the images themselves."""
    data = MaskDataset(write_chests(tmp_path / "data"), "train", EvalTransforms((192, 192)))
    model = built(RefinedMaskNet, points=3000)
    with torch.no_grad():
        model.head.weight.mul_(0.1)
        model.head.bias.zero_()
    seen = list(seen_by(model, [data[n] for n in range(4)]))
    first = train_edges(model, seen, steps=1, say=lambda _: None)
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    last = train_edges(model, seen, steps=80, say=lambda _: None)
    assert last < 0.6 * first
    changed = {name for name, tensor in model.state_dict().items() if not tensor.equal(before[name])}
    assert changed and all(name.startswith("edges.") for name in changed)


def test_a_class_that_nobody_looked_for_teaches_nothing(tmp_path) -> None:
    data = MaskDataset(write_chests(tmp_path / "data"), "train", EvalTransforms((192, 192)))
    model = built(RefinedMaskNet)
    sample = replace(data[0], known=(False,) * len(CHEST))
    assert train_edges(model, list(seen_by(model, [sample])), steps=2, say=lambda _: None) == 0.0


@pytest.mark.slow
def test_the_tool_makes_a_checkpoint_that_test_py_reads(tmp_path) -> None:
    data = write_chests(tmp_path / "data")
    run = ["main.py", "--config-file", "configs/masks/smoke.py", f"data.folder={data}"]
    made, out = tmp_path / "run" / "best.pt", tmp_path / "refined"
    moved = shutil.copytree(data, tmp_path / "moved")
    tool = ["tools/refine_masks.py", "--checkpoint", made, "--steps", 3, "--data", moved, "--output", out]
    calls = [
        [*run, f"train.output_dir={tmp_path / 'run'}"],
        tool,
        ["test.py", "--checkpoint", out / "best.pt", "--workers", 0, "--json", tmp_path / "test.json"],
        tool,
        ["tools/refine_masks.py", "--checkpoint", out / "best.pt", "--output", tmp_path / "twice"],
        [*tool[:-3], with_classes_in_another_order(data, tmp_path / "b"), "--output", tmp_path / "other"],
    ]
    ended = run_scripts(calls)
    for one in ended[:3]:
        assert one.returncode == 0, one.stderr[-2000:]
    refusals = ("exists already", "expected models.masks.neck_net", "in the same order")
    for one, message in zip(ended[3:], refusals, strict=True):
        assert one.returncode != 0 and message in one.stderr and "Traceback" not in one.stderr
    config = config_of(load_checkpoint(out / "best.pt"), out / "best.pt")
    assert config.data.folder == str(moved), "where its images lie, not where the first training's did"


def with_classes_in_another_order(data: Path, folder: Path) -> Path:
    """The same images and masks, the last class first."""
    shutil.copytree(data, folder)
    header = json.loads((folder / "dataset.json").read_text())
    header["mask_classes"] |= {"classes": list(reversed(CHEST.classes)), "pairs": [[2, 3]]}
    (folder / "dataset.json").write_text(json.dumps(header))
    return folder


def test_of_a_fold_the_tool_takes_the_parts_of_that_fold(tmp_path) -> None:
    """All of train holds the images that the checkpoint was chosen by."""
    spec: Any = importlib.util.spec_from_file_location("refine_masks", "tools/refine_masks.py")
    tool = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(tool)
    folder = write_chests(tmp_path / "data")
    data = {"folder": str(folder), "train": "train@1/2", "val": "val@1/2"}
    train, val = tool.opened(OmegaConf.create({"size": [64, 64], "data": data}))
    assert train.cases == MaskDataset(folder, "train@1/2").cases and not set(train.cases) & set(val.cases)


def test_images_are_seen_as_the_model_sees_them(tmp_path) -> None:
    data = MaskDataset(write_chests(tmp_path / "data"), "train", EvalTransforms((192, 192)))
    model = built(RefinedMaskNet)
    seen = next(seen_by(model, [data[0]]))
    with torch.no_grad():
        _, logits, _ = model.coarse(images_of([data[0]]))
    np.testing.assert_allclose(seen.logits.float(), logits[0], atol=5e-3)
    assert seen.truth.shape == logits[0].shape and set(seen.truth.unique().tolist()) <= {0, 64, 128, 191, 255}
