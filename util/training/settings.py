"""The ``train`` section of a config: its keys, their meaning, their defaults and what they may be."""

import inspect
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from util.config import nearest

PRECISIONS = ("no", "fp16", "bf16")


@dataclass(frozen=True)
class TrainSettings:
    """How a training runs. Counts are in iterations (optimizer steps) unless said otherwise."""

    output_dir: str
    iterations: int  # 0: what ``epochs`` make of them (``counted``)
    batch_size: int  # images a forward pass, over all processes together
    epochs: float | None = None  # in place of iterations: how often each image is seen
    accumulate_steps: int = 1  # forward passes an iteration
    warmup: float = 0.05  # share of the iterations; from 1 on iterations, at most a tenth of all
    milestones: Sequence[float] | None = None  # shares after which the rate is a tenth; None: half a cosine
    clip_norm: float = 1.0
    ema_decay: float = 0.999
    eval_every: int = 200  # 0: once an epoch, where ``epochs`` are given
    save_minutes: float = 10.0  # between two writings of last.pt; it is also written at the end
    log_every: int = 20
    eval_batch_size: int = 8  # images, each process
    patience: int | None = None  # evaluations without improvement before the training stops; None: never
    select: str | None = None  # what makes the best checkpoint, one of the task's criteria; None: its first
    mixed_precision: str = "no"  # "fp16" on a GPU, "bf16" on a CPU
    encoder_lr: float | None = None  # the encoder's own learning rate; None: that of the optimizer
    seed: int = 0
    init_checkpoint: str | None = None  # a file whose averaged weights the model starts from
    init_parts: Sequence[str] | None = None  # its modules to take over, such as ["backbone"]; None: all

    def __post_init__(self) -> None:
        if not isinstance(self.output_dir, str) or not self.output_dir:
            raise ValueError(f"train.output_dir={self.output_dir!r}, expected a folder for the run.")
        least = 1 if self.epochs is None else 0
        for name in ("iterations", "eval_every"):
            self._require(name, int, least, f"a whole number of at least {least}")
        if self.epochs is not None:
            self._require("epochs", (int, float), 1e-12, "a positive number, or null", below=math.inf)
            if self.iterations:
                raise ValueError(
                    f"train.iterations={self.iterations} and train.epochs={self.epochs}: expected one of "
                    "them. Set the other to 0 or to null."
                )
        for name in ("batch_size", "accumulate_steps", "log_every"):
            self._require(name, int, 1, "a whole number of at least 1")
        self._require("eval_batch_size", int, 1, "a whole number of at least 1")
        self._require("seed", int, 0, "a whole number of at least 0")
        self._require("save_minutes", (int, float), 0, "minutes, at least 0")
        self._require("clip_norm", (int, float), 1e-12, "a positive number")
        if self.encoder_lr is not None:
            self._require("encoder_lr", (int, float), 0, "a number of at least 0, or null")
        if self.patience is not None:
            self._require("patience", int, 1, "a whole number of at least 1, or null")
        self._require("warmup", (int, float), 0, "a share from 0 to below 1, or a number of iterations")
        if self.warmup >= 1 and not float(self.warmup).is_integer():
            raise ValueError(
                f"train.warmup={self.warmup!r}, expected a share from 0 to below 1, or a whole number of "
                "iterations."
            )
        self._require("ema_decay", (int, float), 0, "a number from 0 to below 1", below=1)
        self._require_milestones()
        self._require_start()
        if self.mixed_precision not in PRECISIONS:
            raise ValueError(f"train.mixed_precision={self.mixed_precision!r}, expected one of {PRECISIONS}.")

    @classmethod
    def from_config(cls, section: Mapping[str, Any]) -> "TrainSettings":
        """Build from the section. Raises ValueError on an unknown or missing key or a wrong value."""
        parameters = inspect.signature(cls).parameters
        if "save_every" in section:
            raise ValueError(
                "config key train.save_every is no more: a run is saved by time, not by steps. Take it out "
                "and give train.save_minutes for other than 10 minutes."
            )
        for key in section:
            if key not in parameters:
                raise ValueError(f"config key train.{key} is unknown; {nearest(str(key), parameters)}")
        section = {"iterations": 0, **section} if section.get("epochs") is not None else section
        absent = [
            name for name, value in parameters.items() if value.default is value.empty and name not in section
        ]
        if absent:
            raise ValueError(f"config section train lacks {absent}. Give them in the config file.")
        return cls(**{str(key): value for key, value in section.items()})

    def counted(self, num_images: int) -> "TrainSettings":
        """The same with ``epochs`` over so many images as iterations."""
        if self.epochs is None:
            return self
        epoch = num_images / (self.batch_size * self.accumulate_steps)  # iterations
        return replace(
            self,
            epochs=None,
            iterations=max(math.ceil(self.epochs * epoch), 1),
            eval_every=self.eval_every or max(math.ceil(epoch), 1),
        )

    def _require_milestones(self) -> None:
        if self.milestones is None:
            return
        steps = self.milestones if isinstance(self.milestones, Sequence) else ()
        numbers = all(isinstance(step, int | float) and not isinstance(step, bool) for step in steps)
        if not steps or not numbers or sorted(set(steps)) != list(steps) or not 0 < steps[0] <= steps[-1] < 1:
            raise ValueError(
                f"train.milestones={self.milestones!r}, expected rising shares of the training between 0 "
                "and 1 such as [0.7, 0.9], or null for a cosine."
            )

    def _require_start(self) -> None:
        if self.init_checkpoint is not None and not isinstance(self.init_checkpoint, str):
            raise ValueError(f"train.init_checkpoint={self.init_checkpoint!r}, expected a file, or null.")
        if self.init_parts is None:
            return
        parts = self.init_parts if isinstance(self.init_parts, Sequence) else ()
        if isinstance(parts, str) or not parts or not all(isinstance(part, str) for part in parts):
            raise ValueError(
                f"train.init_parts={self.init_parts!r}, expected names of modules such as [backbone], or "
                "null for the whole model."
            )
        if self.init_checkpoint is None:
            raise ValueError(
                f"train.init_parts={list(parts)} of no file. Give one as train.init_checkpoint=FILE."
            )

    def _require(
        self,
        name: str,
        kind: type | tuple[type, ...],
        least: float,
        expected: str,
        *,
        below: float | None = None,
    ) -> None:
        value: Any = getattr(self, name)
        number = not isinstance(value, bool) and isinstance(value, kind)
        if not number or not value >= least or (below is not None and not value < below):
            raise ValueError(f"train.{name}={value!r}, expected {expected}.")
