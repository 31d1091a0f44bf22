"""Step schedule and early stopping, which every model's ``train`` section can choose."""

import pytest

from util.config import load_config
from util.training.optim import learning_rate_factor
from util.training.selection import Selection
from util.training.settings import TrainSettings

SECTION = {"output_dir": "x", "iterations": 100, "batch_size": 2}


def test_steps_after_the_warm_up():
    factors = [learning_rate_factor(i, iterations=100, warmup=0.1, milestones=(0.6, 0.9)) for i in range(100)]
    assert factors[:10] == sorted(factors[:10]) and 0 < factors[0] < factors[9] < 1
    assert factors[10:60] == [1.0] * 50
    assert factors[60:90] == pytest.approx([0.1] * 30)
    assert factors[90:] == pytest.approx([0.01] * 10)


def test_without_milestones_the_cosine_stays():
    for iteration in range(100):
        cosine = learning_rate_factor(iteration, iterations=100, warmup=0.1)
        assert learning_rate_factor(iteration, iterations=100, warmup=0.1, milestones=None) == cosine
    assert learning_rate_factor(99, iterations=100, warmup=0.1) < 1e-3


@pytest.mark.parametrize(
    "milestones", [[], 0.5, [0.9, 0.6], [0.5, 0.5], [0.5, 1.0], [0.0], [60], ["0.5"], "0.5", [True], [None]]
)
def test_wrong_milestones_are_named(milestones):
    with pytest.raises(ValueError, match="train.milestones=.*expected rising shares"):
        TrainSettings.from_config(SECTION | {"milestones": milestones})


def test_milestones_come_from_the_command_line():
    cfg = load_config("configs/train_config.py", ["train.milestones=[0.7, 0.9]", "train.patience=3"])
    settings = TrainSettings.from_config(cfg.train)
    assert list(settings.milestones or ()) == [0.7, 0.9] and settings.patience == 3


def test_patience_counts_evaluations_without_improvement():
    selection = Selection("mre", patience=2)
    for iteration, (mre, ends) in enumerate([(3.0, False), (2.0, False), (2.0, False), (2.5, True)]):
        selection.update(iteration, {"mre_mm": mre}, mre)
        assert selection.exhausted == ends
