"""Training: continuing equals not stopping, and nothing ruins a run."""

import json
import math
import os
import signal

import numpy as np
import pytest
import torch
from accelerate import Accelerator
from accelerate.state import AcceleratorState
from torch import nn

from datasets.landmarks.batch import collate
from datasets.loader import TrainSampler, eval_loader, train_loader
from datasets.prepared.prepared import PreparedDataset
from tasks.landmarks import LandmarkTask
from tests.support.tiny import TinyCriterion, TinyModel, TinyTransforms
from util.checkpoints.checkpoint import load_checkpoint, with_task
from util.config import load_config
from util.training.engine import TrainingData, TrainingRun, evaluate
from util.training.optim import WeightAverage, learning_rate_factor, parameter_groups
from util.training.reproduce import seed_everything
from util.training.run_folder import RunFolder, load_resumable
from util.training.selection import Selection
from util.training.settings import TrainSettings
from util.training.task import require_criterion
from util.training.trainer import NonFiniteError, Trainer

SIZE = (24, 20)


@pytest.fixture(autouse=True)
def fresh_accelerate():
    AcceleratorState._reset_state(reset_partial_state=True)


def make_run(prepared, folder, *, content=None, model=None, poison_at=2.0, lr=0.01, **changes):
    """A run of the tiny model; ``content`` of a checkpoint continues that one."""
    options = {
        "iterations": 4,
        "batch_size": 2,
        "eval_every": 2,
        "save_minutes": 0,
        "log_every": 1,
        **changes,
    }
    settings = TrainSettings(output_dir=str(folder), **options)
    accelerator = Accelerator(mixed_precision=settings.mixed_precision, cpu=True)
    train_set = PreparedDataset(prepared, "train", TinyTransforms(size=SIZE, shift=3.0), settings.seed)
    val_set = PreparedDataset(prepared, "test", TinyTransforms(size=SIZE))
    seed_everything(settings.seed)
    model = model or TinyModel(num_landmarks=5)
    optimizer = torch.optim.AdamW(parameter_groups(model), lr=lr, weight_decay=0.1)
    criterion = TinyCriterion(poison_at=poison_at)
    trainer = Trainer(
        model, criterion, optimizer, task=LandmarkTask(), settings=settings, accelerator=accelerator
    )
    if content is not None:
        trainer.restore(content, folder)
    first = trainer.iteration * settings.accumulate_steps
    sampler = TrainSampler(len(train_set), settings.batch_size, seed=settings.seed, first_batch=first)
    data = TrainingData(
        train_loader(train_set, sampler, 0, collate=collate),
        eval_loader(val_set, 2, 0, collate=collate),
        val_set,
    )
    run = TrainingRun(
        trainer, data, RunFolder(folder), with_task(load_config("tests/support/tiny_config.py"))
    )
    if content is not None:
        run.restore(content)
    run.folder.path.mkdir(exist_ok=True)
    return run


def assert_same(one, other, where="checkpoint"):
    """Equal to the bit, through dicts and lists."""
    assert type(one) is type(other), where
    if isinstance(one, dict):
        assert one.keys() == other.keys(), where
        for key in one:
            if key != "seconds":
                assert_same(one[key], other[key], f"{where}.{key}")
    elif isinstance(one, list | tuple):
        assert len(one) == len(other), where
        for index, pair in enumerate(zip(one, other, strict=True)):
            assert_same(*pair, f"{where}.{index}")
    elif isinstance(one, torch.Tensor):
        assert torch.equal(one, other), where
    else:
        assert one == other, where


@pytest.fixture
def sigterm_after():
    """A run that a SIGTERM stopped leaves it ignored; processes that other tests start would inherit that."""
    before = signal.getsignal(signal.SIGTERM)
    yield
    signal.signal(signal.SIGTERM, before)


