"""What every landmark model carries besides its layers."""

from typing import ClassVar

import torch
from torch import Tensor, nn

from models.landmarks.prediction import Prediction
from models.landmarks.protocol import Protocol
from models.normalisation import FixedScale, Normalisation


class LandmarkModel(nn.Module):
    """Base of the models: K landmarks from (B, 1, H, W) images in [0, 1].

    ``normalise`` makes of an image what the layers see (default: ``FixedScale()``). ``mean_shape`` (K, 2),
    normalised: set it from the training set before training. ``uncertainty_factor`` widens the predicted
    scales of the final stage: 1 while training, then what the validation images ask for
    (``util.evaluation.landmarks.calibration``). It is no weight, so checkpoints keep it beside the weights.
    ``protocol`` moves the final stage to where other readers mark; None: as learnt. It is no weight either.

    ``output_tensors``, which a model declares: its other tensors whose first axis runs over the landmarks,
    perhaps with several rows each. A training that starts from another's weights takes these by landmark.
    """

    output_tensors: ClassVar[tuple[str, ...]]
    data_tensors: ClassVar[tuple[str, ...]] = ("mean_shape",)  # of the training set, not learnt
    mean_shape: Tensor
    uncertainty_factor: Tensor
    protocol: Protocol | None

    def __init__(self, num_landmarks: int, normalise: Normalisation | None = None) -> None:
        super().__init__()
        self.num_landmarks, self.normalise = num_landmarks, normalise or FixedScale()
        self.register_buffer("mean_shape", torch.full((num_landmarks, 2), 0.5))
        self.register_buffer("uncertainty_factor", torch.ones(()), persistent=False)
        self.protocol = None

    def calibrated(self, prediction: Prediction) -> Prediction:
        """The final stage as users see it: scales times ``uncertainty_factor``, then by the ``protocol``."""
        found = Prediction(prediction.points, prediction.log_scale + self.uncertainty_factor.log())
        return found if self.protocol is None else self.protocol(found)
