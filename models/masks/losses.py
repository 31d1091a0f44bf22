"""What a mask model is trained on: costs by name with weights, and the attributes of the image."""

import difflib
from collections.abc import Callable, Mapping, Sequence
from functools import partial

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from models.loss_report import LossReport
from models.masks import overlap_losses
from models.masks.mask_model import MaskOutputs, MaskTargets, enlarged
from models.precision import full_precision

Cost = Callable[[Tensor, Tensor], Tensor]  # (B, K, H, W) logits and masks -> (B, K)


class MaskCriterion(nn.Module):
    """Weighted sum of the costs named in ``losses``, of independent classes, and of the attributes.

    Each cost is the mean over the classes and images that someone annotated; where nobody looked for a class
    it costs nothing. ``class_weights`` (K) are relative: they are scaled to a mean of 1, so that they move
    attention and not the size of the loss. The maps are enlarged to the canvas first, in float32.

    ``attribute_class_weights`` are, for every attribute, what an image of each value costs against its plain
    cross-entropy, as written: 2 is twice. An unknown value costs nothing.
    """

    class_weights: Tensor | None

    def __init__(
        self,
        losses: Mapping[str, float],
        *,
        class_weights: Sequence[float] | None = None,
        attribute_weight: float = 0.0,
        attribute_class_weights: Sequence[Sequence[float]] | None = None,
        tversky_alpha: float | None = None,
        tversky_beta: float | None = None,
        focal_gamma: float | None = None,
    ) -> None:
        super().__init__()
        tversky = _options("tversky", losses, alpha=tversky_alpha, beta=tversky_beta)
        focal = _options("focal", losses, gamma=focal_gamma)
        self.costs = _costs(losses, tversky, focal)
        _require_weights(attribute_weight, attribute_class_weights)
        self.weights = {name: float(weight) for name, weight in losses.items()}
        self.attribute_weight, self.attribute_class_weights = attribute_weight, attribute_class_weights
        self.register_buffer("class_weights", _of_mean_one(class_weights), persistent=False)

    def forward(self, outputs: MaskOutputs, targets: MaskTargets, progress: float) -> LossReport:
        """``progress``, the share of the training that is done, changes nothing here."""
        with full_precision(outputs.logits):
            logits = enlarged(outputs.logits.float(), targets.masks.shape[-2:])
            masks = targets.masks.float()
            parts = {
                name: self.weights[name] * self._mean_known(cost(logits, masks), targets.known)
                for name, cost in self.costs.items()
            }
            if self.attribute_weight:
                cost = self._attributes(outputs.attributes, targets.attributes)
                parts["attributes"] = self.attribute_weight * cost
            elif outputs.attributes:
                raise ValueError(
                    "criterion.attribute_weight=0: the model's heads for attributes would learn nothing, and "
                    "tell something all the same. Give a weight, such as 0.1, or leave out "
                    "model.attribute_values."
                )
            total = torch.stack(list(parts.values())).sum()
        return LossReport(total, {name: value.detach() for name, value in parts.items()})

    def _mean_known(self, costs: Tensor, known: Tensor) -> Tensor:
        """(B, K) costs -> their weighted mean over the known ones, 0 if none is."""
        weights = torch.ones_like(costs) if self.class_weights is None else self.class_weights
        if weights.shape[-1] != costs.shape[-1]:
            raise ValueError(
                f"criterion.class_weights: {weights.shape[-1]} numbers for {costs.shape[-1]} classes, "
                "expected one each, in the order of the data's classes."
            )
        return torch.where(known, weights * costs, 0.0).sum() / known.sum().clamp(min=1)

    def _attributes(self, logits: Sequence[Tensor], values: Tensor) -> Tensor:
        """Sum over the attributes of their weighted mean cross-entropy over the images where it is known."""
        if not logits or len(logits) != values.shape[1]:
            raise ValueError(
                f"criterion.attribute_weight={self.attribute_weight}: the model has {len(logits)} heads for "
                f"the {values.shape[1]} attributes of the data, expected one each, and one at least. Set "
                "attribute_weight=0, or model.attribute_values to how many values each attribute has."
            )
        weights = self.attribute_class_weights or [None] * len(logits)
        if len(weights) != len(logits):
            raise ValueError(
                f"criterion.attribute_class_weights: {len(weights)} lists for {len(logits)} attributes, "
                "expected one each."
            )
        costs = [_cross_entropy(*item) for item in zip(logits, values.T, weights, strict=True)]
        return torch.stack(costs).sum()


