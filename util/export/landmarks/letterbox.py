"""The letterbox of ``EvalTransforms`` as tensor operations, so that it can be part of an exported graph.

Blur and bilinear sampling are linear and treat rows and columns alike: one matrix per axis does both, and its
shape follows from the sizes of image and canvas alone, so the graph takes images of any size.
"""

import torch
from torch import Tensor, nn

_MARGIN = 32  # mirrored pixels on each side: enough for the blur of images 20 times the canvas


class RawLandmarks(nn.Module):
    """A landmark model between an image of any size and landmarks in the pixels of that image."""

    canvas: Tensor

    def __init__(self, model: nn.Module, size: tuple[int, int]) -> None:
        super().__init__()
        self.model = model  # (1, 1, height, width) -> points and scales (1, K, 2), normalised
        self.register_buffer("canvas", torch.tensor(size[::-1], dtype=torch.float32))  # width, height
        self.size = size

    def forward(self, image: Tensor) -> tuple[Tensor, Tensor]:
        """(H, W) uint8 -> points and scales (K, 2) in pixels of the image, continuous."""
        lengths = torch.stack([torch.full((), length) for length in (image.shape[1], image.shape[0])])
        zoom = (self.canvas / lengths.float()).min()
        shift = (self.canvas - zoom * lengths) / 2.0  # (2,) canvas pixels left of and above the image
        points, scales = self.model(letterbox(image, self.size, zoom, shift)[None, None] / 255.0)
        return (points[0] * self.canvas - shift) / zoom, scales[0] * self.canvas / zoom


def letterbox(image: Tensor, size: tuple[int, int], zoom: Tensor, shift: Tensor) -> Tensor:
    """(H, W) uint8 -> (height, width) float32 grey levels, not rounded.

    As ``transforms.geometry.warp_image`` with canvas = ``zoom`` * source + ``shift`` (x, y).
    """
    height, width = image.shape
    mirrored = image[_mirrored(height)][:, _mirrored(width)].float()
    rows = _weights(size[0], height, zoom, shift[1])
    columns = _weights(size[1], width, zoom, shift[0])
    return rows @ mirrored @ columns.T


def _mirrored(length: int) -> Tensor:
    """(length + 2 margins,) indices of an axis that goes on beyond its end pixels as in a mirror."""
    last = length - 1
    index = torch.arange(-_MARGIN, length + _MARGIN).abs()
    return (last - (last - index).abs()).clamp(min=0)  # images thinner than a margin repeat their first pixel


def _weights(count: int, length: int, zoom: Tensor, shift: Tensor) -> Tensor:
    """(count, length + 2 margins) shares of the mirrored source pixels in the pixels of the canvas.

    Linear interpolation between two neighbours, 0 beyond the image; where ``zoom`` < 1 both are blurred by a
    Gaussian that ends at OpenCV's radius.
    """
    sigma = 0.5 * (1.0 / zoom.square() - 1.0).clamp(min=1e-6).sqrt()
    radius = ((6.0 * sigma + 1.0).round() / 2.0).floor()
    position = (torch.arange(count) + 0.5 - shift) / zoom - 0.5  # in indices of the source
    first = position.floor()
    share = position - first
    index = torch.arange(-_MARGIN, length + _MARGIN).float()
    weights = torch.zeros(())
    for at, portion in ((first, 1.0 - share), (first + 1.0, share)):
        distance = index - at[:, None]
        gauss = torch.exp(distance.square() * (-0.5 / sigma.square())) * (distance.abs() <= radius)
        inside = (at >= 0.0) & (at <= length - 1)
        weights = weights + gauss * (portion * inside / gauss.sum(1).clamp(min=1e-6))[:, None]
    return weights
