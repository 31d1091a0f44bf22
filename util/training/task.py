"""What differs between landmarks, boxes and masks: the one object that everything else asks.

A config names it beside the model: ``task = L(LandmarkTask)()``. Engine, scripts, export, benchmark and
inspection hold a ``Task`` and know nothing of what is found on an image. What two tasks share is a function
that both call; a task is never another's parent.

Three words that are used throughout:

meaning   what the outputs of a model stand for: names of landmarks or classes. A checkpoint carries it.
results   what an evaluation keeps of the images it has seen: plain numbers, no pixels. Processes share them.
headline  the few numbers of an evaluation that a log and a checkpoint keep. JSON-ready.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from argparse import ArgumentParser, Namespace
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Protocol

import numpy as np

if TYPE_CHECKING:
    from torch import nn

    from datasets.files.image_files import SourceImage
    from datasets.sample import Batch
    from transforms.sample import Sample
    from util.evaluation.report import Evaluation
    from util.prediction.protocols import Looks, Predictor

FIRST_TASK = "tasks.landmarks:LandmarkTask"  # of configs, checkpoints and graphs from when there was no other

Headline = Mapping[str, Any]
Criterion = Callable[[Headline], float]  # lower is better
Say = Callable[[str], object]  # tells a person one sentence
Transforms = Callable[[Any, np.random.Generator], Any]  # sample -> sample


class Meaning(Protocol):
    """What the outputs of a model stand for."""

    @property
    def names(self) -> Sequence[str]:
        """Of the outputs, in their order."""
        ...

    def counterparts(self, other: Any) -> dict[int, int]:
        """Index here -> index in ``other`` of what both know, one to one."""
        ...

    def to_dict(self) -> dict[str, Any]:
        """The keys of a checkpoint that ``Task.meaning_of`` reads; plain data."""
        ...


class TaskData(Protocol):
    """One subset of a data set. ``dataset[index]`` is a transformed case, ``dataset[index, draw]`` another
    draw of its augmentation, a pure function of (seed, draw, index); ``load`` is the case as it lies there.
    """

    folder: Path
    subset: str
    cases: tuple[str, ...]

    def __len__(self) -> int: ...

    def __getitem__(self, key: Any) -> Any: ...

    def load(self, index: int) -> Sample: ...


class Evaluator(Protocol):
    """Collects what a model gives on batches."""

    def update(self, outputs: Any, batch: Any) -> None: ...

    def results(self) -> Any:
        """What was collected, plain data. Raises ValueError when there was no batch."""
        ...


class Task(ABC):
    """One kind of answer. What raises NotImplementedError here is refused by the scripts in one sentence."""

    name: ClassVar[str]  # of its room in models/, datasets/, util/prediction/ ...
    criteria: ClassVar[Mapping[str, Criterion]]  # what train.select may be; the first is the default

    # Data

    @abstractmethod
    def open_data(self, folder: Any, subset: str, transforms: Any = None, seed: int = 0) -> Any:
        """The ``TaskData`` of ``subset``. Raises ValueError for all that its annotations show to be wrong.

        ``folder`` and ``transforms`` are as ``data.folder`` and the sections of transforms give them: a path
        and ``Transforms``, for one data set.
        """

    @abstractmethod
    def collate(self, samples: Sequence[Any]) -> Batch:
        """Samples -> a batch."""

    def require_trainable(self, data: Any) -> None:  # noqa: B027 (most data can be trained on)
        """Raise ValueError if ``data`` lacks what training and its evaluation need."""

    # Model

    @abstractmethod
    def meaning(self, data: Any) -> Any:
        """What a model that learns from ``data`` will mean by its outputs."""

    @abstractmethod
    def meaning_of(self, checkpoint: Mapping[str, Any], file: Path) -> Any:
        """The meaning that ``checkpoint`` carries. Raises ValueError naming ``file`` where it has none."""

    @abstractmethod
    def require_same(self, meaning: Any, data: Any, file: Path) -> None:
        """Raise ValueError unless a model of ``meaning``, from ``file``, can go on with ``data``."""

    def fitted(self, meaning: Any, data: Any, file: Path) -> Any:
        """``data`` as a model of ``meaning``, from ``file``, is evaluated on them; ValueError for others."""
        self.require_same(meaning, data, file)
        return data

    @abstractmethod
    def build_model(self, config: Any, meaning: Any) -> Any:
        """The model that ``config`` describes, with its random or pretrained weights."""

    def take_foreign_weights(
        self, model: Any, file: Path, meaning: Any, parts: Sequence[str] | None = None
    ) -> str | None:
        """Give ``model``, whose outputs are ``meaning``, the weights of a file that main.py did not write.

        What it took and what it left, in words; None for a file that is not of a form known here. ``parts``
        restricts this to modules by name. Raises ValueError for one that does not fit.
        """
        return None

    def foreign_model(self, config: Any, file: Path) -> tuple[Any, Any] | None:
        """The model of ``config`` with all weights of a file that main.py did not write, and its meaning.

        None for a file that is not of a form known here. Raises ValueError for one that does not fit.
        """
        return None

    def begin(self, model: Any, data: Any) -> None:  # noqa: B027 (most models start from nothing)
        """Give a new model what it takes from the annotations of ``data``, upright, before the first step."""

    def restore(self, model: Any, checkpoint: Mapping[str, Any], file: Path) -> None:  # noqa: B027
        """Give ``model`` what the checkpoint ``file`` keeps beside its weights."""

    def automatic(self, key: str, data: Any, size: tuple[int, int]) -> Any:
        """What ``auto`` means for ``key`` of a config, by the training set ``data`` on a (height, width)
        canvas. Raises ValueError for a key that it has no value for.
        """
        raise ValueError(f"{key}=auto: {self.name} have no such value. Give one.")

    # A training step

    def targets(self, batch: Any) -> Any:
        """What model and criterion are given as the truth of a batch."""
        return batch

    def outputs(self, model: nn.Module, batch: Any, targets: Any = None) -> Any:
        """What ``model`` says of a batch; with ``targets`` in training."""
        return model(batch.images, targets)

    def weight(self, batch: Any) -> float:
        """What the mean loss of this batch counts in a mean over batches: objects, landmarks or images."""
        return float(len(batch))

    # Evaluation

    @abstractmethod
    def evaluator(self) -> Evaluator: ...

    @abstractmethod
    def joined(self, results: Sequence[Any]) -> Any:
        """The results of all parts, in order. Raises ValueError when there is none."""

    @abstractmethod
    def headline(self, results: Any) -> dict[str, Any]: ...

    @abstractmethod
    def words(self, headline: Headline) -> dict[str, str]:
        """Its two or three most telling numbers for a person, with units: {"MRE": "1.165 mm"}."""

    def scalars(self, headline: Headline) -> dict[str, float]:
        """Its numbers under flat names, for a log."""
        return {name: value for name, value in headline.items() if isinstance(value, int | float)}

    def beside_weights(self, results: Any) -> dict[str, Any]:
        """What a checkpoint keeps of an evaluation on the validation images, for ``restore``. Plain data."""
        return {}

    def picture(self, batch: Any, outputs: Any) -> np.ndarray | None:
        """(H, W, 3) uint8 RGB of truth and prediction on a few cases, for the curves; None for none."""
        return None

    # Prediction and reports

    def add_look_arguments(self, parser: ArgumentParser) -> None:  # noqa: B027 (a plain look needs none)
        """What test.py and inference.py can be asked besides: more looks at an image, thresholds."""

    @abstractmethod
    def looks(self, args: Namespace) -> Looks:
        """How images are looked at, from the arguments of ``add_look_arguments`` and ``--checkpoint``."""

    def add_inference_arguments(self, parser: ArgumentParser) -> None:  # noqa: B027
        """What inference.py alone can be asked besides."""

    def as_read(self, args: Namespace) -> Callable[[SourceImage], SourceImage]:
        """What inference.py makes of each image it has read; raises ValueError naming the file it refuses.

        Raises ValueError at once for ``args`` that do not go together.
        """
        return lambda image: image

    def inferring(self, predictor: Predictor, args: Namespace) -> Predictor:
        """``predictor`` as inference.py uses it, on pictures that nobody has looked at."""
        return predictor

    def inference_settings(self, args: Namespace) -> dict[str, Any]:
        """What ``as_read`` and ``inferring`` depend on; JSON-ready."""
        return {}

    @abstractmethod
    def predictor(self, loaded: Any) -> Predictor:
        """From images as they were read to what is found in their own pixels, by a ``LoadedModel``."""

    def graph_predictor(self, file: Path, device: str) -> Predictor:
        """The same of a file that ``exported`` made, without PyTorch."""
        raise NotImplementedError(f"an ONNX file, by {type(self).__name__}")

    def evaluated(self, predictor: Predictor, samples: Iterable[Any], batch_size: int) -> Any:
        """Results of whatever predicts, such as an ensemble; ``batch_size`` cases in memory."""
        raise NotImplementedError(f"an ensemble or several looks, by {type(self).__name__}")

    @abstractmethod
    def evaluation(self, results: Any, data: Any, looks: Looks, meanings: Sequence[Any]) -> Evaluation:
        """What test.py says of ``results`` on ``data``; ``meanings``: of the models that were asked."""

    def write_report(self, file: Path, evaluation: Any, load_image: Callable[[int], np.ndarray]) -> None:
        """One self-contained HTML file; ``load_image`` reads image n again, for the few that are shown."""
        raise NotImplementedError(f"an HTML report, by {type(self).__name__}")

    # Looking inside, export, benchmark

    def example_meaning(self, count: int) -> Any:
        """Any meaning of ``count`` outputs, for a model whose answers do not matter."""
        raise NotImplementedError(f"a model without data, by {type(self).__name__}")

    def add_export_arguments(self, parser: ArgumentParser) -> None:  # noqa: B027
        """What tools/pytorch2onnx.py can be asked besides."""

    def exported(self, args: Namespace, say: Say) -> bytes:
        """An ONNX file of the model of ``args``, verified. Raises ValueError when it gives other answers."""
        raise NotImplementedError(f"an ONNX file, by {type(self).__name__}")

    def add_inspection_arguments(self, parser: ArgumentParser) -> None:  # noqa: B027
        """What tools/visualize_model.py can be asked besides."""

    def model_pictures(self, loaded: Any, args: Namespace, say: Say) -> Iterator[tuple[str, Any]]:
        """What a model looks at on one image: file stem and figure. Says what there is no picture of."""
        raise NotImplementedError(f"a look inside, by {type(self).__name__}")

    def data_pictures(
        self, config: Mapping[str, Any], args: Namespace, say: Say
    ) -> Iterator[tuple[str, bytes]]:
        """Data as training sees them: file stem and PNG. Says what there is no picture of."""
        raise NotImplementedError(f"pictures of data, by {type(self).__name__}")


def require_criterion(task: Task, select: str | None) -> str:
    """The name of what makes the best checkpoint. Raises ValueError unless ``task`` knows ``select``."""
    names: Collection[str] = tuple(task.criteria)
    chosen = next(iter(names)) if select is None else select
    if chosen not in names:
        raise ValueError(f"train.select={select!r}, expected one of {tuple(names)}.")
    return chosen