def _cross_entropy(logits: Tensor, values: Tensor, weights: Sequence[float] | None) -> Tensor:
    """torch's own ``weight`` divides by the weights of the batch: a batch of one value would not feel it."""
    known = values >= 0
    cost = F.cross_entropy(logits.float(), values.clamp(min=0), reduction="none")
    if weights is not None:
        if len(weights) != logits.shape[1]:
            raise ValueError(
                f"criterion.attribute_class_weights: {list(weights)} for {logits.shape[1]} values, expected "
                "one number each."
            )
        cost = cost * cost.new_tensor(list(weights))[values.clamp(min=0)]
    return torch.where(known, cost, 0.0).sum() / known.sum().clamp(min=1)


def _options(name: str, losses: Mapping[str, float], **options: float | None) -> dict[str, float]:
    """Those given. Raises ValueError for one of a cost that is not charged, and for one that is no number."""
    given = {option: value for option, value in options.items() if value is not None}
    for option, value in given.items():
        if name not in losses:
            raise ValueError(
                f"criterion.{name}_{option}={value!r}: criterion.losses does not name {name!r}, so it would "
                f"change nothing. Name it there, or leave {name}_{option} out."
            )
        if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value < float("inf"):
            raise ValueError(f"criterion.{name}_{option}={value!r}, expected a number of at least 0.")
    return given


def _require_weights(attribute_weight: float, by_value: Sequence[Sequence[float]] | None) -> None:
    """Raise ValueError for a weight below 0, and for weights of values where attributes cost nothing."""
    if not 0 <= attribute_weight < float("inf"):
        raise ValueError(f"criterion.attribute_weight={attribute_weight}, expected a number of at least 0.")
    for weights in by_value or ():
        if not all(0 <= weight < float("inf") for weight in weights):
            raise ValueError(
                f"criterion.attribute_class_weights: {list(weights)}, expected numbers of at least 0."
            )
    if by_value is not None and not attribute_weight:
        raise ValueError(
            "criterion.attribute_class_weights: attribute_weight=0, so they would change nothing. Give "
            "attribute_weight too, such as 0.1, or leave them out."
        )


def _costs(
    losses: Mapping[str, float], tversky: Mapping[str, float], focal: Mapping[str, float]
) -> dict[str, Cost]:
    known: dict[str, Cost] = {
        "bce": overlap_losses.binary_cross_entropy,
        "dice": overlap_losses.dice,
        "jaccard": overlap_losses.jaccard,
        "lovasz": overlap_losses.lovasz_hinge,
        "tversky": partial(overlap_losses.tversky, **tversky),
        "focal": partial(overlap_losses.focal, **focal),
    }
    for name, weight in losses.items():
        if name not in known:
            close = difflib.get_close_matches(name, known, n=1)
            hint = f"did you mean {close[0]!r}?" if close else f"known here: {sorted(known)}."
            raise ValueError(f"criterion.losses names {name!r}; {hint}")
        if isinstance(weight, bool) or not isinstance(weight, int | float) or not 0 < weight < float("inf"):
            raise ValueError(f"criterion.losses.{name}={weight!r}, expected a weight above 0.")
    if not losses:
        raise ValueError(f"criterion.losses is empty, expected at least one of {sorted(known)}.")
    return {name: known[name] for name in losses}


def _of_mean_one(weights: Sequence[float] | None) -> Tensor | None:
    if weights is None:
        return None
    scaled = torch.tensor([float(weight) for weight in weights])
    if not (scaled >= 0).all() or not scaled.sum() > 0:
        raise ValueError(
            f"criterion.class_weights={list(weights)}: expected numbers of at least 0, not all 0."
        )
    return scaled / scaled.mean()
