"""What is done to images before the model sees them."""

from configs.masks.parts.model import size
from transforms.augment import EvalTransforms, TrainTransforms
from transforms.intensity import Intensity
from util.config import L

train_transforms = L(TrainTransforms)(
    size="${size}",
    zoom=(0.85, 1.18),
    rotation=10.0,
    intensity=L(Intensity)(strength=0.5, invert=0.0, cutout=0.0),
    artefacts=0.0,
)
eval_transforms = L(EvalTransforms)(size="${size}")
