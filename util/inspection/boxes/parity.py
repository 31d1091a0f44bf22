"""The detector against reference numbers: one case, one stage a line."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from util.inspection.boxes.parity_case import Case, difference, parameter_differences, stage_of
from util.inspection.boxes.parity_models import build_model, config_name
from util.inspection.boxes.parity_numbers import (
    Numbers,
    as_arrays,
    backbone_numbers,
    evaluation_numbers,
    images_of,
    pixels_of,
)
from util.inspection.boxes.parity_other import preprocessing_numbers, refinement_numbers
from util.inspection.boxes.parity_training import training_step

TOLERANCES = {"float64": 1e-8, "float32": 1e-4}
_GRADIENT_TOLERANCES = {"float64": 1e-6, "float32": 1e-3}
_STEP_TOLERANCE = 1e-5
_PREPROCESSED = 1e-6  # of float32 numbers, whatever the model's type
_APART = ("grad/names", "grad/norm", "grad/weighted", "grad/present", "step/delta", "step/bn_names")
_DECIDED_BY_TIES = ("salience/inds",)

ConfigOf = Callable[[str], Any]  # a published config's name -> its model section


@dataclass(frozen=True)
class StageResult:
    """The largest difference of a stage, over its levels, layers and images."""

    stage: str
    largest: float
    tolerance: float

    @property
    def within(self) -> bool:
        return self.largest <= self.tolerance


def check_case(case: Case, config_of: ConfigOf, precision: str) -> list[StageResult]:
    """Compute ``case`` in ``precision`` ("float64" or "float32") and compare all that it holds.

    Raises ValueError for a case of an unknown kind, or with numbers that the product does not compute.
    """
    dtype = getattr(torch, precision)
    tolerance = _PREPROCESSED if case.kind == "preprocess" else TOLERANCES[precision]
    if case.kind == "train":
        step = training_step(build_model(case, config_of(config_name(case)), dtype), case, dtype)
        results = _stages(case, step.numbers | _images(case), tolerance)
        gradients = np.stack([case.arrays["grad/norm"], case.arrays["grad/weighted"]], -1)
        worst = parameter_differences(case, step.gradients, gradients)
        results.append(StageResult("gradients", worst, _GRADIENT_TOLERANCES[precision]))
        if precision == "float64":  # AdamW divides by tiny gradients
            worst = parameter_differences(case, step.changes, case.arrays["step/delta"])
            results.append(StageResult("step/delta", worst, _STEP_TOLERANCE))
        return results
    return _stages(case, _numbers(case, config_of, dtype), tolerance)


def _numbers(case: Case, config_of: ConfigOf, dtype: torch.dtype) -> Numbers:
    if case.kind == "preprocess":
        return preprocessing_numbers(case)
    if case.kind == "roi":
        return refinement_numbers(case, dtype)
    if case.kind not in ("eval", "backbone"):
        raise ValueError(f"{case.file}: a case of kind {case.kind!r}, expected eval, train, backbone or roi.")
    model = build_model(case, config_of(config_name(case)), dtype)
    if case.kind == "backbone":
        return backbone_numbers(model, images_of(case, dtype), case.meta["prefixes"])
    return evaluation_numbers(model, images_of(case, dtype)) | _images(case)


def _images(case: Case) -> Numbers:
    return {f"in/image/{place}": pixels for place, pixels in enumerate(pixels_of(case))}


def _stages(case: Case, numbers: Numbers, tolerance: float) -> list[StageResult]:
    """In the order of the file. Raises ValueError for a case without numbers, which would agree with any."""
    if not case.names:
        raise ValueError(f"{case.file}: no numbers to compare with. Get the file anew.")
    wanted = [name for name in case.names if name not in _APART]
    if case.tied:
        wanted = [name for name in wanted if not name.startswith(_DECIDED_BY_TIES)]
    absent = [name for name in wanted if name not in numbers]
    if absent:
        raise ValueError(
            f"{case.file}: numbers of {absent[:5]}, which the detector does not give by that name."
        )
    arrays = as_arrays({name: numbers[name] for name in wanted})
    stages: dict[str, list[float]] = {}
    for name in wanted:
        stages.setdefault(stage_of(name), []).append(difference(case, name, arrays[name]))
    return [StageResult(stage, float(np.max(found)), tolerance) for stage, found in stages.items()]
