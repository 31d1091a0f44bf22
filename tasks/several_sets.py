"""Several landmark sets with one trunk, trained together: skull, chest and spine.

Only a training knows this task. What it writes is read set by set, as a model of landmarks
(``util.checkpoints.one_of_several``).
"""

from __future__ import annotations

import math
from argparse import Namespace
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from datasets.landmarks.meaning import LandmarkMeaning
from tasks.landmarks import LandmarkTask
from util.checkpoints.one_of_several import BESIDE, SETS
from util.evaluation.landmarks.unit_names import mean_error
from util.training.task import Criterion, Headline, Task, Transforms

if TYPE_CHECKING:
    from datasets.landmarks.joined import JoinedDataset, MemberBatch
    from models.landmarks.prediction import Targets
    from models.landmarks.shared_trunk import SharedTrunk
    from util.evaluation.landmarks.metrics import Errors

_ONE = LandmarkTask()
_OF_ONE = "several landmark sets at once: name one behind the file, FILE:SET"


def _mean_error(headline: Headline) -> float:
    """Geometric, over the sets: a tenth less on one counts as much as on another, whatever their units."""
    return math.exp(float(np.mean([math.log(mean_error(one)) for one in headline["sets"].values()])))


@dataclass(frozen=True)
class SeveralMeanings:
    """What the outputs mean, by landmark set."""

    sets: Mapping[str, LandmarkMeaning]

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(f"{name}: {one}" for name, meaning in self.sets.items() for one in meaning.names)

    def to_dict(self) -> dict[str, Any]:
        return {SETS: {name: meaning.to_dict() for name, meaning in self.sets.items()}}


class SeveralEvaluators:
    """Collects the errors of each landmark set by itself."""

    def __init__(self) -> None:
        self._sets: dict[str, Any] = {}

    def update(self, outputs: Any, batch: MemberBatch) -> None:
        self._sets.setdefault(batch.member, _ONE.evaluator()).update(outputs, batch)

    def results(self) -> dict[str, Errors]:
        return {name: evaluator.results() for name, evaluator in self._sets.items()}


class SeveralSetsTask(Task):
    """The landmarks of one of several sets on every X-ray. ``data.folder`` and transforms are by set."""

    name = "landmarks"
    criteria: ClassVar[Mapping[str, Criterion]] = {
        "mre": _mean_error,
        "sdr2": lambda headline: float(
            np.mean([_ONE.criteria["sdr2"](one) for one in headline["sets"].values()])
        ),
    }

    # Data

    def open_data(
        self,
        folder: Mapping[str, str],
        subset: str,
        transforms: Mapping[str, Transforms] | None = None,
        seed: int = 0,
    ) -> JoinedDataset:
        from datasets.landmarks.joined import JoinedDataset

        by_set = transforms or {}
        return JoinedDataset(
            {name: _ONE.open_data(one, subset, by_set.get(name), seed) for name, one in folder.items()}
        )

    def collate(self, samples: Sequence[Any]) -> MemberBatch:
        from datasets.landmarks.joined import collate_member

        return collate_member(samples)

    def require_trainable(self, data: JoinedDataset) -> None:
        for one in data.members.values():
            _ONE.require_trainable(one)

    # Model

    def meaning(self, data: JoinedDataset) -> SeveralMeanings:
        return SeveralMeanings({name: _ONE.meaning(one) for name, one in data.members.items()})

    def meaning_of(self, checkpoint: Mapping[str, Any], file: Path) -> SeveralMeanings:
        if SETS not in checkpoint:
            raise ValueError(f"{file}: no {SETS}: not a checkpoint of several landmark sets.")
        return SeveralMeanings({name: _ONE.meaning_of(one, file) for name, one in checkpoint[SETS].items()})

    def require_same(self, meaning: SeveralMeanings, data: JoinedDataset, file: Path) -> None:
        """Raise ValueError unless the sets are the same, in the same order, with the same landmarks."""
        if tuple(meaning.sets) != tuple(data.members):
            raise ValueError(
                f"{file}: trained on the landmark sets {list(meaning.sets)}, the data have "
                f"{list(data.members)}. Use data of the same ones, in the same order."
            )
        for name, one in data.members.items():
            _ONE.require_same(meaning.sets[name], one, file)

    def build_model(self, config: Any, meaning: SeveralMeanings) -> SharedTrunk:
        from models.landmarks.shared_trunk import SharedTrunk

        return SharedTrunk({name: _ONE.build_model(config[name], one) for name, one in meaning.sets.items()})

    def take_foreign_weights(
        self, model: SharedTrunk, file: Path, meaning: SeveralMeanings, parts: Sequence[str] | None = None
    ) -> str:
        """Give every member the weights of a model of one landmark set, and say what each took."""
        from util.training.initial_weights import take_weights

        taken = {
            name: take_weights(model.member(name), file, _ONE, one, parts)
            for name, one in meaning.sets.items()
        }
        return "\n".join(f"{name}: {told}" for name, told in taken.items())

    def begin(self, model: SharedTrunk, data: JoinedDataset) -> None:
        for name, one in data.members.items():
            _ONE.begin(model.member(name), one)

    # A training step

    def targets(self, batch: MemberBatch) -> Targets:
        return _ONE.targets(batch)

    def outputs(self, model: Any, batch: MemberBatch, targets: Any = None) -> Any:
        return model(batch.images, targets, batch.member)

    def weight(self, batch: MemberBatch) -> float:
        return _ONE.weight(batch)

    # Evaluation

    def evaluator(self) -> SeveralEvaluators:
        return SeveralEvaluators()

    def joined(self, results: Sequence[Mapping[str, Errors]]) -> dict[str, Errors]:
        names = dict.fromkeys(name for part in results for name in part)
        return {name: _ONE.joined([part[name] for part in results if name in part]) for name in names}

    def headline(self, results: Mapping[str, Errors]) -> dict[str, Any]:
        return {"sets": {name: _ONE.headline(one) for name, one in results.items()}}

    def words(self, headline: Headline) -> dict[str, str]:
        return {f"MRE {name}": _ONE.words(one)["MRE"] for name, one in headline["sets"].items()}

    def scalars(self, headline: Headline) -> dict[str, float]:
        return {
            f"{name}/{key}": value
            for name, one in headline["sets"].items()
            for key, value in _ONE.scalars(one).items()
        }

    def beside_weights(self, results: Mapping[str, Errors]) -> dict[str, Any]:
        return {BESIDE: {name: _ONE.beside_weights(one) for name, one in results.items()}}

    def picture(self, batch: MemberBatch, outputs: Any) -> np.ndarray:
        """Of the first set."""
        return _ONE.picture(batch, outputs)

    # What comes after the training is of one set

    def looks(self, args: Namespace) -> Any:
        raise NotImplementedError(_OF_ONE)

    def predictor(self, loaded: Any) -> Any:
        raise NotImplementedError(_OF_ONE)

    def evaluation(self, results: Any, data: Any, looks: Any, meanings: Sequence[Any]) -> Any:
        raise NotImplementedError(_OF_ONE)
