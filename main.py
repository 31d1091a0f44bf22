"""Train a model: landmarks, boxes or masks, as the config's task says.

    python main.py --config-file configs/train_config.py [key=value ...]
    python main.py --config-file skull.py --config-file spine.py [key=value ...]

The second line trains one model for several landmark sets.

On several GPUs: ``accelerate launch main.py ...``; in several processes on a CPU:
``torchrun --nproc_per_node N main.py ...``.
"""

import argparse
import json
import logging
import os
import re
import sys
from functools import partial
from pathlib import Path
from typing import Any

import torch
from accelerate import Accelerator
from omegaconf import DictConfig
from tqdm import tqdm

from datasets.landmarks.landmark_set import LandmarkSet
from datasets.loader import TrainSampler, eval_loader, parts_of, train_loader
from datasets.prepared.splits import Fold
from datasets.prepared.subsets import content_digest, read_header
from util.arguments import escape_on_console
from util.checkpoints.checkpoint import with_task
from util.checkpoints.one_of_several import joined_config
from util.config import instantiate, load_config, require_sections, with_values
from util.training.augmentation import log_augmentation
from util.training.automatic import automatic_overrides
from util.training.engine import Ending, Progress, TrainingData, TrainingRun
from util.training.initial_weights import starting_model
from util.training.optim import parameter_groups
from util.training.precision import precision_here
from util.training.ranks import decided_by_first
from util.training.reproduce import environment_record, make_deterministic, seed_everything
from util.training.run_folder import RunFolder, checkpoint_of, config_beside, load_resumable
from util.training.settings import PRECISIONS, TrainSettings
from util.training.task import Task, require_criterion
from util.training.trainer import NonFiniteError, Trainer

DEFAULT_CONFIG = "configs/train_config.py"
PLAIN_SECTIONS = {"train": TrainSettings}
SECTIONS = ("model", "criterion", "train_transforms", "eval_transforms", "data", "optimizer", "train")


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Train a model.")
    parser.add_argument(
        "overrides", nargs="*", metavar="key=value", help="config values: train.iterations=500"
    )
    parser.add_argument(
        "--config-file",
        action="append",
        metavar="FILE",
        help=".py file, or a run's config.yaml (default: that of the run to continue, else "
        "configs/train_config.py); given several times, a landmark set each: one model for all, with a "
        "shared trunk (docs/own_data.md)",
    )
    parser.add_argument("--mixed-precision", choices=PRECISIONS, help="fp16 on a GPU, bf16 on a CPU")
    parser.add_argument("--accumulate-steps", type=int, metavar="N", help="forward passes an optimizer step")
    parser.add_argument("--seed", type=int, metavar="N")
    parser.add_argument(
        "--fold", metavar="I/K", help="validate on fold I of K of train and val, train on the others"
    )
    parser.add_argument(
        "--init-checkpoint", metavar="FILE", help="start a new training from the weights of this checkpoint"
    )
    parser.add_argument(
        "--resume-from-checkpoint", metavar="RUN", help="run folder to continue, or its last.pt"
    )
    return parser.parse_intermixed_args()


def resolved_config(args: argparse.Namespace) -> DictConfig:
    """The config file with the command line applied, or those of several landmark sets as one."""
    beside = None if args.resume_from_checkpoint is None else config_beside(args.resume_from_checkpoint)
    files = args.config_file or [DEFAULT_CONFIG if beside is None else str(beside)]
    configs = [one_config(file, args) for file in files]
    cfg = configs[0] if len(configs) == 1 else joined_config(by_landmark_set(configs))
    if args.fold is not None:
        cfg = with_values(cfg, {"train.output_dir": folder_of_fold(cfg.train.output_dir, args.fold)})
    if beside is not None and not args.config_file and not overridden(args, "train.output_dir"):
        cfg = with_values(cfg, {"train.output_dir": str(beside.parent)})  # where it lies now, perhaps moved
    return cfg


def one_config(file: str, args: argparse.Namespace) -> DictConfig:
    """A config file with the command line applied; a flag is short for ``train.FLAG=VALUE``."""
    overrides = list(args.overrides)
    for name in ("mixed_precision", "accumulate_steps", "seed", "init_checkpoint"):
        if getattr(args, name) is not None:
            overrides.append(f"train.{name}={json.dumps(getattr(args, name))}")
    if args.fold is not None:
        overrides += fold_overrides(args)
    cfg = load_config(file, overrides, PLAIN_SECTIONS)
    require_sections(cfg, SECTIONS, file)
    cfg = with_task(cfg)
    if found := automatic_overrides(cfg):
        cfg = load_config(file, overrides + found, PLAIN_SECTIONS)
    return with_task(cfg)


