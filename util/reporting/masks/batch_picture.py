"""A few cases of a batch with truth and prediction, for the curves of a training."""

import numpy as np
import torch

from datasets.masks.batch import MaskBatch
from models.masks.mask_model import MaskOutputs
from util.reporting.masks.mask_drawing import compared


def batch_picture(batch: MaskBatch, outputs: MaskOutputs, limit: int = 4) -> np.ndarray:
    """(H, W, 3) uint8 RGB: cases side by side on their canvas, true outlines red, predicted ones green."""
    tiles = []
    thresholds = torch.tensor(outputs.thresholds or [0.5], device=outputs.logits.device)[:, None, None]
    for index in range(min(limit, len(batch))):
        image = (batch.images[index] * 255.0).round().byte().cpu().numpy()  # (C, H, W)
        found = outputs.image(index).sigmoid() >= thresholds
        shown = image[0] if len(image) == 1 else np.ascontiguousarray(image.transpose(1, 2, 0))
        truth = batch.targets[index].cpu().numpy()
        tiles.append(compared(shown, truth, found.cpu().numpy()))
    return np.concatenate(tiles, 1)
