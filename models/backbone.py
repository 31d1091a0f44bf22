"""timm backbones as feature pyramids of strides 4, 8, 16 and 32."""

import difflib
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any, Self

import timm
import torch
from timm.layers import GroupNorm  # pyright: ignore[reportPrivateImportUsage]
from timm.layers.norm_act import freeze_batch_norm_2d
from torch import Tensor, nn

STRIDES = (4, 8, 16, 32)


class TimmBackbone(nn.Module):
    """Any timm model with features at strides 4, 8, 16 and 32, on grey images or, ``in_channels=3``, RGB.

    ``norm="group"`` exchanges the normalisation layers of models that take a ``norm_layer`` for GroupNorm:
    for batches under 8, where BatchNorm from scratch is unreliable (with 8 it learns faster).
    ``norm="frozen"``: BatchNorm as a fixed scale and shift a channel, for pretrained weights. ``frozen``
    names modules that are not trained and stay in evaluation mode, such as ``("conv1", "bn1", "layer1")``.
    ``weights`` is a local file of timm weights; ``pretrained=True`` asks the hub for them. ``options`` go to
    ``timm.create_model``.
    """

    def __init__(
        self,
        name: str,
        *,
        in_channels: int = 1,
        pretrained: bool = False,
        weights: str | None = None,
        norm: str = "native",
        frozen: Sequence[str] = (),
        options: dict[str, Any] | None = None,
    ) -> None:
        super().__init__()
        options = dict(options or {})
        self.norm: Callable[[int], nn.Module] = nn.BatchNorm2d  # of what is built on these features
        if norm == "group":
            options["norm_layer"], self.norm = GroupNorm, group_norm
        elif norm not in ("native", "frozen"):
            raise ValueError(f"backbone norm={norm!r}: expected 'native', 'group' or 'frozen'.")
        if weights is not None:
            pretrained, options = True, options | weights_option(weights)
        self.features = _create(name, in_channels, pretrained, options)
        if norm == "frozen":
            self.features = freeze_batch_norm_2d(self.features)
        info: Any = self.features.feature_info  # timm's, untyped
        reductions = tuple(info.reduction())
        missing = [stride for stride in STRIDES if stride not in reductions]
        if missing:
            raise ValueError(
                f"backbone {name!r} has features at strides {reductions}, needs {STRIDES}. Choose a "
                "hierarchical model such as resnet18, convnext_tiny or swin_tiny_patch4_window7_224."
            )
        self._picked = tuple(reductions.index(stride) for stride in STRIDES)
        layout = str(getattr(self.features, "output_fmt", "NCHW"))
        self._channels_last = layout.endswith("NHWC")  # Swin and its kin
        self.channels = tuple(info.channels()[index] for index in self._picked)
        self._frozen = tuple(frozen)
        for path in self._frozen:
            self._module(path).requires_grad_(False)

    def _module(self, path: str) -> nn.Module:
        try:
            return self.features.get_submodule(path)
        except AttributeError as error:
            top = [name for name, _ in self.features.named_children()]
            raise ValueError(f"backbone frozen={path!r}: no module of it; there are {top}.") from error

    def train(self, mode: bool = True) -> Self:
        """Like ``nn.Module.train``; what is frozen stays in evaluation mode."""
        super().train(mode)
        for path in self._frozen:  # looked up each time: for several GPUs norms are exchanged
            self._module(path).eval()
        return self

    def forward(self, images: Tensor) -> tuple[Tensor, ...]:
        """(B, in_channels, H, W) normalised images -> four (B, C_l, H / s, W / s) maps, s = 4, 8, 16, 32."""
        maps = self.features(images)
        picked = tuple(maps[index] for index in self._picked)
        return tuple(m.permute(0, 3, 1, 2).contiguous() for m in picked) if self._channels_last else picked


def input_channels(parameters: Iterable[Tensor]) -> int:
    """Channels of the images that a model takes, 1 grey or 3 RGB: those of its first convolution."""
    return next(int(weight.shape[1]) for weight in parameters if weight.ndim == 4)


def group_norm(channels: int) -> nn.GroupNorm:
    """GroupNorm (Wu and He, 2018) of 8 channels a group, which does not mix the cases of a batch."""
    if channels % 8:
        raise ValueError(f"GroupNorm of {channels} channels: expected a multiple of 8. Change the width.")
    return nn.GroupNorm(channels // 8, channels)


def require_multiple(images: Tensor, multiple: int) -> None:
    """Raise ValueError unless (B, C, H, W) images have sides that ``multiple`` divides.

    Not asked while compiling or exporting, where sides are symbols.
    """
    height, width = images.shape[-2:]
    if not torch.compiler.is_compiling() and (height % multiple or width % multiple):
        raise ValueError(
            f"images of {height}x{width} pixels (height x width), expected multiples of {multiple}: the "
            "model's maps of that stride must fit. Change size in the config."
        )


def _create(name: str, in_channels: int, pretrained: bool, options: dict[str, Any]) -> nn.Module:
    if not timm.is_model(name):
        close = difflib.get_close_matches(name, timm.list_models(), n=5)
        raise ValueError(f"backbone {name!r} is not a timm model; names like it: {close}.")
    try:
        return timm.create_model(
            name, features_only=True, in_chans=in_channels, pretrained=pretrained, **options
        )
    except Exception as error:
        reason = f"({type(error).__name__}: {error})"
        if not pretrained:
            raise ValueError(
                f"backbone {name!r} could not be built {reason}. Check its norm and options."
            ) from error
        raise ValueError(
            f"backbone {name!r}: pretrained weights could not be loaded {reason}. "
            "Without a route to the hub set pretrained=False, or give a local file as weights=FILE."
        ) from error


def weights_option(weights: str) -> dict[str, Any]:
    """The option of ``timm.create_model`` that, with ``pretrained=True``, takes a local file of timm weights.

    Raises ValueError where there is no such file.
    """
    if not Path(weights).is_file():
        raise ValueError(f"backbone weights {weights!r}: no such file.")
    return {"pretrained_cfg_overlay": {"file": str(weights)}}
