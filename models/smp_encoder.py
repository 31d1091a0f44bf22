"""What segmentation-models-pytorch's encoders are called, and where their first weights come from."""

import difflib
from typing import Any

import timm
from segmentation_models_pytorch.encoders import get_encoder_names

from models.backbone import weights_option


def require_known_encoder(name: str) -> None:
    """Raise ValueError unless ``name`` is one of the library's, or any timm model as "tu-NAME"."""
    known = [f"tu-{model}" for model in timm.list_models()] if _of_timm(name) else get_encoder_names()
    if name not in known:
        raise ValueError(
            f"encoder {name!r} is neither one of segmentation-models-pytorch nor, as 'tu-NAME', of timm; "
            f"names like it: {difflib.get_close_matches(name, known, n=5)}."
        )


def first_weights(name: str, pretrained: bool, weights: str | None) -> tuple[Any, dict[str, Any]]:
    """The library's argument for the weights of an encoder, and the options that go with it.

    ``weights`` is a local file of timm weights; ``pretrained`` asks the hub. Raises ValueError for a file
    that is absent, and for one beside an encoder that is not timm's.
    """
    if weights is None:
        return ((True if _of_timm(name) else "imagenet") if pretrained else None), {}
    if not _of_timm(name):
        raise ValueError(
            f"weights={weights!r} for encoder {name!r}: a file of timm weights, expected an encoder "
            "'tu-NAME'. Name timm's model, or leave weights out."
        )
    return True, weights_option(weights)


def _of_timm(name: str) -> bool:
    return name.startswith("tu-")
