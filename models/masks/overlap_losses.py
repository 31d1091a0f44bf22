"""Costs of one map against one mask: functions of (B, K, H, W) logits and masks, each giving (B, K).

Every map is judged alone, so that a small structure counts as much as a large one, and one that an image
does not show costs what is predicted of it. All are in [0, 1] but the cross-entropies and the Lovasz hinge.
"""

import torch
from torch import Tensor
from torch.nn import functional as F

_SMOOTH = 1.0  # pixels added above and below: an empty map of an absent class costs 0, not 0 / 0


def binary_cross_entropy(logits: Tensor, masks: Tensor) -> Tensor:
    """Mean over the pixels."""
    return F.binary_cross_entropy_with_logits(logits, masks, reduction="none").flatten(2).mean(-1)


def focal(logits: Tensor, masks: Tensor, gamma: float = 2.0) -> Tensor:
    """Cross-entropy times (1 - p) ** gamma, p being the truth's probability: Lin et al. (2017), eq. 4."""
    cost = F.binary_cross_entropy_with_logits(logits, masks, reduction="none")
    wrong = torch.where(masks > 0.5, -logits, logits).sigmoid()  # 1 - p
    return (wrong**gamma * cost).flatten(2).mean(-1)


def tversky(logits: Tensor, masks: Tensor, alpha: float = 0.3, beta: float = 0.7) -> Tensor:
    """One less the Tversky index; ``alpha`` weighs what is found wrongly, ``beta`` what is missed.

    Salehi et al., Tversky loss function for image segmentation (2017), of the probabilities of an image.
    """
    found, truth = logits.sigmoid().flatten(2), masks.flatten(2)
    both = (found * truth).sum(-1)
    excess, missed = found.sum(-1) - both, truth.sum(-1) - both
    return 1.0 - (both + _SMOOTH) / (both + alpha * excess + beta * missed + _SMOOTH)


def dice(logits: Tensor, masks: Tensor) -> Tensor:
    """One less the Dice coefficient: Milletari et al., V-Net (2016), with sums and not sums of squares."""
    return tversky(logits, masks, 0.5, 0.5)


def jaccard(logits: Tensor, masks: Tensor) -> Tensor:
    """One less intersection over union."""
    return tversky(logits, masks, 1.0, 1.0)


def lovasz_hinge(logits: Tensor, masks: Tensor) -> Tensor:
    """The convex extension of the Jaccard error of hinge errors: Berman et al. (2018), sections 2 and 3.

    For an absent class the Jaccard error is 1 once a pixel is found, so its worst pixel alone is charged.
    """
    logits, masks = logits.flatten(2), masks.flatten(2)
    errors, order = (1.0 - logits * (2.0 * masks - 1.0)).sort(-1, descending=True)
    truth = masks.gather(-1, order)
    total = truth.sum(-1, keepdim=True)
    intersection = total - truth.cumsum(-1)
    union = total + (1.0 - truth).cumsum(-1)  # at least 1: the first pixel is either of the truth or not
    error = 1.0 - intersection / union  # of the worst 1, 2, 3, ... pixels
    growth = torch.diff(error, dim=-1, prepend=torch.zeros_like(total))
    return (errors.relu() * growth).sum(-1)
