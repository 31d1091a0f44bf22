"""Errors on shifted copies beside those on the images themselves, and models beside each other."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from transforms.sample import MILLIMETRES
from util.evaluation.landmarks.comparison import MEASURES, paired_difference
from util.evaluation.landmarks.metrics import Errors, json_ready
from util.evaluation.landmarks.unit_names import named_by_unit, short
from util.reporting.text_table import aligned

UNSHIFTED = "unshifted"
_MRE = MEASURES[0]


@dataclass(frozen=True)
class ShiftEffect:
    """What one shift costs one model, over the landmarks that the shifted frames still show."""

    count: int
    shifted: dict[str, float]  # every one of MEASURES by its name
    unshifted: dict[str, float]  # the same of the unshifted images, over the same landmarks
    difference_ci95_mm: tuple[float, float]  # of MRE, shifted less unshifted; paired bootstrap over images

    @property
    def ratio(self) -> float:
        """MRE on the shifted images, as a multiple of that on the unshifted ones."""
        return self.shifted[_MRE.name] / self.unshifted[_MRE.name]

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready."""
        return {key: json_ready(value) for key, value in (vars(self) | {"ratio": self.ratio}).items()}


def shift_effects(errors: Mapping[str, Errors]) -> dict[str, ShiftEffect]:
    """The effect of every shift of ``errors``, all of the same images; ``UNSHIFTED`` is one of its keys.

    Raises ValueError for a shift that leaves no landmark in any frame.
    """
    plain = errors[UNSHIFTED].radial_mm  # (N, K)
    return {name: _effect(name, found.radial_mm, plain) for name, found in errors.items()}


def shift_record(errors: Mapping[str, Errors]) -> dict[str, Any]:
    """JSON-ready, named by the unit of the data: every effect, and errors (N, K), null where missing."""
    shifts = {
        name: {**effect.to_dict(), "errors_mm": json_ready(errors[name].radial_mm)}
        for name, effect in shift_effects(errors).items()
    }
    unit = errors[UNSHIFTED].unit
    return named_by_unit({"unit": unit, "shifts": shifts}, unit)


def over_bar(effects: Mapping[str, ShiftEffect], bar: float) -> dict[str, float]:
    """Ratio of MRE, shifted to unshifted, of every shift where it exceeds ``bar``."""
    return {name: effect.ratio for name, effect in effects.items() if effect.ratio > bar}


def effect_table(effects: Mapping[str, ShiftEffect], unit: str = MILLIMETRES) -> str:
    """One model for a terminal: lengths in ``unit``, shares in percent; a pair is shifted, unshifted."""
    header = ["shift", "n", "MRE", "unshifted", "ratio", "difference, 95 %"]
    header += [f"> 4 {short(unit)}", "unshifted", "SDR 2", "unshifted"]
    return aligned([header, *([name, *_cells(effect)] for name, effect in effects.items())])


def side_by_side(models: Sequence[Mapping[str, Errors]]) -> str:
    """Several models on the same shifted images for a terminal; differences of MRE are to the first."""
    over = f"> 4 {short(next(iter(models[0].values())).unit)}"
    numbers = range(1, len(models) + 1)
    header = ["shift"]
    for title in ("MRE", "ratio", over):
        header += [f"{title} [{number}]" for number in numbers]
    header += [f"[{number}] - [1], 95 %" for number in numbers[1:]]
    effects = [shift_effects(model) for model in models]
    rows = [[name, *_row([of[name] for of in effects], [m[name] for m in models])] for name in effects[0]]
    return aligned([header, *rows])


def _effect(name: str, shifted_mm: np.ndarray, plain_mm: np.ndarray) -> ShiftEffect:
    kept = ~np.isnan(shifted_mm)
    if not kept.any():
        raise ValueError(
            f"shift {name}: none of the annotated landmarks of {len(kept)} images is in its frame, expected "
            "some. Evaluate more images, or leave the shift out."
        )
    plain_mm = np.where(kept, plain_mm, np.nan)
    return ShiftEffect(
        count=int(kept.sum()),
        shifted={measure.name: measure.value(shifted_mm) for measure in MEASURES},
        unshifted={measure.name: measure.value(plain_mm) for measure in MEASURES},
        difference_ci95_mm=paired_difference(_MRE, shifted_mm, plain_mm)[1:],
    )


def _cells(effect: ShiftEffect) -> list[str]:
    shifted, plain = effect.shifted, effect.unshifted
    low, high = effect.difference_ci95_mm
    return [
        str(effect.count),
        f"{shifted['mre_mm']:.3f}",
        f"{plain['mre_mm']:.3f}",
        f"{effect.ratio:.2f}",
        f"{low:+.3f} to {high:+.3f}",
        *(f"{of[key]:.1f}" for key in ("over_4_percent", "sdr2_percent") for of in (shifted, plain)),
    ]


def _row(effects: Sequence[ShiftEffect], errors: Sequence[Errors]) -> list[str]:
    """One shift: MRE, ratio and outliers of every model, then differences to the first."""
    cells = [f"{effect.shifted['mre_mm']:.3f}" for effect in effects]
    cells += [f"{effect.ratio:.2f}" for effect in effects]
    cells += [f"{effect.shifted['over_4_percent']:.1f}" for effect in effects]
    for other in errors[1:]:
        mean, low, high = paired_difference(_MRE, other.radial_mm, errors[0].radial_mm)
        cells.append(f"{mean:+.3f} ({low:+.3f} to {high:+.3f})")
    return cells
