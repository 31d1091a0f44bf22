"""A norm: whose values a measurement is compared with, and how far the figures can be believed."""

import math
from dataclasses import dataclass
from typing import Any

_SEXES = ("female", "male", "both")


@dataclass(frozen=True)
class Patient:
    """What is known of a patient; None: not known."""

    age: float | None = None  # years
    sex: str | None = None  # female or male
    population: str | None = None  # in the words of the norms


@dataclass(frozen=True)
class Norm:
    """Mean and standard deviation of a measurement in one population."""

    mean: float
    sd: float | None  # standard deviation, or what clinics use for it; None: the author gave none
    population: str
    age: str  # in words, as the source has it
    sex: str  # female, male or both
    source: str
    verified: bool  # the figures were seen in a source; otherwise they are from memory
    ages: tuple[float, float] | None = None  # years of the sample; None: unknown
    per_year: float = 0.0  # change of the mean a year, from the youngest of ``ages`` to the oldest
    note: str = ""

    def at(self, patient: Patient) -> float:
        """The mean for this patient's age; for an unknown age that of the youngest."""
        if self.ages is None or patient.age is None:
            return self.mean
        low, high = self.ages
        return self.mean + self.per_year * (min(max(patient.age, low), high) - low)

    def applies(self, unit: str, *, scale_known: bool) -> bool:
        """Whether a value in ``unit`` may be compared with it; a length only with the patient's mm known."""
        return self.verified and self.sd is not None and (unit != "mm" or scale_known)

    def is_of(self, patient: Patient) -> bool:
        """Whether the patient is known to be one of those whom the norm was taken from."""
        if patient.sex is None or patient.age is None or patient.population is None or self.ages is None:
            return False
        in_age = self.ages[0] <= patient.age <= self.ages[1]
        return in_age and self.sex in ("both", patient.sex) and self.population == patient.population

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready."""
        return {**vars(self), "ages": None if self.ages is None else list(self.ages)}

    @classmethod
    def from_dict(cls, data: Any, where: str) -> "Norm":
        """Raises ValueError, beginning with ``where``, for a key missing, unknown or of a wrong kind."""
        required = {"mean", "sd", "population", "age", "sex", "source", "verified"}
        known = set(cls.__dataclass_fields__)
        if not isinstance(data, dict) or not required <= data.keys() <= known:
            found = sorted(data) if isinstance(data, dict) else data
            raise ValueError(
                f"{where}: norm with {found}, expected {sorted(required)} and at most {sorted(known)}."
            )
        for key in ("mean", "sd", "per_year"):
            value = data.get(key, 0.0)
            if not (is_number(value) or (key == "sd" and value is None)):
                raise ValueError(f"{where}: norm's {key} {value!r}, expected a number.")
        if data["sd"] is not None and not data["sd"] > 0:
            raise ValueError(f"{where}: norm's sd {data['sd']}, expected a number above 0, or null.")
        if data["sex"] not in _SEXES or not isinstance(data["verified"], bool):
            raise ValueError(
                f"{where}: norm's sex {data['sex']!r}, verified {data['verified']!r}, expected one of "
                f"{_SEXES} and true or false."
            )
        ages = data.get("ages")
        if ages is not None and not (len(ages) == 2 and all(map(is_number, ages)) and ages[0] <= ages[1]):
            raise ValueError(f"{where}: norm's ages {ages}, expected two numbers of years, or null.")
        return cls(**{**data, "ages": None if ages is None else (float(ages[0]), float(ages[1]))})


def choose(norms: tuple[Norm, ...], patient: Patient) -> Norm | None:
    """The norm that fits the patient best; the first of equals, None where there is none.

    Where the patient's age is known, a norm of unknown ages comes after those that say theirs.
    """

    def misfit(norm: Norm) -> tuple[bool, bool, float]:
        sex = patient.sex is not None and norm.sex not in ("both", patient.sex)
        population = patient.population is not None and norm.population != patient.population
        years = 0.0
        if patient.age is not None:
            low, high = norm.ages or (math.inf, math.inf)
            years = max(low - patient.age, patient.age - high, 0.0)
        return population, sex, years

    return min(norms, key=misfit, default=None)


def is_number(value: Any) -> bool:
    """Whether a value of a JSON file is a finite number."""
    return isinstance(value, float | int) and not isinstance(value, bool) and math.isfinite(value)
