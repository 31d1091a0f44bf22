"""The measuring in util.benchmark, and the command that uses it."""

import json
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from util import benchmark

ROOT = Path(__file__).resolve().parent.parent
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


def no_wait() -> None:
    pass


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
    times = benchmark.time_in_turn(calls, repeats=4, wait=no_wait)
    assert order == ["a", "b"] * (len(order) // 2)
    assert {name: len(values) for name, values in times.items()} == {"a": 4, "b": 4}


def test_ratio_is_not_moved_by_a_machine_that_slows_down() -> None:
    reference = np.array([1.0, 1.0, 10.0, 10.0, 10.0])
    assert benchmark.ratio(2.0 * reference, reference) == pytest.approx(2.0)


def test_parts_add_up_and_lists_count_as_one_part() -> None:
    model = TwoParts()
    parts = benchmark.time_of_parts(model, lambda: model(torch.zeros(1)), repeats=3, wait=no_wait)
    assert list(parts) == ["quick", "stages", "other"]
    assert parts["quick"] >= 2.0 and parts["stages"] >= 20.0 and parts["other"] >= 5.0
    assert parts["quick"] < parts["stages"]
    assert not model.quick._forward_hooks and not model.stages[0]._forward_pre_hooks


def test_flops_of_known_operators() -> None:
    images, grid = torch.zeros(2, 3, 8, 8), torch.zeros(2, 5, 7, 2)
    query = torch.zeros(2, 4, 6, 16)  # (batch, heads, length, dim)
    convolution = nn.Conv2d(3, 10, 3, padding=1)
    known = {
        2 * 2 * 8 * 8 * 10 * 3 * 9: lambda: convolution(images),
        8 * 2 * 3 * 5 * 7: lambda: F.grid_sample(images, grid, align_corners=False),
        2 * 2 * 2 * 4 * 6 * 6 * 16: lambda: F.scaled_dot_product_attention(query, query, query),
    }
    for expected, call in known.items():
        assert benchmark.count_flops(call) == (expected, {})


def test_flops_of_attention_layers_do_not_depend_on_the_fast_path() -> None:
    attention, tokens = nn.MultiheadAttention(16, 4, batch_first=True), torch.zeros(2, 6, 16)

    def call() -> object:
        return attention(tokens, tokens, tokens, need_weights=False)

    training = benchmark.count_flops(call)[0]
    attention.eval()
    assert (
        benchmark.count_flops(call)[0] == training > 2 * 2 * 6 * 16 * 16 * 4
    )  # more than its four projections


def test_operators_without_a_formula_are_named() -> None:
    assert benchmark.count_flops(lambda: torch.ones(3).sin().sin()) == (0.0, {"ones": 1, "sin": 2})


@pytest.fixture
def toy(tmp_path: Path) -> Path:
    (tmp_path / "toy_model.py").write_text(TOY)
    (tmp_path / "toy.py").write_text(CONFIG)
    return tmp_path / "toy.py"


def run_tool(*arguments: object, folder: Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "tools/benchmark_model.py", *map(str, arguments)]
    environment = {"PYTHONPATH": str(folder), "OMP_NUM_THREADS": "1", "PATH": ""}
    return subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=300)


def test_command_writes_what_it_measured(toy: Path, tmp_path: Path) -> None:
    output = tmp_path / "new" / "report.json"
    other = toy.with_name("other.py")
    other.write_text(CONFIG.replace("channels=4", "channels=8"))
    run = run_tool(
        *("--model-config", toy, other, "--size", 64, 32, "--batch-size", 2, "--repeats", 2),
        *("--num-landmarks", 5, "--threads", 1, "--json", output),
        folder=tmp_path,
    )
    assert run.returncode == 0, run.stderr
    report = json.loads(output.read_text())
    first, second = report["models"]
    assert (first["name"], second["name"]) == ("toy", "other")
    assert {key: report[key] for key in first} == first
    assert first["params_m"] == pytest.approx((4 * 10 + 5 * 5) / 1e6)
    assert first["gflops"] == pytest.approx(2 * 2 * 64 * 32 * (4 * 9 + 5 * 4) / 1e9)
    assert first["ratio_to_backbone"] > 0 and first["ratio_to_hrnet_w32"] < 1
    assert set(first["parts"]) == {"backbone", "head", "other"}
    assert sum(part["share"] for part in first["parts"].values()) == pytest.approx(1.0)
    assert report["size"] == [64, 32] and report["threads"] == 1 and report["peak_rss_mib"] > 50
    assert "hrnet_w32 backbone" in run.stdout


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (["--model-config", "configs/models/absent.py"], "configs/models/absent.py not found"),
        (["--model-config", "BARE"], "expected one named backbone"),
    ],
)
def test_command_says_what_is_wrong(arguments: list[str], expected: str, toy: Path, tmp_path: Path) -> None:
    bare = toy.with_name("bare.py")
    bare.write_text("from torch import nn\nfrom util.config import L\nmodel = L(nn.Identity)()\n")
    files = {"TOY": toy, "BARE": bare}
    run = run_tool(*(files.get(argument, argument) for argument in arguments), folder=tmp_path)
    assert run.returncode == 1
    assert run.stderr.startswith("benchmark_model: ") and expected in run.stderr
