"""A detector as an ONNX file: verified, without PyTorch, of any batch; what differs is seen."""

import json
import subprocess
import sys
from types import SimpleNamespace
from typing import Any

import cv2
import numpy as np
import onnxruntime
import pytest
import torch
from omegaconf import OmegaConf

from datasets.boxes.class_set import BoxClasses
from tests.support.box_data import picture
from tests.support.run_scripts import ROOT, run_scripts
from tests.support.smoke_checkpoint import random_detector, write_smoke_box_checkpoint
from transforms.augment import EvalTransforms
from transforms.multiscale import ShortSideTransforms
from util.checkpoints.boxes.published import published_state
from util.export.boxes.export import seen_otherwise
from util.export.boxes.verify import difference, verify

CLASSES = BoxClasses(("tooth", "plate"), (3, 90))
WITHOUT_TORCH = """
import runpy, sys
sys.modules["torch"] = None  # whoever imports it fails
sys.argv = sys.argv[1:]
runpy.run_path(sys.argv[0], run_name="__main__")
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A checkpoint in the right mode, which suppresses as those that ship; a published file; and pictures."""
    folder = tmp_path_factory.mktemp("export")
    write_smoke_box_checkpoint(folder / "best.pt", CLASSES, "model.nms_overlap=0.7")
    torch.save(
        published_state(random_detector("tests/support/tiny_published.py", 91)), folder / "published.pth"
    )
    (folder / "pictures").mkdir()
    for name in "ab":
        large = cv2.resize(picture(name, colour=False), (96, 72))
        cv2.imwrite(str(folder / "pictures" / f"{name}.png"), large)
    return folder


@pytest.fixture(scope="module")
def runs(folder):
    published = [
        "--model-config",
        "tests/support/tiny_published.py",
        "--checkpoint",
        folder / "published.pth",
    ]
    found = ["--input", folder / "pictures", "--show-conf", 0.0]
    calls = {
        "right": ["tools/pytorch2onnx.py", "--checkpoint", folder / "best.pt", "--output", folder / "r.onnx"],
        "published": [
            *("tools/pytorch2onnx.py", *published, "--size", 64, 96, "--output", folder / "p.onnx"),
        ],
        "other size": [
            *("tools/pytorch2onnx.py", "--checkpoint", folder / "best.pt", "--size", 96, 96),
            *("--output", folder / "other.onnx"),
        ],
        "inference": [
            "inference.py",
            "--checkpoint",
            folder / "best.pt",
            *found,
            "--output",
            folder / "t.json",
        ],
    }
    return dict(zip(calls, run_scripts(list(calls.values())), strict=True))


@pytest.mark.slow
@pytest.mark.parametrize("mode", ["right", "published"])
def test_the_file_is_verified_and_takes_any_batch(runs, folder, mode):
    assert runs[mode].returncode == 0, runs[mode].stderr
    assert "verified: largest difference" in runs[mode].stdout
    session = onnxruntime.InferenceSession(folder / f"{mode[0]}.onnx")
    channels, height, width = session.get_inputs()[0].shape[1:]
    assert (channels, height, width) == ((1, 64, 64) if mode == "right" else (3, 64, 96))
    boxes, scores, labels = session.run(None, {"images": np.zeros((2, channels, height, width), np.float32)})
    assert boxes.shape[0] == 2 and boxes.shape[2] == 4 and scores.shape == labels.shape == boxes.shape[:2]


@pytest.mark.parametrize(("transforms", "told"), [(EvalTransforms, False), (ShortSideTransforms, True)])
def test_a_file_that_sees_images_otherwise_than_its_checkpoint_says_so(transforms, told):
    made = {"_target_": f"{transforms.__module__}:{transforms.__name__}"}
    made |= {} if told else {"size": [64, 96]}
    loaded: Any = SimpleNamespace(config=OmegaConf.create({"eval_transforms": made}))
    assert ("letterboxes images onto 64 x 96" in seen_otherwise(loaded, (64, 96))) is told


@pytest.mark.slow
def test_a_canvas_that_the_model_does_not_have_is_refused(runs, folder):
    assert runs["other size"].returncode == 1
    assert "--size 96 96: the model is evaluated on 64 x 64" in runs["other size"].stderr
    assert not (folder / "other.onnx").exists()


