"""Models of several landmark sets that share all weights but those of their own landmarks."""

from collections.abc import Mapping
from typing import Any, cast

from torch import Tensor, nn

from models.landmarks.landmark_model import LandmarkModel
from models.landmarks.prediction import Targets


class SharedTrunk(nn.Module):
    """Models of one architecture, one a landmark set, whose parameters are the same tensors.

    Three things each keeps for itself: the parameters of its own landmarks (``output_tensors``), its buffers,
    and what its config says, such as windows. Among the buffers are the means and variances of BatchNorm: a
    batch is of one set, so its statistics are too (domain-specific batch normalisation, Chang et al., 2019).

    A member is a whole model, and its weights without the prefix ``members.INDEX.`` are such a model's.
    Raises ValueError for members that are not alike.
    """

    def __init__(self, members: Mapping[str, LandmarkModel]) -> None:
        """``members`` by the name of their landmark set; their order is that of the weights."""
        super().__init__()
        self.names = tuple(members)
        first, *others = members.values()
        for member in others:
            _share(first, member)
        self.members = nn.ModuleList(members.values())

    def member(self, name: str) -> LandmarkModel:
        """The model of one landmark set."""
        return cast(LandmarkModel, self.members[self.names.index(name)])

    def forward(self, images: Tensor, targets: Targets | None, name: str) -> Any:
        """(B, 1, H, W) images of the set ``name``, on a canvas of its own -> what its member says of them."""
        return self.member(name)(images, targets)


def _share(first: LandmarkModel, other: LandmarkModel) -> None:
    """Put the parameters of ``first`` that are not of its landmarks in place of those of ``other``."""
    given, own = (dict(one.named_parameters()) for one in (first, other))
    alike = given.keys() - set(first.output_tensors)
    wrong = sorted(alike ^ (own.keys() - set(other.output_tensors)))
    wrong += [name for name in sorted(alike & own.keys()) if given[name].shape != own[name].shape]
    if wrong:
        raise ValueError(
            f"models that are to share a trunk differ in {wrong[0]} and {len(wrong) - 1} other tensors, "
            "expected one architecture. Give them the same model but for windows and jitter."
        )
    for name in alike:
        module, _, leaf = name.rpartition(".")
        setattr(other.get_submodule(module), leaf, given[name])
