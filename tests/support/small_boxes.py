"""A box detector that runs in milliseconds, with images and objects to try it on."""

import torch
from torch import Tensor, nn

from models.backbone import TimmBackbone
from models.boxes.corrections import Corrections
from models.boxes.detector import SalienceDetr
from models.boxes.targets import BoxTargets
from models.normalisation import FixedScale
from tests.support.small_detr import wake

CLASSES = 3


def small_boxes(corrections: Corrections | None = None, *, rgb: bool = False, **options) -> SalienceDetr:
    """Seeded and awake: every part of the large models, 20 queries, two layers each. Float32, in training."""
    torch.manual_seed(0)
    model = SalienceDetr(
        **{
            "num_classes": CLASSES,
            "backbone": TimmBackbone("resnet10t", in_channels=3 if rgb else 1),
            "embed_dim": 32,
            "num_heads": 4,
            "num_points": 2,
            "hidden_dim": 48,
            "num_queries": 20,
            "layer_ratios": (1.0, 0.5),
            "num_decoder_layers": 2,
            "num_attending": 12,
            "num_detections": 15,
            "corrections": corrections,
            "normalise": None if rgb else FixedScale(),
        }
        | options
    )
    wake(model, 0.05)
    settle(model)
    return model


def settle(model: nn.Module) -> None:
    """Running statistics as after some training: not those of a fresh model, which hide a wrong fold."""
    generator = torch.Generator().manual_seed(5)
    for module in model.modules():
        if isinstance(module, nn.BatchNorm2d) and module.running_mean is not None:
            assert module.running_var is not None
            module.running_mean.normal_(0.0, 0.2, generator=generator)
            module.running_var.uniform_(0.5, 1.5, generator=generator)


def noise(*shape: int, seed: int = 3) -> Tensor:
    """Seeded noise in [0, 1]."""
    return torch.rand(*shape, generator=torch.Generator().manual_seed(seed))


def objects(*counts: int, sizes: Tensor, seed: int = 7) -> BoxTargets:
    """So many random objects an image."""
    generator = torch.Generator().manual_seed(seed)
    centres = [0.3 + 0.4 * torch.rand(n, 2, generator=generator) for n in counts]
    sides = [0.1 + 0.4 * torch.rand(n, 2, generator=generator) for n in counts]
    boxes = tuple(torch.cat(pair, -1) for pair in zip(centres, sides, strict=True))
    labels = tuple(torch.randint(CLASSES, (n,), generator=generator) for n in counts)
    return BoxTargets(boxes, labels, sizes)


def on_one_canvas(*images: Tensor, extra: int = 0) -> tuple[Tensor, Tensor]:
    """(C, h, w) images in the corner of a canvas, ``extra`` pixels too large; (B, 2) their sizes."""
    sizes = torch.tensor([[image.shape[2], image.shape[1]] for image in images])
    width, height = (-(-int(side) // 32) * 32 + extra for side in sizes.amax(0))
    canvas = images[0].new_full((len(images), len(images[0]), height, width), 0.7)  # padding is not always 0
    for place, image in zip(canvas, images, strict=True):
        place[:, : image.shape[1], : image.shape[2]] = image
    return canvas, sizes