def by_landmark_set(configs: list[DictConfig]) -> dict[str, DictConfig]:
    """``configs`` by the landmark set of their data. Raises ValueError for two of one set."""
    named: dict[str, DictConfig] = {}
    for cfg in configs:
        header = read_header(Path(cfg.data.folder))
        name = LandmarkSet.from_dict(header["landmark_set"], source=cfg.data.folder).name
        if name in named:
            raise ValueError(
                f"{cfg.data.folder}: landmark set {name!r}, which {named[name].data.folder} has too, "
                "expected different sets. Prepare both as one folder, or give one of the sets another name."
            )
        named[name] = cfg
    return named


def fold_overrides(args: argparse.Namespace) -> list[str]:
    """What ``--fold 1/5`` is short for, beside a run folder of its own (``folder_of_fold``).

    Raises ValueError where the command line names the same subsets otherwise.
    """
    fold = Fold.parse(args.fold)
    subsets = [f"data.{part}={fold.subset(part)}" for part in Fold.PARTS]
    for part in Fold.PARTS:
        if overridden(args, f"data.{part}"):
            raise ValueError(
                f"--fold {args.fold} and data.{part}=...: expected one of them. The fold is "
                f"{' '.join(subsets)}; for 25 of its images put :25 behind its train, in place of --fold."
            )
    return subsets


def folder_of_fold(output_dir: str, text: str) -> str:
    """The run folder of fold ``text`` of the run that would go to ``output_dir``."""
    fold = Fold.parse(text)
    unfolded = re.sub(r"_fold\d+of\d+$", "", output_dir)  # as a fold's own config.yaml has it already
    return f"{unfolded}_fold{fold.number}of{fold.count}"


def overridden(args: argparse.Namespace, key: str) -> bool:
    """Whether the command line gives ``key`` a value."""
    return any(item.startswith(f"{key}=") for item in args.overrides)


def task_of(cfg: DictConfig) -> Task:
    """The task that a config names. Raises ValueError if that is something else."""
    task = instantiate(cfg.task)
    if not isinstance(task, Task):
        raise ValueError(f"config section task: a {type(task).__name__}, expected one of tasks/.")
    return task


def open_data(cfg: DictConfig, task: Task, settings: TrainSettings) -> tuple[Any, Any]:
    """Training and validation set, checked for all that a training needs of them."""
    data = cfg.data
    augmentation = instantiate(cfg.train_transforms)
    train_set = task.open_data(data.folder, data.train, augmentation, settings.seed)
    val_set = task.open_data(data.folder, data.val, instantiate(cfg.eval_transforms))
    for dataset in (train_set, val_set):
        task.require_trainable(dataset)
    log_augmentation(augmentation)
    return train_set, task.fitted(task.meaning(train_set), val_set, Path(f"data.train={data.train}"))


def build_trainer(
    cfg: DictConfig,
    settings: TrainSettings,
    accelerator: Accelerator,
    *,
    task: Task,
    resumed: bool,
) -> Trainer:
    """A model with the weights that a run starts from, and what it takes from the training set."""
    upright = task.open_data(cfg.data.folder, cfg.data.train, instantiate(cfg.eval_transforms))
    seed_everything(settings.seed)
    model = starting_model(cfg.model, settings, task, task.meaning(upright), resumed=resumed)
    task.begin(model, upright)
    optimizer = instantiate(cfg.optimizer, params=parameter_groups(model, settings.encoder_lr))
    criterion = instantiate(cfg.criterion)
    return Trainer(model, criterion, optimizer, task=task, settings=settings, accelerator=accelerator)


def build_loaders(cfg: DictConfig, trainer: Trainer, train_set: Any, val_set: Any) -> TrainingData:
    """Loaders of this process's share, the training's from the trainer's iteration on."""
    task, settings, accelerator = trainer.task, trainer.settings, trainer.accelerator
    workers = cfg.data.workers
    rank, num_ranks = accelerator.process_index, accelerator.num_processes
    sampler = TrainSampler(
        parts_of(train_set),
        settings.batch_size,
        seed=settings.seed,
        first_batch=trainer.iteration * settings.accumulate_steps,
        rank=rank,
        num_ranks=num_ranks,
    )
    return TrainingData(
        train_loader=train_loader(train_set, sampler, workers, collate=task.collate),
        val_loader=eval_loader(
            val_set, settings.eval_batch_size, workers, collate=task.collate, rank=rank, num_ranks=num_ranks
        ),
        val=val_set,
        digest=content_digest(cfg.data.folder),
    )