@pytest.mark.parametrize(
    "changes", [{}, {"accumulate_steps": 2}, {"mixed_precision": "bf16"}, {"select": "sdr2"}]
)
@pytest.mark.usefixtures("sigterm_after")
def test_continuing_equals_not_stopping(tiny_prepared, tmp_path, changes):
    whole = make_run(tiny_prepared, tmp_path / "whole", **changes)
    assert whole.run() == "finished"
    stopped = make_run(tiny_prepared, tmp_path / "parts", **changes)
    assert (
        stopped.run(lambda progress: progress.iteration == 2 and os.kill(os.getpid(), signal.SIGTERM))
        == "stopped"
    )
    assert signal.getsignal(signal.SIGTERM) == signal.SIG_IGN  # until the process has ended
    content = load_checkpoint(tmp_path / "parts" / "last.pt")
    assert content["iteration"] == 2
    seed_everything(12345)  # whatever the new process drew before must not matter
    assert make_run(tiny_prepared, tmp_path / "parts", content=content, **changes).run() == "finished"
    for name in ("last.pt", "best.pt"):
        one, other = (load_checkpoint(tmp_path / part / name) for part in ("whole", "parts"))
        assert_same(one, other, name)
    start = make_run(tiny_prepared, tmp_path / "start", **changes).trainer.model.state_dict()
    last = load_checkpoint(tmp_path / "whole" / "last.pt")
    assert not torch.equal(start["head.weight"], last["training"]["model"]["head.weight"])


def test_accumulating_equals_one_large_batch(tiny_prepared, tmp_path):
    """Without what depends on the batch (BatchNorm, randomness), 2 batches of 2 train as 1 of 4."""
    trained = []
    for changes in ({"batch_size": 4}, {"batch_size": 2, "accumulate_steps": 2}):
        seed_everything(0)
        model = TinyModel(num_landmarks=5, dropout=0.0, noise=0.0)
        model.trunk[1] = nn.Identity()
        run = make_run(tiny_prepared, tmp_path / f"batch{changes['batch_size']}", model=model, **changes)
        batches = iter(run.data.train_loader)
        reports = [
            run.trainer.step([next(batches) for _ in range(run.settings.accumulate_steps)]) for _ in range(2)
        ]
        trained.append((reports[-1].losses["loss"], run.trainer.model.head.weight))
        assert reports[0].images == 4
    torch.testing.assert_close(trained[0], trained[1])


def test_model_learns(tiny_prepared, tmp_path):
    run = make_run(tiny_prepared, tmp_path / "run", iterations=60, eval_every=60, lr=0.05, ema_decay=0.9)
    before = evaluate(run.task, run.trainer.average.model, run.data.val_loader, "cpu").radial_mm.mean()
    run.run()
    assert run.metrics["mre_mm"] < 0.6 * before


def test_poisoned_loss_stops_with_names_and_state_and_keeps_last(tiny_prepared, tmp_path):
    run = make_run(tiny_prepared, tmp_path, poison_at=0.7)  # iteration 3 of 0..3
    with pytest.raises(NonFiniteError, match=r"iteration 3: the loss is not finite.*tiny"):
        run.run()
    assert load_checkpoint(tmp_path / "last.pt")["iteration"] == 3
    state = load_checkpoint(tmp_path / "nan_state.pt")
    sampler = TrainSampler(3, 2, seed=0)
    cases = [run.data.train_loader.dataset.cases[index] for index, _ in sampler.batch(3)]
    assert state["batches"][0]["cases"] == cases
    assert state["batches"][0]["images"].shape == (2, 1, *SIZE)
    assert_same(
        {name: value for name, value in state["training"]["model"].items() if "running" not in name},
        {
            name: value
            for name, value in load_checkpoint(tmp_path / "last.pt")["training"]["model"].items()
            if "running" not in name
        }
        | {"trunk.1.num_batches_tracked": state["training"]["model"]["trunk.1.num_batches_tracked"]},
    )


def test_infinite_gradient_of_a_finite_loss_does_not_reach_the_weights(tiny_prepared, tmp_path):
    run = make_run(tiny_prepared, tmp_path)
    parameter = run.trainer.model.head.bias
    parameter.register_hook(lambda gradient: gradient * math.inf)
    before = parameter.detach().clone()
    with pytest.raises(NonFiniteError, match="gradient is not finite"):
        run.run()
    assert torch.equal(parameter, before)


def test_last_and_the_one_before_are_kept(tiny_prepared, tmp_path):
    make_run(tiny_prepared, tmp_path).run()
    assert load_checkpoint(tmp_path / "last.pt")["iteration"] == 4
    assert load_checkpoint(tmp_path / "last.previous.pt")["iteration"] == 3


@pytest.mark.parametrize(("minutes", "saved"), [(1.0, [3, 4]), (100.0, [4]), (0, [1, 2, 3, 4])])
def test_a_run_is_saved_by_time_and_at_its_end(tiny_prepared, tmp_path, monkeypatch, minutes, saved):
    """With steps of 25 seconds by the clock."""
    run = make_run(tiny_prepared, tmp_path, save_minutes=minutes)
    done = []
    monkeypatch.setattr(run.folder, "save_last", lambda content: done.append(content["iteration"]))
    run._saved = 0.0
    monkeypatch.setattr("util.training.engine.time.perf_counter", lambda: 25.0 * run.trainer.iteration)
    run.run()
    assert done == saved


