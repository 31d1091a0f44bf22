"""Review page: a server that is killed in mid-write has lost nothing that it acknowledged."""

import json
import multiprocessing
import os
import random
import signal
import time
from pathlib import Path

import pytest

from review_page.start import open_session
from tests.support.review import measurer, reviewed, wanted

KILLS = 3


@pytest.mark.parametrize("kills", [KILLS, pytest.param(20, marks=pytest.mark.slow)])
def test_kills_in_mid_write_lose_nothing_acknowledged(tmp_path: Path, kills: int) -> None:
    wanted(tmp_path)  # the films and their predictions
    context, generator = multiprocessing.get_context("fork"), random.Random(0)
    told = tmp_path / "acknowledged"
    told.touch()
    for _ in range(kills):
        process = context.Process(target=_write_on, args=(tmp_path, told))
        process.start()
        _wait_for_more(told)
        time.sleep(generator.uniform(0.0, 0.05))
        os.kill(process.pid or 0, signal.SIGKILL)
        process.join()
        acknowledged = [json.loads(line) for line in told.read_text().splitlines() if line.endswith("}")]
        with reviewed(tmp_path) as page:
            case = page.case()
            assert acknowledged[-1]["revision"] <= case["revision"] <= acknowledged[-1]["revision"] + 1
            newest = {row["index"]: row for row in acknowledged}
            for index, row in newest.items():  # x grows; a change may be kept whose answer was killed
                assert case["landmarks"][index]["x"] >= row["x"]
        for copy in (tmp_path / "review/cases").glob("*.json"):
            json.loads(copy.read_text())
        assert not list((tmp_path / "review/cases").glob(".*"))
    assert case["revision"] > kills


def _write_on(folder: Path, told: Path) -> None:
    """Move landmarks without an end; a line a change, after it was acknowledged."""
    with open_session(wanted(folder), measurer) as opened, told.open("a") as stream:
        session = opened.session
        number = session.show(0)["revision"]
        while True:
            number += 1
            index, x = number % 19, 100.0 + number / 1000
            shown = session.put(0, number - 1, {"kind": "place", "index": index, "x": x, "y": 100.0})
            stream.write(json.dumps({"revision": shown["revision"], "index": index, "x": x}) + "\n")
            stream.flush()


def _wait_for_more(told: Path) -> None:
    """Until the process has acknowledged a change."""
    size, end = told.stat().st_size, time.monotonic() + 60
    while told.stat().st_size == size and time.monotonic() < end:
        time.sleep(0.005)
    assert told.stat().st_size > size
