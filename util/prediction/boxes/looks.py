"""How test.py and inference.py look at images for boxes: one model, one look, and what is shown of it."""

import argparse
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from util.prediction.boxes.predict import BoxPredictor


@dataclass(frozen=True)
class BoxLooks:
    """One checkpoint (``util.prediction.protocols.Looks``). Raises ValueError for several."""

    checkpoints: tuple[Path, ...]
    show_conf: float

    def __post_init__(self) -> None:
        if len(self.checkpoints) != 1:
            raise ValueError(
                f"{len(self.checkpoints)} checkpoints, expected one: boxes of several models are not joined. "
                "Run each for itself."
            )

    @classmethod
    def of(cls, args: argparse.Namespace) -> "BoxLooks":
        """What ``--checkpoint F`` and the arguments of ``add_arguments`` ask for."""
        given = args.checkpoint if isinstance(args.checkpoint, Sequence) else [args.checkpoint]
        return cls(tuple(map(Path, given)), args.show_conf)

    @property
    def plain(self) -> bool:
        return True

    def predictor(self, members: Sequence[BoxPredictor]) -> BoxPredictor:
        """The one member, showing detections from ``show_conf`` on."""
        (member,) = members
        member.answers = replace(member.answers, show_conf=self.show_conf)
        return member

    def settings(self) -> dict[str, Any]:
        return {"show_conf": self.show_conf}

    def to_dict(self) -> dict[str, Any] | None:
        """None: there is one plain look."""
        return None

    def __str__(self) -> str:
        return str(self.checkpoints[0])


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """``--show-conf``, for ``BoxLooks.of``."""
    parser.add_argument(
        "--show-conf",
        type=_share,
        default=0.5,
        metavar="SCORE",
        help="pictures and tables show detections from this score on (default: 0.5)",
    )


def _share(text: str) -> float:
    value = float(text)
    if not 0.0 <= value <= 1.0:
        raise argparse.ArgumentTypeError(f"{value}, expected a score from 0 to 1")
    return value