def test_patience_ends_the_run(tiny_prepared, tmp_path):
    run = make_run(tiny_prepared, tmp_path, iterations=50, eval_every=1, patience=2, lr=0.0)
    assert run.run() == "no improvement"
    best = run.selection.best_iteration
    assert load_checkpoint(tmp_path / "last.pt")["iteration"] == best + 2
    assert load_checkpoint(tmp_path / "best.pt")["iteration"] == best
    assert "training" not in load_checkpoint(tmp_path / "best.pt")


def test_metrics_lines(tiny_prepared, tmp_path):
    make_run(tiny_prepared, tmp_path).run()
    lines = [json.loads(line) for line in (tmp_path / "metrics.jsonl").read_text().splitlines()]
    trained = [line for line in lines if "loss" in line]
    evaluated = [line for line in lines if "val/mre_mm" in line]
    assert [line["iteration"] for line in trained] == [1, 2, 3, 4]
    assert [line["iteration"] for line in evaluated] == [2, 4]
    assert {"loss/l1", "lr", "grad_norm", "images_per_second", "seconds"} <= trained[0].keys()
    assert {"val/sdr_2.0", "val/sdr_4.0", "seconds"} <= evaluated[0].keys()
    seconds = [line["seconds"] for line in lines]
    assert seconds == sorted(seconds)
    assert list((tmp_path / "tensorboard").iterdir())


def test_continued_log_has_each_line_once(tiny_prepared, tmp_path):
    make_run(tiny_prepared, tmp_path).run()
    content = load_checkpoint(tmp_path / "last.previous.pt")
    with (tmp_path / "metrics.jsonl").open("a") as stream:
        stream.write('{"iteration": 4, "cut sh')
    cfg = load_config("tests/support/tiny_config.py")
    RunFolder(tmp_path).resume(tmp_path, content["iteration"], cfg, {})
    run = make_run(tiny_prepared, tmp_path, content=content)
    assert run.seconds >= content["training"]["seconds"]
    run.run()
    lines = [json.loads(line) for line in (tmp_path / "metrics.jsonl").read_text().splitlines()]
    assert [line["iteration"] for line in lines if "loss" in line] == [1, 2, 3, 4]


def test_folder_of_another_run_is_refused(tmp_path):
    folder = RunFolder(tmp_path)
    (tmp_path / "notes.txt").touch()
    folder.require_free()
    (tmp_path / "last.pt").touch()
    with pytest.raises(ValueError, match=r"already holds a run \(last\.pt\)"):
        folder.require_free()


def test_a_run_that_goes_on_keeps_the_start_that_it_had(tiny_prepared, tmp_path, caplog):
    run = make_run(tiny_prepared, tmp_path)
    run.run()
    override = "train.init_checkpoint=weights/cephdetr19.safetensors"
    cfg = with_task(load_config("tests/support/tiny_config.py", [override], {"train": TrainSettings}))
    found = load_resumable(tmp_path, cfg, run.task, run.data.val)
    assert found.config.train.init_checkpoint is None and "cephdetr19.safetensors is not read" in caplog.text


@pytest.mark.parametrize(("override", "fits"), [("train.log_every=7", True), ("train.iterations=9", False)])
def test_only_bookkeeping_may_change_when_continuing(tiny_prepared, tmp_path, override, fits):
    run = make_run(tiny_prepared, tmp_path)
    run.run()
    cfg = with_task(load_config("tests/support/tiny_config.py", [override]))
    task, data = run.task, run.data.val
    if fits:
        assert load_resumable(tmp_path, cfg, task, data).file == tmp_path / "last.pt"
        return
    with pytest.raises(ValueError, match=r"train\.iterations was 4, is 9"):
        load_resumable(tmp_path, cfg, task, data)
    with pytest.raises(ValueError, match=r"Give the run's last\.pt"):
        load_resumable(tmp_path / "best.pt", cfg, task, data)


