"""How masks are looked for on an image, and what is done to them, as test.py and inference.py are asked."""

import argparse
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from util.arguments import TakeAll, positive
from util.prediction.masks.clean import Cleaning
from util.prediction.masks.mean_field import MeanField

_WHOLE = (1.0,)  # the scales of one look at the whole image


@dataclass(frozen=True)
class MaskLooks:
    """By which checkpoints, at which scales, mirrored too or not, in windows or not, and what follows.

    ``scales`` are sizes of the canvas against that of the training. With ``windows``, the share by which they
    overlap, a larger canvas is looked at in windows of the training's size. ``threshold`` is one probability
    for all classes in place of those that the checkpoint carries.

    Raises ValueError for a checkpoint given twice, for values that make no sense, and for windows where no
    canvas is larger than one.
    """

    checkpoints: tuple[Path, ...]
    scales: tuple[float, ...] = _WHOLE
    flip: bool = False
    windows: float | None = None
    threshold: float | None = None
    cleaning: Cleaning = field(default_factory=Cleaning)
    mean_field: MeanField | None = None

    def __post_init__(self) -> None:
        files = [file.resolve() for file in self.checkpoints]
        for number, file in enumerate(files):
            if file in files[:number]:
                raise ValueError(
                    f"--checkpoint {self.checkpoints[number]}: given twice, expected each member of an "
                    "ensemble once. Leave it out, or give a checkpoint of another training."
                )
        if not self.scales or not all(0.25 <= scale <= 8.0 for scale in self.scales):
            raise ValueError(f"--scales {list(self.scales)}: expected at least one, each from 0.25 to 8.")
        if self.windows is not None and not 0.0 <= self.windows <= 0.9:
            raise ValueError(f"--windows {self.windows}: expected a share from 0 to 0.9, such as 0.5.")
        if self.windows is not None and max(self.scales) <= 1.0:
            scales = " ".join(f"{scale:g}" for scale in self.scales)
            raise ValueError(
                f"--windows {self.windows:g} at --scales {scales}: the canvas is one window, so they would "
                "change nothing. Give a larger canvas too, such as --scales 2, or leave them out."
            )
        if self.threshold is not None and not 0.0 < self.threshold < 1.0:
            raise ValueError(
                f"--threshold {self.threshold}: expected a probability above 0 and below 1, such as 0.5."
            )

    @classmethod
    def of(cls, args: argparse.Namespace) -> "MaskLooks":
        """What ``--checkpoint F [F ...]`` and the arguments of ``add_arguments`` ask for."""
        return cls(
            tuple(args.checkpoint),
            scales=tuple(args.scales),
            flip=args.flip,
            windows=args.windows,
            threshold=args.threshold,
            cleaning=Cleaning(args.least_part or 0.0, args.least_hole or 0.0),
            mean_field=None if args.mean_field is None else MeanField(args.mean_field),
        )

    @property
    def plain(self) -> bool:
        """One model, one look at the whole image, nothing done to its masks."""
        return len(self.checkpoints) == 1 and self == MaskLooks(self.checkpoints)

    def predictor(self, members: Sequence[Any]) -> Any:
        """One from the ``MaskPredictor`` of every checkpoint. Raises ValueError when their classes differ."""
        return members[0].together(members, self)

    def settings(self) -> dict[str, Any]:
        """All that a result depends on beside the checkpoints; JSON-ready."""
        return {key: value for key, value in asdict(self).items() if key != "checkpoints"}

    def __str__(self) -> str:
        parts = [" + ".join(map(str, self.checkpoints))]
        if self.scales != _WHOLE:
            parts.append("scales " + " ".join(f"{scale:g}" for scale in self.scales))
        if self.windows is not None:
            parts.append(f"windows that overlap by {self.windows:g}")
        parts += ["mirror image"] if self.flip else []
        parts += [f"threshold {self.threshold:g}"] if self.threshold is not None else []
        parts += [] if self.cleaning.off else [str(self.cleaning)]
        parts += [str(self.mean_field)] if self.mean_field else []
        return ", ".join(parts)

    def to_dict(self) -> dict[str, Any] | None:
        """JSON-ready; None for one plain look by one model."""
        if self.plain:
            return None
        return {"checkpoints": [str(file) for file in self.checkpoints], **self.settings()}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """``--scales``, ``--flip``, ``--windows``, ``--threshold`` and what follows, for ``MaskLooks.of``."""
    parser.add_argument(
        "--scales",
        type=float,
        nargs="+",
        action=TakeAll,
        default=list(_WHOLE),
        metavar="S",
        help="sizes of the canvas against the training's, averaged, such as 0.8 1 1.25 (default: 1)",
    )
    parser.add_argument("--flip", action="store_true", help="look at the mirror image too, and average")
    parser.add_argument(
        "--windows",
        type=float,
        metavar="OVERLAP",
        help="look at a larger canvas (--scales 2) in windows of the training's size that overlap so far",
    )
    parser.add_argument(
        "--threshold",
        type=float,
        metavar="P",
        help="probability from which a pixel is of a class (default: by class, from the validation images)",
    )
    parser.add_argument(
        "--least-part", type=positive(float), metavar="MM2", help="drop parts of a mask smaller than this"
    )
    parser.add_argument(
        "--least-hole", type=positive(float), metavar="MM2", help="fill holes of a mask smaller than this"
    )
    parser.add_argument(
        "--mean-field",
        type=positive(float),
        metavar="STRENGTH",
        help="smooth by a small conditional random field on the grey values, such as 2; says what it changed",
    )


def add_file_arguments(parser: argparse.ArgumentParser) -> None:
    """``--rle``, ``--coco``, ``--png``, ``--dicom-seg``: what inference.py writes beside JSON and CSV."""
    for option, help_text in (
        ("--rle", "also NAME_rle.csv: image_name,class,rle, by rows from 1"),
        ("--coco", "also NAME_coco.json: COCO instances, run lengths by columns"),
        ("--png", "also NAME_png/CLASS/IMAGE.png"),
        ("--dicom-seg", "also NAME_seg/IMAGE.dcm, of DICOM images; needs highdicom"),
    ):
        parser.add_argument(option, action="store_true", help=help_text)