@pytest.mark.slow
def test_inference_needs_no_torch_and_finds_the_same(runs, folder):
    assert runs["inference"].returncode == 0, runs["inference"].stderr
    arguments = (
        "--checkpoint",
        folder / "r.onnx",
        "--input",
        folder / "pictures",
        "--output",
        folder / "o.json",
        "--show-dir",
        folder / "drawn",
    )
    command = [
        sys.executable,
        "-c",
        WITHOUT_TORCH,
        "inference.py",
        *map(str, arguments),
        "--show-conf",
        "0.0",
    ]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert {file.name for file in (folder / "drawn").iterdir()} == {"a.png", "b.png"}
    expected, found = (json.loads((folder / name).read_text()) for name in ("t.json", "o.json"))
    assert found["model"]["category_ids"] == [3, 90] and len(found["images"]) == 2
    for one, other in zip(found["images"], expected["images"], strict=True):
        assert one["file"] == other["file"] and len(one["boxes"]) == len(other["boxes"]) > 5
        pairs = zip(one["boxes"], other["boxes"], strict=True)
        assert all(abs(here["score"] - there["score"]) < 1e-4 for here, there in pairs)
        for box in other["boxes"][:-1]:
            near = [here for here in one["boxes"] if here["name"] == box["name"]]
            assert min(np.abs(np.subtract(here["bbox"], box["bbox"])).max() for here in near) < 0.02


def detections(seed=0):
    rng = np.random.default_rng(seed)
    scores = np.sort(rng.random((1, 6)).astype(np.float32))[:, ::-1]
    return rng.random((1, 6, 4)).astype(np.float32) * 50, scores, np.array([[0, 1, 0, 1, 0, 1]])


def test_what_differs_is_seen():
    boxes, scores, labels = detections()
    assert difference((boxes, scores, labels), (boxes, scores, labels), (50, 100)) == 0.0
    moved = boxes + np.array([0.0, 0.0, 1.0, 0.0], np.float32) * (np.arange(6) == 2)[:, None]
    assert difference((moved, scores, labels), (boxes, scores, labels), (50, 100)) == pytest.approx(0.01)
    assert difference((boxes, scores, 1 - labels), (boxes, scores, labels), (50, 100)) > 0.05
    assert difference((boxes, scores + 0.3, labels), (boxes, scores, labels), (50, 100)) == pytest.approx(0.3)
    boxes_with_nan = boxes + np.where(np.arange(6) == 2, np.float32(np.nan), np.float32(0.0))[:, None]
    assert np.isnan(difference((boxes_with_nan, scores, labels), (boxes, scores, labels), (50, 100)))


def test_equal_scores_may_change_places():
    boxes, scores, labels = detections()
    scores[0, 1] = scores[0, 0]
    order = [1, 0, 2, 3, 4, 5]
    turned = boxes[:, order], scores[:, order], labels[:, order]
    assert difference(turned, (boxes, scores, labels), (50, 100)) == 0.0


class ByRounding(torch.nn.Module):
    """Stands in for a detector: on bright images what it finds hangs on the last digit of a number."""

    def forward(self, images):
        moved = (images.mean((1, 2, 3)) > 0.5) & (images.dtype == torch.float64)
        boxes = torch.tensor([[1.0, 1.0, 9.0, 9.0], [5.0, 5.0, 8.0, 8.0]]) + 9.0 * moved[:, None, None]
        scores = torch.tensor([[0.9, 0.1]]).expand(len(images), -1)
        return boxes, scores, torch.zeros(scores.shape, dtype=torch.int64)


def test_images_on_which_rounding_decides_are_left_out_and_told():
    dark, bright = torch.zeros(1, 1, 50, 100), torch.ones(1, 1, 50, 100)

    def exported(images):  # it decides otherwise on bright images
        boxes, scores, labels = (array.numpy() for array in ByRounding()(torch.from_numpy(images)))
        return boxes + 9.0 * (images.mean((1, 2, 3)) > 0.5)[:, None, None], scores, labels

    def wrong(images):
        boxes, scores, labels = exported(images)
        return boxes + 3.0, scores, labels

    for graph in (exported, wrong):
        graph.facts, graph.file = SimpleNamespace(size=(50, 100)), "model.onnx"
    assert verify(exported, ByRounding(), [torch.cat([dark, bright]), dark]) == (0.0, 1)
    with pytest.raises(ValueError, match="on all 1 images rounding alone"):
        verify(exported, ByRounding(), [bright])
    with pytest.raises(ValueError, match="differ by 0.06"):
        verify(wrong, ByRounding(), [dark, bright])
