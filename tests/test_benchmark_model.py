"""The measuring in util.benchmark, and the command that uses it."""

import json
import time
from pathlib import Path

import numpy as np
import onnx
import pytest
import torch
from onnx import TensorProto, helper
from torch import Tensor, nn

from tests.support.run_scripts import run_scripts
from tests.support.run_tool import run_afresh
from tests.support.small_detr import random_images, small_detr
from util.benchmark import timing
from util.benchmark.onnx_graphs import OnnxSubject
from util.benchmark.setting import Bench, compile_whole, measure
from util.benchmark.subject import Setting, Subject

TOOL = "tools/benchmark_model.py"
WALL = timing.Stopwatch.on(torch.device("cpu"))
CONFIG = """
from torch import nn
from toy_model import Toy
from util.config import L

model = L(Toy)(channels=4)
"""
TOY = """
from torch import nn

class Toy(nn.Module):
    def __init__(self, *, num_landmarks, channels):
        super().__init__()
        self.backbone = nn.Conv2d(1, channels, 3, padding=1)
        self.head = nn.Conv2d(channels, num_landmarks, 1)

    def forward(self, images):
        return self.head(self.backbone(images))
"""


class Sleeper(nn.Module):
    def __init__(self, seconds: float) -> None:
        super().__init__()
        self.seconds = seconds

    def forward(self, images: Tensor) -> Tensor:
        time.sleep(self.seconds)
        return images


