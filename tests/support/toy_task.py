"""The smallest task there is: one number an image, its mean grey value. Beside it, its reader and its model.

Stands for what anyone may add: engine and scripts have never heard of it.
"""

import argparse
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import cv2
import numpy as np
import torch
from torch import Tensor, nn

from datasets.sample import Batch, stacked
from transforms.sample import Sample
from util.config import instantiate
from util.training.task import Criterion, Headline, Task


@dataclass(frozen=True, kw_only=True)
class NumberSample(Sample):
    number: float


@dataclass(frozen=True, kw_only=True)
class NumberBatch(Batch):
    numbers: Tensor  # (B,)


class NumberFolder:
    """Pictures of a folder and ``numbers.json``: {subset: {file name: number}}."""

    def __init__(self, folder: str | Path, subset: str, transforms: Any = None, seed: int = 0) -> None:
        self.folder, self.subset, self.transforms, self.seed = Path(folder), subset, transforms, seed
        self._numbers = json.loads((self.folder / "numbers.json").read_text())[subset]
        self.cases = tuple(self._numbers)

    def __len__(self) -> int:
        return len(self.cases)

    def load(self, index: int) -> NumberSample:
        case = self.cases[index]
        image = cv2.imread(str(self.folder / case), cv2.IMREAD_GRAYSCALE)
        kept = {"spacing": np.full(2, np.nan), "to_source": np.eye(3), "case": case}
        return NumberSample(image=np.asarray(image), number=self._numbers[case], **kept)

    def __getitem__(self, key: int | tuple[int, int]) -> NumberSample:
        index, draw = key if isinstance(key, tuple) else (key, 0)
        return self.transforms(self.load(index), np.random.default_rng([self.seed, draw, index]))


@dataclass(frozen=True)
class NumberMeaning:
    unit: str
    names: tuple[str, ...] = ("number",)

    def to_dict(self) -> dict[str, Any]:
        return {"unit": self.unit}

    def counterparts(self, other: "NumberMeaning") -> dict[int, int]:
        return {0: 0}


@dataclass(frozen=True)
class NumberOutputs:
    final: Tensor  # (B,)


@dataclass(frozen=True)
class NumberReport:
    total: Tensor
    parts: dict[str, Tensor]


class NumberModel(nn.Module):
    output_tensors = ()

    def __init__(self) -> None:
        super().__init__()
        self.layers = nn.Sequential(nn.Conv2d(1, 4, 3), nn.BatchNorm2d(4), nn.Dropout(0.1), nn.Flatten())
        self.head = nn.LazyLinear(1)
        self.eval()(torch.zeros(1, 1, 32, 32))

    def forward(self, images: Tensor, targets: Any = None) -> NumberOutputs:
        return NumberOutputs(self.head(self.layers(images).float())[:, 0])


class NumberCriterion(nn.Module):
    def forward(self, outputs: NumberOutputs, targets: Tensor, progress: float) -> NumberReport:
        loss = (outputs.final - targets).abs().mean()
        return NumberReport(loss, {"l1": loss.detach()})


class NumberEvaluator:
    def __init__(self) -> None:
        self._rows: list[tuple[str, float, float]] = []

    def update(self, outputs: NumberOutputs, batch: NumberBatch) -> None:
        self._rows += zip(batch.cases, outputs.final.tolist(), batch.numbers.tolist(), strict=True)

    def results(self) -> list[tuple[str, float, float]]:
        return self._rows


@dataclass(frozen=True)
class NumberEvaluation:
    rows: list[tuple[str, float, float]]

    def text(self) -> str:
        return f"mean error {_error(self.rows):.4f}"

    def to_dict(self) -> dict[str, Any]:
        return {"error": _error(self.rows), "rows": self.rows}

    def overlay(self, index: int, image: np.ndarray) -> np.ndarray:
        return cv2.cvtColor(image, cv2.COLOR_GRAY2RGB)


@dataclass(frozen=True)
class NumberLooks:
    checkpoints: tuple[Path, ...]
    plain: bool = True

    def predictor(self, members: Sequence[Any]) -> Any:
        return members[0]

    def settings(self) -> dict[str, Any]:
        return {}

    def to_dict(self) -> None:
        return None


class NumberPredictor:
    """A loaded model, and how its answers are written."""

    def __init__(self, loaded: Any) -> None:
        self.file, self._loaded, self.answers = loaded.file, loaded, self
        self._transforms = instantiate(loaded.config.eval_transforms)

    def __call__(self, images: Sequence[Any]) -> list[float]:
        kept = {"spacing": np.full(2, np.nan), "to_source": np.eye(3), "case": "x"}
        samples = [
            self._transforms(Sample(image=image.image, **kept), np.random.default_rng(0)) for image in images
        ]
        batch = Batch(**stacked(samples)).to("cpu")
        with torch.inference_mode():
            return self._loaded.model(batch.images).final.tolist()

    def about(self) -> dict[str, Any]:
        return self._loaded.meaning.to_dict()

    def record(self, image: Any, found: float) -> dict[str, Any]:
        return {"file": str(image.file), "number": found}

    def overlay(self, image: Any, found: float) -> np.ndarray:
        return cv2.cvtColor(image.image, cv2.COLOR_GRAY2RGB)

    def write(self, file: Path, *, model: Any, left_out: Any, images: Any, failed: Any) -> int:
        records = list(images)
        file.write_text(json.dumps({"model": model, "images": records, "failed": list(failed)}))
        return len(records)


class NumberTask(Task):
    """All that engine and scripts need to know."""

    name = "numbers"
    criteria: ClassVar[Mapping[str, Criterion]] = {"error": lambda headline: headline["error"]}

    def open_data(self, folder: Any, subset: str, transforms: Any = None, seed: int = 0) -> NumberFolder:
        return NumberFolder(folder, subset, transforms, seed)

    def collate(self, samples: Sequence[NumberSample]) -> NumberBatch:
        return NumberBatch(numbers=torch.tensor([one.number for one in samples]), **stacked(samples))

    def meaning(self, data: NumberFolder) -> NumberMeaning:
        return NumberMeaning("grey")

    def meaning_of(self, checkpoint: Mapping[str, Any], file: Path) -> NumberMeaning:
        return NumberMeaning(checkpoint["unit"])

    def require_same(self, meaning: NumberMeaning, data: NumberFolder, file: Path) -> None:
        """Any folder of numbers will do."""

    def build_model(self, config: Any, meaning: NumberMeaning) -> NumberModel:
        return instantiate(config)

    def targets(self, batch: NumberBatch) -> Tensor:
        return batch.numbers

    def evaluator(self) -> NumberEvaluator:
        return NumberEvaluator()

    def joined(self, results: Sequence[Any]) -> list[tuple[str, float, float]]:
        return [row for part in results for row in part]

    def headline(self, results: Any) -> dict[str, Any]:
        return {"error": _error(results)}

    def words(self, headline: Headline) -> dict[str, str]:
        return {"error": f"{headline['error']:.4f}"}

    def looks(self, args: argparse.Namespace) -> NumberLooks:
        return NumberLooks(tuple(args.checkpoint))

    def predictor(self, loaded: Any) -> NumberPredictor:
        return NumberPredictor(loaded)

    def evaluation(self, results: Any, data: Any, looks: Any, meanings: Sequence[Any]) -> NumberEvaluation:
        return NumberEvaluation(results)


def _error(rows: Sequence[tuple[str, float, float]]) -> float:
    return float(np.mean([abs(found - number) for _, found, number in rows]))