def test_evaluation_errors_are_in_source_millimetres(tiny_prepared):
    dataset = PreparedDataset(tiny_prepared, "test", TinyTransforms(size=SIZE))
    model = TinyModel(num_landmarks=5)
    nn.init.zeros_(model.head.weight)
    nn.init.zeros_(model.head.bias)
    errors = evaluate(LandmarkTask(), model, eval_loader(dataset, 1, 0, collate=collate), "cpu")
    centre = np.array([40.0, 48.0])  # of an 80x96 image, 0.5 mm per pixel
    expected = [np.linalg.norm(dataset.load(i).points - centre, axis=-1) * 0.5 for i in range(2)]
    np.testing.assert_allclose(errors.radial_mm, expected, atol=1e-4)


def test_the_task_knows_what_may_choose_the_best():
    assert require_criterion(LandmarkTask(), None) == "mre"
    with pytest.raises(ValueError, match=r"train\.select='nll', expected one of \('mre', 'sdr2'\)"):
        require_criterion(LandmarkTask(), "nll")


def test_selection_by_mre_and_by_sdr():
    first = {"mre_mm": 2.0, "sdr_percent": {"2.0": 60.0}}
    second = {"mre_mm": 1.9, "sdr_percent": {"2.0": 55.0}}
    mre, sdr = LandmarkTask.criteria["mre"], LandmarkTask.criteria["sdr2"]
    by_mre, by_sdr = Selection("mre", 1), Selection("sdr2", 1)
    assert by_mre.update(10, first, mre(first)) and by_sdr.update(10, first, sdr(first))
    assert by_mre.update(20, second, mre(second)) and not by_sdr.update(20, second, sdr(second))
    assert (by_mre.best_iteration, by_sdr.best_iteration) == (20, 10)
    assert by_sdr.exhausted and not by_mre.exhausted


def test_learning_rate_warms_up_and_falls_to_nothing():
    factors = [learning_rate_factor(i, iterations=100, warmup=0.1) for i in range(100)]
    assert factors[:10] == sorted(factors[:10]) and 0 < factors[0] <= 0.1
    assert factors[10] == 1.0 and factors[10:] == sorted(factors[10:], reverse=True)
    assert 0 < factors[-1] < 1e-3
    assert learning_rate_factor(55, iterations=100, warmup=0.1) == pytest.approx(0.5)


def test_average_follows_floats_and_copies_counters():
    model = nn.BatchNorm1d(2)
    average = WeightAverage(model, decay=0.999)
    with torch.no_grad():
        model.weight.fill_(11.0), model.running_mean.fill_(20.0), model.num_batches_tracked.fill_(3)
    average.update(model)
    assert torch.allclose(average.model.weight, torch.tensor(1.0 + 0.9 * 10.0))  # decay 1/10 at first
    assert torch.allclose(average.model.running_mean, torch.tensor(18.0))
    assert average.model.num_batches_tracked == 3
    average.updates = 100_000
    before = average.model.weight.clone()
    with torch.no_grad():
        model.weight.fill_(before[0].item() + 1000.0)
    average.update(model)
    assert torch.allclose(average.model.weight - before, torch.tensor(1.0), atol=1e-2)  # decay 0.999 at last


def test_vectors_do_not_decay():
    groups = parameter_groups(TinyModel(num_landmarks=5))
    assert groups[1]["weight_decay"] == 0.0
    assert all(parameter.ndim > 1 for parameter in groups[0]["params"])
    count = sum(len(group["params"]) for group in groups)
    assert count == len(list(TinyModel(num_landmarks=5).parameters()))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"iteration": 3}, "train.iteration is unknown; did you mean 'iterations'"),
        ({"iterations": 0}, "train.iterations=0, expected a whole number of at least 1"),
        ({"iterations": "many"}, "train.iterations='many'"),
        ({"warmup": 1.5}, "train.warmup=1.5"),
        ({"warmup": float("inf")}, "train.warmup=inf"),
        ({"iterations": 0, "epochs": float("inf")}, "train.epochs=inf"),
        ({"mixed_precision": "fp8"}, "train.mixed_precision='fp8'"),
        ({"patience": 0}, "train.patience=0"),
        ({"save_every": 100}, "train.save_every is no more.*train.save_minutes"),
        ({"save_minutes": -1}, "train.save_minutes=-1, expected minutes"),
    ],
)
def test_wrong_settings_are_named(change, message):
    section = {"output_dir": "x", "iterations": 4, "batch_size": 2}
    with pytest.raises(ValueError, match=message):
        TrainSettings.from_config(section | change)
    with pytest.raises(ValueError, match=r"lacks \['batch_size'\]"):
        TrainSettings.from_config({"output_dir": "x", "iterations": 4})