def prepare_run(cfg: DictConfig, resume_from: str | None) -> TrainingRun:
    """A run ready to go, from its start or from ``resume_from``, with its folder claimed."""
    settings = TrainSettings.from_config(cfg.train)
    precision = precision_here(settings.mixed_precision)
    accelerator = Accelerator(mixed_precision=precision, cpu=not torch.cuda.is_available())
    if not accelerator.is_main_process:
        logging.getLogger().setLevel(logging.WARNING)  # news once, not once a process
    folder = RunFolder(settings.output_dir)
    if resume_from is None:
        decided_by_first(folder.require_free)
    task = task_of(cfg)
    require_criterion(task, settings.select)
    train_set, val_set = open_data(cfg, task, settings)
    settings = settings.counted(len(train_set))
    resumed = None
    if resume_from is not None:
        file = decided_by_first(partial(checkpoint_of, resume_from))
        resumed = load_resumable(file, cfg, task, train_set)
        cfg = resumed.config
    trainer = build_trainer(cfg, settings, accelerator, task=task, resumed=resumed is not None)
    if resumed is not None:
        trainer.restore(resumed.content, resumed.file)
    run = TrainingRun(trainer, build_loaders(cfg, trainer, train_set, val_set), folder, cfg)
    if resumed is not None:
        run.restore(resumed.content)
    accelerator.wait_for_everyone()  # all have read the checkpoint that is given another name now
    if accelerator.is_main_process:
        if resumed is None:
            folder.begin(cfg, environment_record())
        else:
            folder.resume(resumed.file.parent, trainer.iteration, cfg, environment_record())
    accelerator.wait_for_everyone()
    return run


def run_with_bar(run: TrainingRun) -> Ending:
    """Train with a progress bar that shows the time left, the loss and the last validation numbers."""
    total, quiet = run.settings.iterations, not run.trainer.accelerator.is_main_process
    pause = 0.1 if sys.stderr.isatty() else 10.0  # seconds between updates: a log file wants few lines
    with tqdm(total=total, initial=run.trainer.iteration, disable=quiet, mininterval=pause, unit="it") as bar:

        def show(progress: Progress) -> None:
            if progress.iteration % run.settings.log_every == 0 or progress.iteration == total:
                shown = {"loss": f"{progress.report.losses['loss'].item():.3f}"}
                if progress.metrics:
                    shown |= run.task.words(progress.metrics)
                bar.set_postfix(shown, refresh=False)
            bar.update()

        return run.run(show)


def report(run: TrainingRun, ending: Ending) -> None:
    """The last lines of a run: how it ended, its best numbers, where to look."""
    selection, folder = run.selection, run.folder
    done = f"{run.trainer.iteration} of {run.settings.iterations} iterations"
    print(f"{ending} after {done}, {run.seconds / 60.0:.1f} minutes.")
    if selection.best is not None:
        numbers = ", ".join(f"{name} {value}" for name, value in run.task.words(selection.metrics).items())
        place = f"at iteration {selection.best_iteration}: {folder.best}"
        print(f"Best on {run.data.val.subset!r}: {numbers}, {place}")
    if ending == "stopped":
        print(f"Continue: add --resume-from-checkpoint {folder.path} to the same command.")
    print(f"Curves: tensorboard --logdir {folder.path}    Numbers: {folder.metrics}")


def main() -> int:
    """0: done, or stopped by the user with everything saved; 1: the loss diverged; 2: the input is wrong."""
    escape_on_console()
    os.environ.setdefault("THP_MEM_ALLOC_ENABLE", "1")  # large pages under Linux: docs/benchmark.md
    logging.basicConfig(level=logging.INFO, format="%(levelname)s %(name)s: %(message)s")
    args = parse_arguments()
    try:
        make_deterministic()
        run = prepare_run(resolved_config(args), args.resume_from_checkpoint)
        ending = run_with_bar(run)
    except NonFiniteError as error:
        print(f"main.py: {error}. Its state is in nan_state.pt of the run folder.", file=sys.stderr)
        return 1
    except (ValueError, FileNotFoundError) as error:
        print(f"main.py: {one_line(error)}", file=sys.stderr)
        return 2
    if run.trainer.accelerator.is_main_process:
        report(run, ending)
    run.trainer.accelerator.end_training()
    return 0


def one_line(error: Exception) -> str:
    """The message of ``error``; an error from a loader's process has it last, after a traceback."""
    message = str(error).strip()
    if "DataLoader worker" not in message:
        return message
    return message.splitlines()[-1].removeprefix("ValueError: ")


if __name__ == "__main__":
    sys.exit(main())
