"""Several processes on several GPUs: each takes one, in turn, and says so."""

import subprocess
import sys

import pytest

from tests.support.run_tool import ROOT
from util.prediction.shard import Shard, take_own_gpu


@pytest.mark.parametrize(
    ("environment", "shard", "count", "gpu"),
    [
        ({"LOCAL_RANK": "1"}, "2/4", 2, "1"),
        ({"LOCAL_RANK": "3"}, "4/4", 2, "1"),  # more processes than GPUs
        ({"LOCAL_RANK": "1", "CUDA_VISIBLE_DEVICES": "4,6"}, "2/2", 8, "6"),
        ({"LOCAL_RANK": "2", "CUDA_VISIBLE_DEVICES": "5"}, "3/3", 8, "5"),
        ({}, "6/8", 4, "1"),  # no launcher
        ({}, "2/2", 0, None),
        ({"CUDA_VISIBLE_DEVICES": ""}, "2/2", 4, ""),  # the CPU, as asked for
    ],
)
def test_every_process_takes_a_gpu_that_is_there(environment, shard, count, gpu):
    environment = dict(environment)
    said = take_own_gpu(Shard.parse(shard), environment, count)
    assert environment.get("CUDA_VISIBLE_DEVICES") == gpu
    assert said.startswith(f"shard {shard} uses GPU {gpu} of ") if gpu else said == ""


def test_a_launcher_without_a_place_for_the_result_ends_in_that_error():
    """The default place is for one process; nobody asked for overlays either."""
    environment = {"PATH": "", "WORLD_SIZE": "2", "RANK": "0", "LOCAL_RANK": "0"}
    command = [sys.executable, "inference.py", "--input", "absent.png"]
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert "--output: several processes share one result" in done.stderr.splitlines()[-1]
