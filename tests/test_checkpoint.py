"""Checkpoint files: whole or refused, and never able to run code."""

import http.server
import os
import pickle
import threading
import zipfile
from pathlib import Path

import pytest
import torch
import yaml
from omegaconf import OmegaConf

from datasets.boxes.class_set import BoxClasses
from datasets.prepared.prepared import PreparedDataset
from tasks.landmarks import LandmarkTask
from tests.conftest import TINY_SET
from tests.support.run_script import TRUSTED
from tests.support.run_tool import run_tool
from tests.support.smoke_checkpoint import write_smoke_box_checkpoint
from tests.support.tiny import TinyModel
from util.checkpoints.checkpoint import (
    FORMAT,
    load_checkpoint,
    load_model,
    load_weights,
    save_checkpoint,
    untrained,
)
from util.config import instantiate, load_config


def make_checkpoint(**changes):
    cfg = load_config("tests/support/tiny_config.py")
    content = {
        "format": FORMAT,
        "config": OmegaConf.to_yaml(cfg),
        "landmark_set": TINY_SET.to_dict(),
        "labels": "synthetic",
        "weights": TinyModel(num_landmarks=5).state_dict(),
        "metrics": {"mre_mm": 1.5},
        "iteration": 7,
    }
    return content | changes


class Hostile:
    """Creates a file when unpickled."""

    def __init__(self, file):
        self.file = file

    def __reduce__(self):
        return os.system, (f"touch {self.file}",)


def test_loaded_model_is_the_saved_one(tmp_path):
    content = make_checkpoint()
    save_checkpoint(tmp_path / "best.pt", content)
    loaded = load_model(tmp_path / "best.pt", packages=TRUSTED)
    assert not loaded.model.training
    assert (
        loaded.meaning.landmark_set == TINY_SET
        and loaded.meaning.labels == "synthetic"
        and loaded.metrics["mre_mm"] == 1.5
    )
    weights = loaded.model.state_dict()
    assert all(torch.equal(weights[name], value) for name, value in content["weights"].items())


def test_the_factor_on_the_uncertainty_rides_along(tmp_path):
    """It widens the scales and moves no point; a checkpoint without one has 1."""
    content, finals = make_checkpoint(), []
    for changes in ({}, {"calibration": 1.5}):
        save_checkpoint(tmp_path / "best.pt", content | changes)
        model = load_model(tmp_path / "best.pt", packages=TRUSTED).model
        with torch.inference_mode():
            finals.append(model(torch.rand(2, 1, 32, 32, generator=torch.Generator().manual_seed(0))).final)
    torch.testing.assert_close(finals[1].scale, 1.5 * finals[0].scale)
    assert torch.equal(finals[1].points, finals[0].points)


def test_pickle_that_runs_code_is_refused(tmp_path):
    file, proof = tmp_path / "best.pt", tmp_path / "proof"
    torch.save(make_checkpoint(metrics=Hostile(proof)), file)
    with pytest.raises(ValueError, match=r"best\.pt: refused, damaged or holding more than plain data"):
        load_checkpoint(file)
    file.write_bytes(pickle.dumps(Hostile(proof)))
    with pytest.raises(ValueError, match=r"not a checkpoint, or cut short"):
        load_checkpoint(file)
    assert not proof.exists()


def test_a_graph_is_told_from_a_damaged_checkpoint(tmp_path):
    file = tmp_path / "model.onnx"
    file.write_bytes(b"graph")
    with pytest.raises(ValueError, match=r"model\.onnx: an exported graph, .*inference\.py runs graphs"):
        load_checkpoint(file)


@pytest.mark.parametrize("section", ["model", "eval_transforms"])
def test_config_that_runs_code_is_refused(tmp_path, section):
    proof = tmp_path / "proof"
    cfg = load_config("tests/support/tiny_config.py")
    cfg = OmegaConf.to_container(cfg) | {section: {"_target_": "os:system", "command": f"touch {proof}"}}
    save_checkpoint(tmp_path / "best.pt", make_checkpoint(config=OmegaConf.to_yaml(OmegaConf.create(cfg))))
    with pytest.raises(ValueError, match=r"best\.pt: its config calls 'os:system'"):
        load_model(tmp_path / "best.pt", packages=TRUSTED)
    assert not proof.exists()


