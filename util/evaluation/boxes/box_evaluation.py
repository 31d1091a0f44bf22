"""One evaluation of a checkpoint on one subset of boxes: its numbers as JSON, as tables and as pictures."""

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from util.evaluation.boxes.box_results import BoxResults
from util.evaluation.boxes.box_summary import BoxSummary, text_table


@dataclass(frozen=True)
class BoxEvaluation:
    """``util.evaluation.report.Evaluation`` of boxes. Raises ValueError for a label that has no name."""

    results: BoxResults
    names: tuple[str, ...]
    category_ids: tuple[int, ...]  # what the source calls the classes
    checkpoints: tuple[Path, ...]
    folder: Path
    subset: str
    repeated: tuple[str, ...] = ()  # cases whose picture train or val has too
    show_conf: float = 0.5  # from which score on overlays show detections

    @cached_property
    def summary(self) -> BoxSummary:
        return BoxSummary(self.results, len(self.names))

    @cached_property
    def unrepeated(self) -> BoxSummary | None:
        """Without the ``repeated`` cases, which are no test of unseen images; None where there are none."""
        others = tuple(image for image in self.results.images if image.case not in self.repeated)
        if not others or len(others) == len(self.results.images):
            return None
        return BoxSummary(BoxResults(others), len(self.names))

    def text(self) -> str:
        """Tables and sentences for a terminal."""
        lines = [text_table(self.summary, self.names), f"{self.folder}, subset {self.subset}"]
        if self.unrepeated is not None:
            ap = self.unrepeated.headline["ap"]
            told = "no object is left" if ap is None else f"AP {100 * ap:.1f} %"
            lines.append(f"without the {len(self.repeated)} images that train or val has too: {told}")
        return "\n".join(lines)

    def to_dict(self) -> dict[str, Any]:
        """Every number; JSON-ready. ``ap``, ``ap50`` and ``ap75`` at the top, as fractions of 1."""
        return {
            **self.summary.to_dict(self.names),
            "task": "boxes",
            "category_ids": list(self.category_ids),
            "repeated": list(self.repeated),
            "unrepeated": self.unrepeated and self.unrepeated.headline,
            "checkpoint": str(self.checkpoints[0]),
            "data": str(self.folder),
            "subset": self.subset,
        }

    def overlay(self, index: int, image: np.ndarray) -> np.ndarray:
        """(H, W, 3) uint8 RGB: truth red, prediction green with class and score."""
        from util.reporting.boxes.box_pictures import overlay

        return overlay(image, self.results.images[index], self.names, self.show_conf)
