"""The encoder-decoders of segmentation-models-pytorch with one sigmoid map a class."""

import difflib
from collections.abc import Mapping, Sequence
from typing import Any

import segmentation_models_pytorch as smp
import torch
from torch import Tensor, nn

from models.backbone import require_multiple
from models.masks.auxiliary import AttributeHeads
from models.masks.group_norm import use_group_norm
from models.masks.mask_model import MaskModel, MaskOutputs, MaskTargets
from models.normalisation import Normalisation
from models.precision import full_precision
from models.smp_encoder import first_weights, require_known_encoder

ARCHITECTURES = (
    "Unet",
    "UnetPlusPlus",
    "MAnet",
    "Linknet",
    "FPN",
    "PSPNet",
    "PAN",
    "DeepLabV3",
    "DeepLabV3Plus",
    "UPerNet",
    "Segformer",
)
_LEAST = {"PAN": 128}  # pixels of the shorter side: its pyramid pools three times more than the encoder


class SmpMaskNet(MaskModel):
    """A segmentation-models-pytorch network; every class has its own sigmoid, so that structures may overlap.

    ``encoder`` is one of the library's, or any timm model as "tu-NAME". It is built by the library and not
    as ``TimmBackbone``: its decoders also ask for the map of stride 2, for a zero-channel stand-in where a
    transformer has none, and (DeepLab) for dilation. ``options`` go to the architecture: ``decoder_channels``
    and others. ``in_channels`` is 1 for the grey images of a ``MaskDataset``. ``weights`` is a local file of
    timm weights for a "tu-NAME"; ``pretrained=True`` asks the hub. ``norm="group"`` is for batches under 8.

    The logits have the decoder's stride. The library would enlarge some of them with aligned corners.
    """

    def __init__(
        self,
        *,
        num_classes: int,
        architecture: str,
        encoder: str,
        in_channels: int = 1,
        pretrained: bool = False,
        weights: str | None = None,
        norm: str = "native",
        options: Mapping[str, Any] | None = None,
        attribute_values: Sequence[int] = (),
        normalise: Normalisation | None = None,
    ) -> None:
        super().__init__(num_classes, normalise, attribute_values)
        if norm not in ("native", "group"):
            raise ValueError(f"norm={norm!r}: expected 'native' or 'group'.")
        _require_known(architecture, encoder)
        source, of_file = first_weights(encoder, pretrained, weights)
        network: Any = _create(
            architecture,
            encoder,
            source,
            {"in_channels": in_channels, "classes": num_classes, **of_file, **(options or {})},
        )
        self.encoder, self.decoder = network.encoder, network.decoder
        self.head: nn.Conv2d = network.segmentation_head[0]
        self.multiple, self.least = int(self.encoder.output_stride), _LEAST.get(architecture, 1)
        self.attributes = (
            AttributeHeads(self.encoder.out_channels[-1], attribute_values) if attribute_values else None
        )
        if norm == "group":
            use_group_norm(self)
            self.least *= 2 if self.least > 1 else 1  # one value of one channel has no deviation

    def forward(self, images: Tensor, targets: MaskTargets | None = None) -> MaskOutputs:
        """(B, C, H, W) images in [0, 1] -> a map a class. ``targets`` are not used.

        Raises ValueError for sides that the encoder's coarsest stride does not divide, or too short ones.
        """
        require_multiple(images, self.multiple)
        if not torch.compiler.is_compiling() and min(images.shape[-2:]) < self.least:
            raise ValueError(
                f"images of {tuple(images.shape[-2:])} pixels (height, width), expected sides of at least "
                f"{self.least} for this architecture. Change size in the config."
            )
        maps = self.encoder(self.normalise(images))
        features = self.decoder(maps)
        with full_precision(images):
            logits = self.head(features.float())
        attributes = () if self.attributes is None else self.attributes(maps[-1])
        return MaskOutputs(logits, images.shape[-1] // logits.shape[-1], attributes)

    def encoder_parameters(self) -> list[nn.Parameter]:
        return list(self.encoder.parameters())


def _require_known(architecture: str, encoder: str) -> None:
    if architecture not in ARCHITECTURES:
        close = difflib.get_close_matches(architecture, ARCHITECTURES, n=1, cutoff=0.4)
        hint = f"; did you mean {close[0]!r}?" if close else "."
        raise ValueError(f"architecture {architecture!r}, expected one of {ARCHITECTURES}{hint}")
    require_known_encoder(encoder)


def _create(architecture: str, encoder: str, weights: Any, options: Mapping[str, Any]) -> nn.Module:
    try:
        return smp.create_model(architecture, encoder_name=encoder, encoder_weights=weights, **options)
    except Exception as error:
        reason = f"({type(error).__name__}: {error})"
        if weights is not None:
            raise ValueError(
                f"encoder {encoder!r}: pretrained weights could not be loaded {reason}. Without a route to "
                "the hub set pretrained=False, or give a local file as weights=FILE."
            ) from error
        raise ValueError(
            f"{architecture} over {encoder!r} with {dict(options)} could not be built {reason}. Choose "
            "another encoder, such as tu-resnet18 or tu-convnext_tiny, or check the options."
        ) from error