@pytest.mark.parametrize(
    "content", [b"", b"not a checkpoint", pickle.dumps({"format": FORMAT}), b"PK\x05\x06" + bytes(18)]
)
def test_file_that_is_no_checkpoint_is_refused(tmp_path, content):
    file = tmp_path / "best.pt"
    file.write_bytes(content)
    with pytest.raises(ValueError, match=r"best\.pt"):
        load_checkpoint(file)


def test_other_zip_and_other_content_are_refused(tmp_path):
    with zipfile.ZipFile(tmp_path / "a.pt", "w") as archive:
        archive.writestr("data.pkl", b"garbage")
    torch.save({"state_dict": {}}, tmp_path / "b.pt")
    torch.save([1, 2], tmp_path / "c.pt")
    for name in "abc":
        with pytest.raises(ValueError, match=rf"{name}\.pt"):
            load_checkpoint(tmp_path / f"{name}.pt")


def test_truncated_last_offers_the_one_before(tmp_path):
    for name in ("last.pt", "last.previous.pt"):
        save_checkpoint(tmp_path / name, make_checkpoint())
    whole = (tmp_path / "last.pt").read_bytes()
    for length in (len(whole) - 1, len(whole) // 2, 10):
        (tmp_path / "last.pt").write_bytes(whole[:length])
        with pytest.raises(ValueError, match=r"cut short.*use .*last\.previous\.pt"):
            load_checkpoint(tmp_path / "last.pt")
    (tmp_path / "last.pt").unlink()
    with pytest.raises(ValueError, match=r"not found.*use .*last\.previous\.pt"):
        load_checkpoint(tmp_path / "last.pt")


def test_failed_write_leaves_the_old_file_whole(tmp_path):
    file = tmp_path / "last.pt"
    save_checkpoint(file, make_checkpoint())
    with pytest.raises(Exception, match="pickle"):
        save_checkpoint(file, make_checkpoint(metrics=lambda: None))
    assert load_checkpoint(file)["iteration"] == 7
    assert [path.name for path in tmp_path.iterdir()] == ["last.pt"]


@pytest.mark.parametrize(
    ("weights", "message"),
    [
        (TinyModel(num_landmarks=4).state_dict(), r"mean_shape \(4, 2\) for \(5, 2\)|log_scale \(4, 2\)"),
        ({}, r"log_scale missing"),
        (TinyModel(num_landmarks=5).state_dict() | {"extra": torch.zeros(1)}, r"extra unknown to the model"),
    ],
)
def test_weights_of_another_model_are_refused_by_name(weights, message):
    with pytest.raises(ValueError, match=message):
        load_weights(TinyModel(num_landmarks=5), weights, "best.pt")


def test_other_landmark_set_is_refused(tiny_prepared):
    swapped = TINY_SET.to_dict() | {"landmarks": ["right eye", "left eye", "nose", "mouth", "chin"]}
    task, data, file = LandmarkTask(), PreparedDataset(tiny_prepared, "test"), Path("best.pt")
    task.require_same(task.meaning_of(make_checkpoint(), file), data, file)
    with pytest.raises(ValueError, match=r"best\.pt: trained on the 5 landmarks of 'tiny5'"):
        task.require_same(task.meaning_of(make_checkpoint(landmark_set=swapped), file), data, file)


def test_checkpoint_does_not_ask_for_pretrained_weights(tmp_path):
    """A model that was trained from pretrained weights loads where there is no network."""
    config = OmegaConf.create(OmegaConf.to_container(load_config("tests/support/tiny_config.py")))
    config.model = {
        "_target_": "tests.support.tiny:TinyModel",
        "width": 4,
        "dropout": {"_target_": "tests.support.tiny:dropout_of", "pretrained": True, "weights": "absent.pt"},
    }
    save_checkpoint(tmp_path / "best.pt", make_checkpoint(config=OmegaConf.to_yaml(config)))
    assert load_model(tmp_path / "best.pt", packages=TRUSTED).model.trunk[-1].p == 0.2


@pytest.fixture
def server():
    """A server on this machine, and the paths that it was asked for."""
    asked: list[str] = []

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            asked.append(self.path)
            self.send_error(404)

        do_HEAD = do_GET

        def log_message(self, *_):
            pass

    listening = http.server.HTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=listening.serve_forever, daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{listening.server_port}", asked
    listening.shutdown()
    thread.join()
    listening.server_close()


def fetching_backbone(url: str) -> dict:
    """A backbone that would ask ``url`` for its weights."""
    overlay = {"url": url, "hf_hub_id": None, "file": None}
    options = {"pretrained_cfg_overlay": overlay, "checkpoint_path": url, "cache_dir": url}
    return {
        "_target_": "models.backbone:TimmBackbone",
        "name": "resnet10t",
        "pretrained": True,
        "options": options,
    }


def save_with(file, **sections):
    config = OmegaConf.to_container(load_config("configs/smoke.py")) | sections
    text = yaml.safe_dump(config)  # not OmegaConf: it might resolve what the test is about
    save_checkpoint(file, make_checkpoint(config=text))
    return file


@pytest.mark.parametrize("address", ["{server}/w.pt", "{server}/${{oc.env:HOME}}/w.pt"])
def test_no_section_of_a_file_reaches_a_server(server, tmp_path, address):
    url = address.format(server=server[0])
    file = save_with(tmp_path / "best.pt", eval_transforms=fetching_backbone(url))
    with pytest.raises(ValueError, match=r"calls 'models\.backbone:TimmBackbone', allowed.*transforms|\$\{"):
        load_model(file)
    model = OmegaConf.to_container(load_config("configs/smoke.py").model)
    file = save_with(tmp_path / "best.pt", model=model | {"backbone": fetching_backbone(url)})
    with pytest.raises(ValueError, match=r"missing|\$\{"):  # built without a fetch; its weights are not there
        load_model(file)
    assert server[1] == []


def test_the_server_of_these_tests_is_asked_by_what_they_forbid(server):
    """Or they would pass for no reason."""
    backbone = fetching_backbone(f"{server[0]}/w.pt")
    del backbone["options"]["checkpoint_path"], backbone["options"]["cache_dir"]
    with pytest.raises(ValueError, match="pretrained weights could not be loaded"):
        instantiate(backbone)
    assert server[1] == ["/w.pt"]


@pytest.mark.parametrize("text", ["${oc.env:HOME}", "a${train.seed}"])
def test_what_would_be_replaced_on_use_is_refused_in_every_saved_config(tmp_path, text):
    file = save_with(tmp_path / "best.pt", note={"of": [text]})
    with pytest.raises(ValueError, match=r"best\.pt: its config has .* at note\.of\.0, expected plain"):
        load_model(file)
    saved = tmp_path / "config.yaml"
    saved.write_text(yaml.safe_dump({"note": text}), encoding="utf-8")
    with pytest.raises(ValueError, match=r"config\.yaml: its config has .* at note, expected plain values"):
        load_config(saved)


def test_a_config_without_requests_for_weights_keeps_all_else():
    asking = {
        "pretrained": True,
        "pretrained_cfg": {"url": "x"},
        "pretrained_cfg_overlay": {"file": "x"},
        "checkpoint_path": "w.pt",
        "weights": "w.pt",
        "mirror": "HTTPS://x.org/w",
        "places": ["hf-hub:a/b", "local-dir:/x"],
    }
    kept = {"name": "resnet18", "weights": [1.0, 2.0], "_target_": "models.backbone:TimmBackbone"}
    assert untrained({"a": asking, "b": [kept]}) == {
        "a": {"pretrained": False, "weights": None, "places": []},
        "b": [kept],
    }


def test_a_script_for_landmarks_refuses_a_model_of_boxes(tmp_path):
    file = write_smoke_box_checkpoint(tmp_path / "boxes.pt", BoxClasses(("cell",), (1,)))
    loaded = load_model(file)
    assert loaded.of("boxes") is loaded
    for tool, out in (("export_weights", "out.safetensors"), ("calibrate_uncertainty", "out.pt")):
        done = run_tool(f"tools/{tool}.py", "--checkpoint", file, "--output", tmp_path / out)
        assert done.returncode != 0
        assert "boxes.pt: a model of boxes, expected one of landmarks." in done.stderr
        assert "Traceback" not in done.stderr
        assert not (tmp_path / out).exists()
