"""The model that a case of reference numbers asks for, with the weights of the rule."""

import re
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from models.boxes.detector import SalienceDetr
from models.boxes.pyramid import Pyramid
from models.boxes.selection import Selection, joint_selection
from util.checkpoints.boxes.published_names import published_names, published_shape
from util.config import instantiate
from util.inspection.boxes.parity_case import Case
from util.inspection.boxes.parity_rule import weight

_NUM_CLASSES = 91
_SMALL = {
    "num_queries": 60,
    "num_attending": 48,
    "num_detections": 50,
}  # of the cases, where they do not tell
_SURPLUS = 4  # proposals that are ranked, for each query


class FedDetector(SalienceDetr):
    """A detector that is told which tokens its encoder works on, where only the order of ties decides."""

    fed: Tensor  # (B, N)

    def selection(self, salience: Sequence[Tensor], pyramid: Pyramid) -> Selection:
        return joint_selection(self.fed, salience, pyramid, self.ratios.levels, self.ratios.layers)


def config_name(case: Case) -> str:
    """The published config that a case was made with, by its file name without ``.py``.

    Raises ValueError for what is more than a name: a path could lead to code that the folder brings.
    """
    scale = "_5scale" if case.meta.get("five") else ""
    name = case.meta.get("config", f"salience_detr_resnet50{scale}_800_1333")
    if not re.fullmatch(r"\w+", str(name)):
        raise ValueError(f"{case.file}: config {name!r}, expected the name of one of configs/salience_detr.")
    return name


def build_model(case: Case, config: Any, dtype: torch.dtype) -> SalienceDetr:
    """The detector of ``config``, cut to the sizes of the case, with its weights."""
    model = instantiate({**config, **sizes_of(case)}, num_classes=_NUM_CLASSES)
    set_weights(model, case.meta["seed"], prefix="")
    if case.tied:
        model.__class__ = FedDetector
        model.fed = torch.from_numpy(case.arrays["salience/inds/0"])
    return _typed(model, dtype)


def sizes_of(case: Case) -> dict[str, int]:
    """Queries, tokens that attend to each other and detections: from the reference, where it tells them."""
    sizes, arrays = dict(_SMALL), case.arrays
    ranked = arrays.get("prop/topk_index")
    if ranked is not None and ranked.shape[1] < arrays["prop/class_max"].shape[1]:
        sizes["num_queries"] = ranked.shape[1] // _SURPLUS
    attended, tokens = arrays.get("enc/0/sa_index"), arrays.get("salience/inds/0")
    if attended is not None and tokens is not None and attended.shape[1] < tokens.shape[1]:
        sizes["num_attending"] = attended.shape[1]
    if "det/0/scores" in arrays:
        sizes["num_detections"] = arrays["det/0/scores"].shape[0]
    return {name: int(case.meta.get(name, size)) for name, size in sizes.items()}


def set_weights(model: nn.Module, seed: int, *, prefix: str) -> None:
    """Give every tensor what the rule says for its published name, ``prefix`` and its own without a table."""
    state = model.state_dict()
    names = {name: prefix + name for name in state} if prefix else published_names(state)
    for ours, name in names.items():
        values = weight(name, published_shape(name, tuple(state[ours].shape)), seed)
        if values is not None:
            state[ours] = torch.from_numpy(np.ascontiguousarray(values)).reshape(state[ours].shape)
    model.double().load_state_dict(state)


def _typed(model: SalienceDetr, dtype: torch.dtype) -> SalienceDetr:
    """The model in ``dtype``; its filter ratios are float32 numbers, whatever it is."""
    model.to(dtype)
    model.ratios.float()
    return model
