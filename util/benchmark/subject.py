"""What a benchmark measures: a model from a config or a checkpoint, run on random images."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import torch
from torch import Tensor, nn

from models.backbone import input_channels
from models.precision import exact_inference
from util.benchmark.flops import FlopCount, count_flops
from util.checkpoints.checkpoint import load_model, with_task
from util.config import instantiate, load_config, require_sections
from util.training.task import Task

Forward = Callable[[Tensor], object]
PRECISIONS = {"fp32": torch.float32, "bf16": torch.bfloat16, "fp16": torch.float16}


@dataclass(frozen=True)
class Setting:
    """One way to run a model."""

    precision: str  # a key of PRECISIONS
    batch_size: int

    def __str__(self) -> str:
        return f"{self.precision}, batch {self.batch_size}"


@dataclass(frozen=True)
class Source:
    """Where a model comes from, in words that another process understands."""

    kind: Literal["model_config", "checkpoint"]
    file: Path
    size: tuple[int, int]  # height, width of the images
    num_outputs: int  # landmarks or classes; a checkpoint has its own

    @property
    def name(self) -> str:
        is_config = self.kind == "model_config"
        return self.file.stem if is_config else f"{self.file.absolute().parent.name}/{self.file.name}"

    def build(self, device: torch.device) -> nn.Module:
        """The model in eval mode on ``device``. Raises ValueError when the file has none.

        A config that names the ``size`` of its images is given that of this source: some backbones need it.
        """
        if self.kind == "checkpoint":
            return load_model(self.file, device).model
        sized = "size" in load_config(self.file)
        config = load_config(self.file, [f"size={list(self.size)}"] if sized else [])
        require_sections(config, ("model",), self.file)
        task: Task = instantiate(with_task(config).task)
        count = config.get("num_classes", self.num_outputs)
        return task.build_model(config.model, task.example_meaning(count)).eval().to(device)


@dataclass(frozen=True)
class Subject:
    """A model to measure, in eval mode on its device."""

    name: str
    model: nn.Module
    flops: FlopCount  # of one image
    backbone: "Subject | None"  # the child of this name, which the whole is compared with

    @classmethod
    def of(cls, name: str, model: nn.Module, image: Tensor) -> "Subject":
        """``image``: (1, 1, H, W), of the size to measure."""
        part = dict(model.named_children()).get("backbone")
        backbone = None if part is None else cls.of(f"{name}.backbone", part, image)
        return cls(name, model, count_flops(model, as_taken(image, model)), backbone)

    def size_report(self) -> dict[str, Any]:
        """Parameters, and operations of one image in full precision."""
        return {
            "params_m": sum(parameter.numel() for parameter in self.model.parameters()) / 1e6,
            "gflops": self.flops.total / 1e9,
            "uncounted_ops": self.flops.uncounted,
        }


def timm_features(name: str) -> nn.Module:
    """timm's model ``name`` as a pyramid of feature maps of grey images, in eval mode."""
    import timm  # two seconds and much memory, which a process that measures another model does without

    return timm.create_model(name, features_only=True, in_chans=1).eval()


def random_images(setting: Setting, size: tuple[int, int], device: torch.device) -> Tensor:
    """(B, 1, H, W) in [0, 1]."""
    return torch.rand(setting.batch_size, 1, *size, device=device)


def as_taken(images: Tensor, model: nn.Module) -> Tensor:
    """(B, 1, H, W) -> with as many channels as the first convolution of ``model`` takes."""
    return images.expand(-1, input_channels(model.parameters()), -1, -1)


def run(module: Forward, images: Tensor, precision: str) -> object:
    """One forward pass as in inference; precisions below fp32 by autocast."""
    dtype = PRECISIONS[precision]
    autocast = torch.autocast(images.device.type, dtype=dtype, enabled=dtype != torch.float32)
    with exact_inference(), autocast:
        return module(images)
