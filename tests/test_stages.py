"""The error after every stage, against the evaluation of the whole model and the mean shape by hand."""

from pathlib import Path

import numpy as np
import pytest
import torch

from datasets.landmarks.batch import collate
from datasets.loader import eval_loader
from tasks.landmarks import LandmarkTask
from tests.conftest import TINY_SET
from tests.support.run_scripts import run_scripts
from tests.support.smoke_checkpoint import write_smoke_checkpoint
from util.checkpoints.checkpoint import load_model
from util.evaluation.data import open_dataset
from util.inspection.landmarks.stages import stage_errors, stage_table
from util.training.engine import evaluate


@pytest.fixture(scope="module")
def smoke(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_smoke_checkpoint(tmp_path_factory.mktemp("stages") / "smoke.pt", TINY_SET)


def test_the_stages_begin_at_the_mean_shape_and_end_at_the_prediction(smoke: Path, tiny_prepared: Path):
    loaded = load_model(smoke)
    dataset = open_dataset(loaded, tiny_prepared, "train")
    batches = eval_loader(dataset, 1, 0, collate=collate)
    errors = stage_errors(loaded.model, batches, "cpu")
    names = [name for name, _ in errors]
    assert names[:3] == ["heatmaps, DARK", "mean shape", "start"] and "ROI stage" in names[-1]
    whole = evaluate(LandmarkTask(), loaded.model, batches, "cpu")
    np.testing.assert_allclose(errors[-1][1].radial_mm, whole.radial_mm, rtol=1e-5)
    shape = loaded.model.mean_shape.detach()
    for index, batch in enumerate(batches):
        away = (shape - batch.points[0]) * batch.mm_per_unit
        expected = torch.linalg.vector_norm(away, dim=-1)
        np.testing.assert_allclose(dict(errors)["mean shape"].radial_mm[index], expected, rtol=1e-4)
    assert f"{np.nanmean(whole.radial_mm):.3f}" in stage_table(errors).splitlines()[-1]


def test_the_tool_prints_a_row_a_stage_and_names_a_wrong_subset(smoke: Path, tiny_prepared: Path):
    given = ("tools/measure_stages.py", "--checkpoint", smoke, "--data", tiny_prepared, "--workers", 0)
    done, wrong = run_scripts([(*given, "--subset", "train"), (*given, "--subset", "tset")])
    assert done.returncode == 0, done.stderr
    assert "decoder layer 1" in done.stdout and "subset train" in done.stdout
    assert wrong.returncode == 1
    assert "measure_stages.py: " in wrong.stderr and "no subset 'tset'" in wrong.stderr