class TwoParts(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.quick = Sleeper(0.002)
        self.stages = nn.ModuleList([Sleeper(0.01), Sleeper(0.01)])

    def forward(self, images: Tensor) -> Tensor:
        images = self.quick(images)
        for stage in self.stages:
            images = stage(images)
        time.sleep(0.005)
        return images


def test_calls_are_timed_in_turn() -> None:
    order: list[str] = []
    calls = {"a": lambda: order.append("a"), "b": lambda: order.append("b")}
    times = timing.time_in_turn(calls, 4, WALL)
    assert order == ["a", "b"] * (len(order) // 2)
    assert {name: len(values) for name, values in times.items()} == {"a": 4, "b": 4}


def test_ratio_is_not_moved_by_a_machine_that_slows_down() -> None:
    reference = np.array([1.0, 1.0, 10.0, 10.0, 10.0])
    assert timing.ratio(2.0 * reference, reference) == pytest.approx(2.0)


def test_parts_add_up_and_lists_count_as_one_part() -> None:
    model = TwoParts()
    parts = timing.time_of_parts(model, lambda: model(torch.zeros(1)), repeats=3, stopwatch=WALL)
    assert list(parts) == ["quick", "stages", "other"]
    assert parts["quick"] >= 2.0 and parts["stages"] >= 20.0 and parts["other"] >= 5.0
    assert parts["quick"] < parts["stages"]
    assert not model.quick._forward_hooks and not model.stages[0]._forward_pre_hooks


class Toy(nn.Module):
    """4 or more channels of backbone, 2 of head."""

    def __init__(self, channels: int = 4) -> None:
        super().__init__()
        self.backbone = nn.Conv2d(1, channels, 3, padding=1)
        self.head = nn.Conv2d(channels, 2, 1)

    def forward(self, images: Tensor) -> Tensor:
        return self.head(self.backbone(images))


IMAGE = torch.zeros(1, 1, 32, 16)


def bench(*models: nn.Module, graphs: tuple[OnnxSubject, ...] = ()) -> Bench:
    return Bench(
        subjects=[Subject.of(f"toy {index}", model, IMAGE) for index, model in enumerate(models)],
        reference=Subject.of("reference", nn.Conv2d(1, 2, 3), IMAGE),
        compiled=[],
        graphs=graphs,
        size=(32, 16),
        device=torch.device("cpu"),
        repeats=2,
        stopwatch=WALL,
    )


def test_a_setting_compares_everything_with_its_neighbours() -> None:
    report = measure(bench(Toy(), Toy(8)), Setting("bf16", 3))
    first, second = report.subjects
    assert (first["precision"], first["batch_size"]) == ("bf16", 3)
    assert first["ratio_to_first"] == 1.0 and second["ratio_to_first"] > 0
    for found in (first, second):
        assert found["images_per_second"] == pytest.approx(3e3 / found["p50_ms"])
        assert found["ratio_to_backbone"] > 0 and found["ratio_to_hrnet_w32"] > 0
        assert found["p95_ms"] >= found["p50_ms"] and found["backbone"]["p50_ms"] > 0
    gflops = 3 * 2 * 32 * 16 * (4 * 9 + 4 * 2) / 1e9
    assert first["tflops"] == pytest.approx(gflops / first["p50_ms"])
    assert first["share_of_matmul"] == pytest.approx(first["tflops"] / report.matmul["tflops"])
    parts = first["parts"]
    assert parts["backbone"]["flops_share"] == pytest.approx(36 / 44)
    for share in ("share", "flops_share"):
        assert sum(part[share] for part in parts.values()) == pytest.approx(1.0)


def test_a_model_without_a_backbone_has_no_ratio_to_it() -> None:
    (found,) = measure(bench(nn.Conv2d(1, 2, 3)), Setting("fp32", 1)).subjects
    assert found["backbone"] is None and found["ratio_to_backbone"] is None
    assert found["ratio_to_hrnet_w32"] > 0


@pytest.fixture
def graph(tmp_path: Path) -> Path:
    return graph_in(tmp_path, channels=1)


def graph_in(tmp_path: Path, *, channels: int) -> Path:
    """A graph for any batch of 32 x 16 images."""
    shape = ["batch", channels, 32, 16]
    tensors = [helper.make_tensor_value_info(name, TensorProto.FLOAT, shape) for name in ("images", "points")]
    node = helper.make_node("Relu", ["images"], ["points"])
    opsets = [helper.make_opsetid("", 18)]
    model = helper.make_model(
        helper.make_graph([node], "toy", *([t] for t in tensors)), opset_imports=opsets, ir_version=10
    )
    onnx.save(model, tmp_path / "toy.onnx")
    return tmp_path / "toy.onnx"


def test_a_graph_is_timed_beside_the_first_model_in_its_own_precision(graph: Path) -> None:
    with_graph = bench(Toy(), graphs=(OnnxSubject(graph, threads=1),))
    (found,) = measure(with_graph, Setting("fp32", 2)).graphs
    assert found["p50_ms"] > 0 and found["speed_up"] > 0 and found["batch_size"] == 2
    assert measure(with_graph, Setting("bf16", 2)).graphs == []


def test_a_graph_of_colour_images_is_given_such(tmp_path: Path) -> None:
    subject = OnnxSubject(graph_in(tmp_path, channels=3), threads=1)
    assert subject.call(2, (32, 16))()[0].shape == (2, 3, 32, 16)


def test_a_graph_for_another_size_is_refused(graph: Path) -> None:
    subject = OnnxSubject(graph, threads=1)
    assert subject.call(5, (32, 16))()[0].shape == (5, 1, 32, 16)
    with pytest.raises(ValueError, match=r"toy\.onnx: takes .* asked for \[1, 1, 64, 32\]"):
        subject.call(1, (64, 32))


def test_a_file_that_is_no_graph_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"absent\.onnx not found"):
        OnnxSubject(tmp_path / "absent.onnx", threads=1)
    (tmp_path / "bad.onnx").write_bytes(b"no graph")
    with pytest.raises(ValueError, match=r"bad\.onnx: ONNX Runtime cannot load it"):
        OnnxSubject(tmp_path / "bad.onnx", threads=1)


def test_a_graph_break_is_an_error_that_names_the_model() -> None:
    class Breaks(nn.Module):
        def forward(self, images: Tensor) -> Tensor:
            torch._dynamo.graph_break()
            return images + 1.0

    with pytest.raises(ValueError, match="Breaks cannot be compiled as one graph"):
        compile_whole(Breaks(), IMAGE)


def test_the_model_compiles_as_one_graph() -> None:
    """Capture is what breaks; the code that a backend makes of it is not this project's."""
    model, images = small_detr().eval(), random_images(1)
    with torch.inference_mode():
        compiled = torch.compile(model, fullgraph=True, backend="eager")
        assert torch.allclose(compiled(images).final.points, model(images).final.points, atol=1e-6)


@pytest.fixture
def toy(tmp_path: Path) -> Path:
    (tmp_path / "toy_model.py").write_text(TOY)
    (tmp_path / "toy.py").write_text(CONFIG)
    return tmp_path / "toy.py"


@pytest.fixture
def readme(tmp_path: Path) -> Path:
    file = tmp_path / "README.md"
    file.write_text("Before\n<!-- benchmark_model: begin -->\nold\n<!-- benchmark_model: end -->\nafter\n")
    return file


@pytest.mark.slow
def test_command_writes_what_it_measured(toy: Path, readme: Path, tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    output = tmp_path / "new" / "report.json"
    other = toy.with_name("other.py")
    other.write_text(CONFIG.replace("channels=4", "channels=8"))
    run = run_afresh(
        TOOL,
        *("--model-config", toy, other, "--size", 64, 32, "--batch-size", 2, 1, "--repeats", 2),
        *("--num-outputs", 5, "--threads", 1, "--json", output, "--readme", readme),
    )
    assert run.returncode == 0, run.stderr
    report = json.loads(output.read_text())
    first, second = report["models"]
    assert (first["name"], second["name"]) == ("toy", "other")
    assert {key: report[key] for key in first} == first
    assert first["params_m"] == pytest.approx((4 * 10 + 5 * 5) / 1e6)
    assert first["gflops"] == pytest.approx(2 * 64 * 32 * (4 * 9 + 5 * 4) / 1e9)
    assert first["backbone"]["gflops"] == pytest.approx(2 * 64 * 32 * 4 * 9 / 1e9)
    assert set(first["parts"]) == {"backbone", "head", "other"}
    assert [(s["precision"], s["batch_size"]) for s in first["settings"]] == [("fp32", 2), ("fp32", 1)]
    plain = {key: report[key] for key in ("precision", "batch_size", "ratio_to_backbone", "p50_ms")}
    assert plain == {key: first["settings"][1][key] for key in plain}  # batch 1 in fp32
    assert first["ratio_to_hrnet_w32"] < 1 and report["hrnet_w32"]["params_m"] > 20
    assert first["peak_rss_mib"] >= first["base_rss_mib"] > 50 and first["peak_device_mib"] == {}
    assert report["size"] == [64, 32] and report["threads"] == 1 and report["onnx"] == []
    assert "fp32, batch 1" in run.stdout and "hrnet_w32 backbone" in run.stdout
    lines = readme.read_text().splitlines()
    assert (lines[0], lines[-1]) == ("Before", "after") and "old" not in lines
    assert "ms, 1 CPU core, 64x32" in lines[2]
    ratio = f"{second['ratio_to_backbone']:.2f}"
    assert lines[5].startswith("| `other` | 0.0 | 0.0 |") and f"| {ratio} |" in lines[5]


def test_command_says_what_is_wrong(toy: Path, readme: Path, tmp_path: Path) -> None:
    unmarked = tmp_path / "plain.md"
    unmarked.write_text("no markers")
    given = ["--model-config", toy]
    wrong: dict[str, list[object]] = {
        "configs/models/absent.py not found": ["--model-config", "configs/models/absent.py"],
        "checkpoint absent.pt not found": ["--checkpoint", "absent.pt"],
        "give --model-config or --checkpoint": [],
        "--batch-size [1, 0]: expected whole numbers": [*given, "--batch-size", 1, 0],
        "--threads [0]: expected whole numbers": [*given, "--threads", 0],
        "--precision fp16 on cpu: needs a GPU": [*given, "--precision", "fp32", "fp16"],
        f"{unmarked}: 0 times the marker": [*given, "--readme", unmarked],
    }
    runs = run_scripts([[TOOL, *arguments] for arguments in wrong.values()])
    for expected, run in zip(wrong, runs, strict=True):
        assert run.returncode == 1
        assert run.stderr.startswith("benchmark_model: ") and expected in run.stderr, run.stderr
