"""Weights to hand out: a checkpoint's averaged model in half precision, as one safetensors file.

Half the size of ``best.pt``, no pickle, and readable by anything that reads safetensors. Matrices and
convolutions are float16; vectors (norms, biases) and landmark positions keep float32. The other keys of a
checkpoint are text in the file's metadata.
"""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from omegaconf import OmegaConf
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor

from util.files import write_atomic

SUFFIX = ".safetensors"
_EXACT = ("mean_shape", "search.shape", "search.gains")
_TEXT = ("format", "config", "labels")  # the others are JSON
_NOT_KEPT = ("weights", "training")
_PLACES = (  # of another machine
    ("data", "folder"),
    ("train", "output_dir"),
    ("train", "init_checkpoint"),
    ("model.backbone", "weights"),
    ("model.trunk", "weights"),
)


def write_weights(file: str | Path, checkpoint: Mapping[str, Any]) -> None:
    """Write ``checkpoint`` (util.checkpoints.checkpoint) to ``file``.

    Raises ValueError for a weight that float16 cannot hold.
    """
    kept = {key: value for key, value in checkpoint.items() if key not in _NOT_KEPT}
    kept["config"] = _without_places(checkpoint["config"])
    metadata = {key: value if key in _TEXT else json.dumps(value) for key, value in kept.items()}
    tensors = {name: _halved(name, tensor) for name, tensor in checkpoint["weights"].items()}
    write_atomic(file, save(tensors, metadata))


def read_weights(file: Path) -> dict[str, Any]:
    """The checkpoint in ``file``, on the CPU. Raises ValueError when it is cut short or something else."""
    try:
        with safe_open(file, framework="pt") as opened:
            metadata = opened.metadata() or {}
            weights = {name: opened.get_tensor(name) for name in opened.keys()}  # noqa: SIM118 (no mapping)
        content = {key: text if key in _TEXT else json.loads(text) for key, text in metadata.items()}
        return {"format": content["format"], **content, "weights": weights}
    except (SafetensorError, OSError, ValueError) as error:
        raise ValueError(f"{file}: damaged or no safetensors file ({error}). Get it anew.") from error
    except KeyError as error:
        raise ValueError(
            f"{file}: its metadata lack {error}: not written by tools/export_weights.py."
        ) from error


def _without_places(config: str) -> str:
    """A run's config without the paths of the machine that trained."""
    content = OmegaConf.create(config)
    for section, key in _PLACES:
        OmegaConf.select(content, section, default={}).pop(key, None)
    return OmegaConf.to_yaml(content)


def _halved(name: str, tensor: Tensor) -> Tensor:
    if not tensor.is_floating_point() or tensor.ndim < 2 or name in _EXACT:
        return tensor.contiguous()
    half = tensor.half().contiguous()
    if not torch.isfinite(half).all():
        raise ValueError(
            f"{name}: a weight of {tensor.abs().max():.3g}, float16 ends at 65504. Keep the .pt file."
        )
    return half
