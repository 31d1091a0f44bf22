"""A model that follows the protocol of other readers: its landmarks moved by an offset each.

The offset is said in a frame of the face, so a turned, larger or mirrored head gets it right. The frame is
the similarity, mirror included, that lays a reference face onto the model's own landmarks (Procrustes). With
complex numbers x + iy, points p and reference r about their middles: p = a r for a = sum(p conj(r)) /
sum(|r|^2), or p = b conj(r) for b = sum(p r) / sum(|r|^2); the longer of a and b fits better.

``measurements.face_frame`` is the same in numpy.
"""

import torch
from torch import Tensor, nn

from models.landmarks.prediction import Prediction


class Protocol(nn.Module):
    """Moves the final landmarks of a model and widens their scales; no weights, so nothing to train.

    reference, offset: (K, 2), the reference about its middle with rms distance 1, the offset in that unit.
    variance: (K,), of each axis of the offset itself, in the square of that unit. factor: (K,) on the
    predicted scales. canvas: (width, height) in pixels of the model's input, whose pixels are square.
    """

    reference: Tensor
    offset: Tensor
    variance: Tensor
    factor: Tensor
    canvas: Tensor

    def __init__(
        self, *, reference: Tensor, offset: Tensor, variance: Tensor, factor: Tensor, canvas: tuple[int, int]
    ) -> None:
        super().__init__()
        self.register_buffer("reference", reference.float(), persistent=False)
        self.register_buffer("offset", offset.float(), persistent=False)
        self.register_buffer("variance", variance.float(), persistent=False)
        self.register_buffer("factor", factor.float(), persistent=False)
        self.register_buffer("canvas", torch.tensor(canvas, dtype=torch.float32), persistent=False)

    def forward(self, prediction: Prediction) -> Prediction:
        """(..., K, 2) points and log scales, normalised by the canvas, as the readers have them."""
        first, second = self._axes(prediction.points * self.canvas)  # (..., 1, 2) each, canvas pixels
        moved = self.offset[:, :1] * first + self.offset[:, 1:] * second  # (..., K, 2)
        size = first.square().sum(-1, keepdim=True)  # (..., 1, 1) squared pixels of one unit of the frame
        own = (2.0 * prediction.log_scale).exp() * self.factor[:, None].square()
        # A Laplace scale b has variance 2 b^2, so an offset's variance v widens b^2 by v / 2.
        widened = own + size * self.variance[:, None] / 2.0 / self.canvas.square()
        return Prediction(prediction.points + moved / self.canvas, 0.5 * widened.log())

    def _axes(self, pixels: Tensor) -> tuple[Tensor, Tensor]:
        """Where the frame's x and y axis lead on the canvas, as long as the face is large: (..., 1, 2)."""
        x, y = (pixels - pixels.mean(-2, keepdim=True)).unbind(-1)  # (..., K)
        u, v = self.reference.unbind(-1)  # (K,)
        plain = torch.stack([(x * u + y * v).sum(-1), (y * u - x * v).sum(-1)], dim=-1)  # p conj(r)
        mirrored = torch.stack([(x * u - y * v).sum(-1), (y * u + x * v).sum(-1)], dim=-1)  # p r
        flipped = mirrored.square().sum(-1, keepdim=True) > plain.square().sum(-1, keepdim=True)
        first = torch.where(flipped, mirrored, plain) / self.reference.square().sum()  # (..., 2)
        square = torch.stack([-first[..., 1], first[..., 0]], dim=-1)
        second = torch.where(flipped, -square, square)
        return first[..., None, :], second[..., None, :]
