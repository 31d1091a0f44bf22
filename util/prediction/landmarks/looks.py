"""Which looks are taken at every image, and by which models, as test.py and inference.py are asked."""

import argparse
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from util.arguments import TakeAll
from util.prediction.landmarks.predict import Predictor
from util.prediction.landmarks.test_time import Ensemble, ScaleAveraged, SelfCropped, require_scales

_WHOLE = (1.0,)  # the scales of one look at the whole image


@dataclass(frozen=True)
class Looks:
    """By which checkpoints, at which scales, and whether also close up (docs/test_time.md).

    Raises ValueError for a checkpoint given twice and for scales that make no sense.
    """

    checkpoints: tuple[Path, ...]
    scales: tuple[float, ...] = _WHOLE
    crop: bool = False

    def __post_init__(self) -> None:
        files = [file.resolve() for file in self.checkpoints]
        for number, file in enumerate(files):
            if file in files[:number]:
                raise ValueError(
                    f"--checkpoint {self.checkpoints[number]}: given twice, expected each member of an "
                    "ensemble once. Leave it out, or give a checkpoint of another training."
                )
        require_scales(self.scales)

    @classmethod
    def of(cls, args: argparse.Namespace) -> "Looks":
        """What ``--checkpoint F [F ...]`` and the arguments of ``add_arguments`` ask for."""
        return cls(tuple(args.checkpoint), tuple(args.scales), args.crop)

    @property
    def plain(self) -> bool:
        """One model, one look at the whole image."""
        return len(self.checkpoints) == 1 and self.scales == _WHOLE and not self.crop

    def predictor(self, members: Sequence[Predictor]) -> Predictor:
        """One predictor from those of the checkpoints, in their order.

        Raises ValueError when they do not find the same landmarks.
        """
        members = [self._around(member) for member in members]
        return members[0] if len(members) == 1 else Ensemble(members)

    def _around(self, member: Predictor) -> Predictor:
        if self.scales != _WHOLE:
            member = ScaleAveraged(member, self.scales)
        return SelfCropped(member) if self.crop else member

    def settings(self) -> dict[str, Any]:
        """All that a result depends on beside the checkpoints; JSON-ready."""
        return {"scales": self.scales, "crop": self.crop}

    def to_dict(self) -> dict[str, Any] | None:
        """JSON-ready; None for one look by one model."""
        if self.plain:
            return None
        files = [str(file) for file in self.checkpoints]
        return {"checkpoints": files, "scales": list(self.scales), "crop": self.crop}

    def __str__(self) -> str:
        parts = [" + ".join(map(str, self.checkpoints))]
        if self.scales != _WHOLE:
            parts.append("scales " + " ".join(f"{scale:g}" for scale in self.scales))
        return ", ".join([*parts, *(["self-crop"] if self.crop else [])])


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """``--scales`` and ``--crop``, for ``Looks.of``."""
    parser.add_argument(
        "--scales",
        type=float,
        nargs="+",
        action=TakeAll,
        default=list(_WHOLE),
        metavar="S",
        help="look at each image at these scales and average, such as 0.9 1 1.1 (default: 1)",
    )
    parser.add_argument(
        "--crop", action="store_true", help="look twice: at the image, then at what surrounds its landmarks"
    )
