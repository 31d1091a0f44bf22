"""Encoder-decoders that give one fine feature map: those of segmentation-models-pytorch, and HRNet's."""

import difflib
from collections.abc import Mapping, Sequence
from typing import Any

import torch
from segmentation_models_pytorch.decoders.unet.decoder import UnetDecoder
from segmentation_models_pytorch.decoders.unetplusplus.decoder import UnetPlusPlusDecoder
from segmentation_models_pytorch.decoders.upernet.decoder import UPerNetDecoder
from segmentation_models_pytorch.encoders import get_encoder
from torch import Tensor, nn
from torch.nn import functional as F

from models.backbone import STRIDES, TimmBackbone, require_multiple
from models.smp_encoder import first_weights, require_known_encoder

ARCHITECTURES = ("Unet", "UnetPlusPlus", "UPerNet")
_UPERNET_STRIDE = 4  # of the map that its decoder gives
_UPERNET_STRIDES = (4, 8, 16, 32)


class SmpTrunk(nn.Module):
    """UNet, UNet++ or UPerNet of segmentation-models-pytorch on grey images, up to the map of ``stride``.

    ``encoder`` is one of smp's, or any timm model as "tu-NAME". Its coarsest map has stride 2 ** ``depth``.
    ``decoder_channels`` are the widths from the coarsest block to the finest (UPerNet: one width).
    ``weights`` is a local file of timm weights for a "tu-NAME"; ``pretrained=True`` asks the hub for them.

    The decoder ends at ``stride`` and not at 1, so that no time goes into detail that the heatmaps do not
    hold. UNet's last block still reads the encoder's map of that stride (the image itself for stride 1, where
    the encoder has no such map); UNet++'s last block only enlarges, as published.
    """

    def __init__(
        self,
        *,
        architecture: str,
        encoder: str,
        decoder_channels: Sequence[int],
        stride: int = 4,
        depth: int = 5,
        pretrained: bool = False,
        weights: str | None = None,
    ) -> None:
        super().__init__()
        if architecture not in ARCHITECTURES:
            close = difflib.get_close_matches(architecture, ARCHITECTURES, n=1, cutoff=0.4)
            hint = f"; did you mean {close[0]!r}?" if close else "."
            raise ValueError(f"architecture {architecture!r}, expected one of {ARCHITECTURES}{hint}")
        self.stride, self.multiple = stride, 2**depth
        self._levels = _levels_read(architecture, stride, depth)
        _require_widths(architecture, decoder_channels, len(self._levels) - 1)
        self.encoder = _create_encoder(encoder, depth, pretrained, weights)
        channels = [self.encoder.out_channels[level] for level in self._levels]
        absent = [2**level for level in self._levels if self.encoder.out_channels[level] == 0]
        if absent and architecture != "UPerNet":  # which reads no map finer than stride 4
            raise ValueError(
                f"encoder {encoder!r} has no map of stride {absent[0]}, which {architecture} at stride "
                f"{stride} reads. Use stride 4, or an encoder with finer maps such as tu-resnet18."
            )
        self.decoder = _create_decoder(architecture, channels, decoder_channels)
        self.channels = int(decoder_channels[-1])

    def forward(self, images: Tensor) -> Tensor:
        """(B, 1, H, W) normalised images -> (B, channels, H / stride, W / stride)."""
        require_multiple(images, self.multiple)
        features = self.encoder(images)
        return self.decoder([features[level] for level in self._levels])


class ConcatTrunk(nn.Module):
    """A timm backbone whose maps are brought to stride 4, concatenated and mixed by a 1x1 convolution.

    The usual head of HRNet (HRNetV2: Sun et al., 2019), whose branches keep their strides to the end.
    """

    stride, multiple = STRIDES[0], STRIDES[-1]

    def __init__(self, *, encoder: TimmBackbone) -> None:
        super().__init__()
        self.encoder = encoder
        self.channels = sum(encoder.channels)
        self.mix = nn.Sequential(
            nn.Conv2d(self.channels, self.channels, 1, bias=False),
            nn.BatchNorm2d(self.channels),
            nn.ReLU(inplace=True),
        )

    def forward(self, images: Tensor) -> Tensor:
        """(B, 1, H, W) normalised images -> (B, channels, H / 4, W / 4)."""
        require_multiple(images, self.multiple)
        maps = self.encoder(images)
        size = maps[0].shape[-2:]
        fine = [F.interpolate(m, size, mode="bilinear", align_corners=False) for m in maps[1:]]
        return self.mix(torch.cat([maps[0], *fine], 1))


def _levels_read(architecture: str, stride: int, depth: int) -> list[int]:
    """Indices into the encoder's maps of stride 1, 2, 4, ... that the decoder gets.

    smp's decoders drop the first map that they are given (UPerNet the first two), so it is any.
    """
    if architecture == "UPerNet":
        if stride != _UPERNET_STRIDE or 2**depth < _UPERNET_STRIDES[-1]:
            raise ValueError(
                f"UPerNet with stride={stride}, depth={depth}: its decoder gives stride {_UPERNET_STRIDE} "
                f"from maps of strides {_UPERNET_STRIDES}. Leave both out; the codec may still differ."
            )
        return list(range(depth + 1))
    only_enlarges = architecture == "UnetPlusPlus"  # the last block
    possible = [2**level for level in range(depth - only_enlarges)]
    if stride not in possible:
        raise ValueError(
            f"trunk stride {stride}: {architecture} of depth {depth} can give one of {possible}."
        )
    finest = possible.index(stride)
    first = finest + only_enlarges
    return [finest, *range(first, depth + 1)]


def _require_widths(architecture: str, widths: Sequence[int], num_skips: int) -> None:
    expected = {"Unet": num_skips - 1, "UnetPlusPlus": num_skips, "UPerNet": 1}[architecture]
    if len(widths) != expected or min(widths) < 1:
        raise ValueError(
            f"decoder_channels={list(widths)}: {architecture} at this stride and depth has {expected} "
            "blocks, expected one positive width each, coarsest first."
        )


def _create_encoder(name: str, depth: int, pretrained: bool, weights: str | None) -> Any:
    require_known_encoder(name)
    source, options = first_weights(name, pretrained, weights)
    try:
        return get_encoder(name, in_channels=1, depth=depth, weights=source, **options)
    except Exception as error:
        reason = f"({type(error).__name__}: {error})"
        if source is not None:
            raise ValueError(
                f"encoder {name!r}: pretrained weights could not be loaded {reason}. Without a route to the "
                "hub set pretrained=False, or give a local file as weights=FILE."
            ) from error
        raise ValueError(
            f"encoder {name!r} has no maps of strides {[2**level for level in range(1, depth + 1)]} "
            f"{reason}. Choose a hierarchical model such as tu-resnet18 or tu-convnext_tiny."
        ) from error


def _create_decoder(architecture: str, channels: Sequence[int], widths: Sequence[int]) -> nn.Module:
    if architecture == "UPerNet":
        return UPerNetDecoder(channels, encoder_depth=len(channels) - 1, decoder_channels=widths[0])
    options: Mapping[str, Any] = {"decoder_channels": list(widths), "n_blocks": len(widths)}
    return {"Unet": UnetDecoder, "UnetPlusPlus": UnetPlusPlusDecoder}[architecture](channels, **options)
