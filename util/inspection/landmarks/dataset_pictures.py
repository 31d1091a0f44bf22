"""The pictures of a case and of a whole split of prepared data."""

from collections.abc import Iterable, Iterator

import numpy as np
from matplotlib.figure import Figure

from datasets.landmarks.batch import collate
from datasets.prepared.prepared import PreparedDataset
from models.landmarks.prediction import Targets
from transforms.sample import PointSample
from util.inspection.landmarks.canvas_drawing import Canvas
from util.inspection.landmarks.dataset_figures import augmentation_figure, landmarks_figure, target_figure
from util.inspection.landmarks.heatmap_target import TargetMaker
from util.inspection.landmarks.input import mm_per_pixel


def choose_cases(total: int, count: int, seed: int) -> list[int]:
    """``count`` of ``total`` indices, drawn by ``seed``, ascending; all where there are no more."""
    return sorted(np.random.default_rng(seed).permutation(total)[:count].tolist())


def spread_cases(total: int, count: int) -> list[int]:
    """At most ``count`` of ``total`` indices, evenly spaced, first and last among them."""
    return np.unique(np.linspace(0, total - 1, min(count, total)).round().astype(int)).tolist()


def case_pictures(
    upright: PreparedDataset, augmented: PreparedDataset, index: int, draws: int, target: TargetMaker
) -> Iterator[tuple[str, Figure]]:
    """Pictures of one case: (file stem, figure).

    ``upright`` has the transforms of evaluation, ``augmented`` those of training, whose first ``draws`` draws
    of this case are shown: just what a training with the seed of ``augmented`` sees.
    """
    case, source = upright.cases[index], upright.load(index)
    yield f"{case}_landmarks", landmarks_figure(_canvas(source, upright), source.points, case)
    plain = upright[index]
    moved = [augmented[index, draw] for draw in range(draws)]
    shown = [(_canvas(sample, upright), sample.points) for sample in (plain, *moved)]
    yield f"{case}_augmentation", augmentation_figure(shown[0], shown[1:])
    if not target.reason:
        batch = collate([plain])
        targets = Targets(batch.points, batch.present, batch.mm_per_unit)
        height, width = plain.image.shape
        made = target.make(targets, (height, width))
        yield f"{case}_target", target_figure(_canvas(plain, upright), plain.points, made)


def sheet_tiles(
    dataset: PreparedDataset, indices: Iterable[int]
) -> Iterator[tuple[str, np.ndarray, np.ndarray]]:
    """Caption, image and points of cases for a contact sheet, read one at a time."""
    for index in indices:
        sample = dataset.load(index)
        found, total = int(np.isfinite(sample.points).all(-1).sum()), len(sample.points)
        missing = "" if found == total else f"  {found}/{total} landmarks"
        yield f"{sample.case}{missing}", sample.image, sample.points


def _canvas(sample: PointSample, dataset: PreparedDataset) -> Canvas:
    return Canvas(sample.image, dataset.landmark_set, mm_per_pixel(sample))
