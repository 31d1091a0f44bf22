"""The rule by which the reference numbers' weights and images are made, and how large arrays are kept.

Weights are a function of their published name, their shape and a seed; images of a name, a size and a seed.
Both need no file, so a reference holds numbers only.
"""

from collections.abc import Mapping

import numpy as np

from util.checkpoints.boxes.published_names import ALIASES, DERIVED

_ALL = (1 << 64) - 1
_GOLDEN = 0x9E3779B97F4A7C15
_WEIGHING = 0x5555555555555555
_FIXED = (*DERIVED, "level_filter_ratio", "layer_filter_ratio")


def weight(name: str, shape: tuple[int, ...], seed: int) -> np.ndarray | None:
    """The float64 tensor of a published ``name``; None for what the architecture fixes."""
    name = ALIASES.get(name, name)
    last = name.rpartition(".")[2]
    if last in _FIXED:
        return None
    values = signed(name, shape, seed)
    offset, gain = _scaling(name, last, shape)
    return offset + gain * values


def image(name: str, height: int, width: int, seed: int) -> np.ndarray:
    """(3, height, width) uint8 RGB: smooth waves, two rectangles and a little noise."""
    y = (np.arange(height, dtype=np.float64) + 0.5)[:, None] / height
    x = (np.arange(width, dtype=np.float64) + 0.5)[None, :] / width
    parameters = signed(f"{name}/p", (3, 8), seed)
    noise = signed(f"{name}/n", (3, height, width), seed)
    planes = []
    for (a, b, d, e, f, g, h, i), grain in zip(parameters, noise, strict=True):
        wave = 50.0 * np.sin(2 * np.pi * ((3 + 2 * a) * x + (2 + b) * y + d))
        ripple = 30.0 * np.sin(2 * np.pi * ((7 + 3 * e) * y - (5 + 3 * f) * x + g))
        plane = 128.0 + wave + ripple + 12.0 * grain
        plane += np.where((abs(x - 0.3) < 0.12) & (abs(y - 0.4) < 0.2), 50.0 * h, 0.0)
        plane += np.where((abs(x - 0.7) < 0.2) & (abs(y - 0.65) < 0.15), 60.0 * i, 0.0)
        planes.append(plane)
    return np.clip(np.floor(np.stack(planes) + 0.5), 0, 255).astype(np.uint8)


def signed(name: str, shape: tuple[int, ...], seed: int) -> np.ndarray:
    """Uniform in [-1, 1), from a name and a seed."""
    key = (_hash(name) ^ (seed * _GOLDEN)) & _ALL
    return (2.0 * _uniform(key, int(np.prod(shape))) - 1.0).reshape(shape)


def hash_weights(name: str, count: int) -> np.ndarray:
    """``count`` numbers in [-1, 1) that belong to ``name``: a weighted sum with them tells arrays apart."""
    return 2.0 * _uniform(_hash(name) ^ _WEIGHING, count) - 1.0


def picked_places(name: str, size: int, count: int) -> np.ndarray:
    """The ``count`` places of a flat array of ``size`` numbers that a reference keeps of ``name``."""
    return np.floor(_uniform(_hash(name), count) * size).astype(np.int64)


def stored(name: str, arrays: Mapping[str, np.ndarray]) -> bool:
    """Whether a reference holds ``name``, whole or as picked places and sums."""
    return name in arrays or f"{name}#at" in arrays


def _scaling(name: str, last: str, shape: tuple[int, ...]) -> tuple[float, float]:
    """Offset and gain of a tensor's uniform numbers."""
    special = _of_last(name, last)
    if special is not None:
        return special
    backbone = name.startswith("backbone")
    if len(shape) == 1:  # the gain of a norm
        base = 0.25 if backbone and ".bn3." in name else 1.0
        return base, base * 0.1
    gain = 1.0
    if backbone and len(shape) == 4:
        gain = 2.0**0.5
    elif "enc_mask_predictor" in name:
        gain = 2.0
    elif "bbox_head" in name and ".layers.2." in name:
        gain = 0.7
    return 0.0, gain * (3.0 / int(np.prod(shape[1:]))) ** 0.5


def _of_last(name: str, last: str) -> tuple[float, float] | None:
    embedded = any(part in name for part in ("embedding.", "tgt_embed", "label_encoder"))
    by_last = {"alpha": (0.0, 0.3), "running_mean": (0.0, 0.1), "running_var": (1.0, 0.25)}
    if last in by_last:
        return by_last[last]
    if last == "level_embeds" or embedded:
        return 0.0, 1.0
    if last == "layer_scale" or last.startswith("gamma"):
        return 0.2, 0.05
    if last == "bias" and "sampling_offsets" in name:
        return 0.0, 2.0
    if last == "bias" and "class_head" in name:
        return -2.0, 0.5
    return (0.0, 0.05) if last in ("bias", "in_proj_bias") else None


def _hash(text: str) -> int:
    """64-bit FNV-1a of a text in utf-8."""
    value = 0xCBF29CE484222325
    for byte in text.encode("utf-8"):
        value = ((value ^ byte) * 0x100000001B3) & _ALL
    return value


def _uniform(key: int, count: int) -> np.ndarray:
    """``count`` numbers in [0, 1): splitmix64 (Steele et al., 2014) at key + i * golden ratio, 53 bits."""
    with np.errstate(over="ignore"):
        z = np.uint64(key) + np.arange(1, count + 1, dtype=np.uint64) * np.uint64(_GOLDEN)
        z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
        z = z ^ (z >> np.uint64(31))
    return (z >> np.uint64(11)).astype(np.float64) * 2.0**-53
