"""What the model is trained on."""

from models.masks.losses import MaskCriterion
from util.config import L

criterion = L(MaskCriterion)(losses={"bce": 1.0, "dice": 1.0})
