"""Average precision against hand-computed numbers and pycocotools, and what else is read off detections."""

import contextlib
import io
import json
import pickle
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval

from datasets.boxes.batch import collate_boxes
from tests.test_box_batch import box_sample
from transforms.augment import EvalTransforms
from util.evaluation.boxes.bootstrap import draws, resampled
from util.evaluation.boxes.box_results import BoxEvaluator, BoxResults, ImageBoxes, concatenate
from util.evaluation.boxes.box_summary import BoxSummary, headline, text_table
from util.evaluation.boxes.curves import Sweep, best_threshold, calibration, froc


def image(found=(), truth=(), *, case="a", ignored=()) -> ImageBoxes:
    """``found``: score, label, box; ``truth``: label, box, by index ignored."""
    found = sorted(found, key=lambda item: -item[0])
    boxes = np.array([item[1] for item in truth], float).reshape(-1, 4)
    return ImageBoxes(
        case=case,
        size=(400, 300),
        boxes=np.array([item[2] for item in found], np.float32).reshape(-1, 4),
        scores=np.array([item[0] for item in found], np.float32),
        labels=np.array([item[1] for item in found], np.int64),
        true_boxes=boxes,
        true_labels=np.array([item[0] for item in truth], np.int64),
        ignored=np.isin(np.arange(len(truth)), ignored),
        areas=(boxes[:, 2] - boxes[:, 0]) * (boxes[:, 3] - boxes[:, 1]),
    )


def random_results(seed: int, num_images: int = 12, num_classes: int = 4) -> BoxResults:
    """Objects of all sizes, detections about them of all quality, some false, some crowds."""
    rng = np.random.default_rng(seed)
    images = []
    for number in range(num_images):
        corners = rng.uniform(0, 250, (rng.integers(0, 9), 2))
        truth = [(int(rng.integers(num_classes)), [*at, *(at + rng.uniform(8, 140, 2))]) for at in corners]
        found = []
        for label, box in truth:
            for _ in range(rng.integers(0, 3)):
                wrong = rng.random() < 0.15
                shaken = np.array(box) + rng.normal(0, 5, 4)
                found.append((rng.random(), int(rng.integers(num_classes)) if wrong else label, shaken))
        for _ in range(rng.integers(0, 5)):
            at = rng.uniform(0, 250, 2)
            found.append((0.6 * rng.random(), int(rng.integers(num_classes)), [*at, *(at + 40)]))
        images.append(image(found, truth, case=str(number), ignored=[0] if rng.random() < 0.3 else ()))
    return BoxResults(tuple(images))


def coco_stats(results: BoxResults, num_classes: int) -> np.ndarray:
    """The 12 numbers of pycocotools from plain files, by nothing of the product."""
    images, objects, found = [], [], []
    for number, one in enumerate(results.images, start=1):
        images.append({"id": number, "width": 400, "height": 300})
        for box, label, crowd, area in zip(
            one.true_boxes, one.true_labels, one.ignored, one.areas, strict=True
        ):
            x, y, right, bottom = box.tolist()
            entry = {"id": len(objects) + 1, "image_id": number, "category_id": int(label) + 5}
            entry |= {"bbox": [x, y, right - x, bottom - y], "area": float(area), "iscrowd": int(crowd)}
            objects.append(entry)
        for box, label, score in zip(one.boxes, one.labels, one.scores, strict=True):
            x, y, right, bottom = box.astype(float).tolist()
            entry = {"image_id": number, "category_id": int(label) + 5, "score": float(score)}
            found.append({**entry, "bbox": [x, y, right - x, bottom - y]})
    truth = COCO()
    categories = [{"id": label + 5, "name": str(label)} for label in range(num_classes)]
    with contextlib.redirect_stdout(io.StringIO()):
        truth.dataset = {"images": images, "annotations": objects, "categories": categories, "info": {}}
        truth.createIndex()
        evaluation = COCOeval(truth, truth.loadRes(found), "bbox")
        evaluation.evaluate()
        evaluation.accumulate()
        evaluation.summarize()
    return evaluation.stats


@pytest.mark.parametrize("seed", range(4))
def test_numbers_are_those_of_pycocotools(seed):
    results = random_results(seed)
    expected = coco_stats(results, 4)
    numbers = BoxSummary(results, 4).headline
    names = ("ap", "ap50", "ap75", "ap_small", "ap_medium", "ap_large")
    names += ("ar1", "ar10", "ar100", "ar_small", "ar_medium", "ar_large")
    for name, value in zip(names, expected, strict=True):
        assert numbers[name] == (None if value == -1 else pytest.approx(value, abs=1e-12)), name


def test_average_precision_by_hand():
    """Two objects. Right at 0.9, wrong at 0.8, right at 0.7: precision 1 up to recall 1/2, then 2/3."""
    box, other = [10, 10, 60, 60], [100, 100, 160, 160]
    results = BoxResults(
        (image([(0.9, 0, box), (0.8, 0, [200, 200, 260, 260]), (0.7, 0, other)], [(0, box), (0, other)]),)
    )
    numbers = headline(results)
    assert numbers["ap50"] == pytest.approx((51 * 1 + 50 * 2 / 3) / 101)
    assert numbers["ap"] == pytest.approx(numbers["ap50"])  # exact boxes are found at every overlap
    assert numbers["ar100"] == 1.0 and numbers["ar1"] == 0.5


def test_overlaps_at_the_threshold_by_hand():
    """A box of 100 x 100 shifted by 20: overlap 80 / 120 = 0.667, found at 0.5, 0.55, 0.6 and 0.65 of ten."""
    results = BoxResults((image([(0.9, 0, [20, 0, 120, 100])], [(0, [0, 0, 100, 100])]),))
    numbers = headline(results)
    assert (numbers["ap50"], numbers["ap75"]) == pytest.approx((1.0, 0.0))
    assert numbers["ap"] == pytest.approx(0.4)


def test_no_detection_and_no_object():
    assert headline(BoxResults((image([], [(0, [0, 0, 9, 9])]),)))["ap"] == 0.0
    summary = BoxSummary(BoxResults((image([(0.5, 0, [0, 0, 9, 9])]),)), 2)
    assert summary.headline["ap"] is None and summary.interval["ap"] is None
    assert "without one object" in text_table(summary, ["a", "b"])
    json.dumps(summary.to_dict(["a", "b"]), allow_nan=False)


def test_classes_without_objects_have_no_row_but_are_named():
    box = [10, 10, 60, 60]
    results = BoxResults((image([(0.9, 7, box), (0.8, 1, box)], [(7, box)]),))
    names = [f"class {label}" for label in range(9)]
    lines = text_table(BoxSummary(results, 9), names).splitlines()
    assert [line.split("  ")[0] for line in lines[:3]] == ["class", "all", "class 7"] and not lines[3]
    absent = "class 0, class 1, class 2, class 3, class 4 and 3 more"
    assert lines[4] == f"no object here of 8 of 9 classes: {absent}"


def test_more_objects_than_coco_counts_detections_are_told():
    boxes = [[4 * (n % 50), 4 * (n // 50), 4 * (n % 50) + 3, 4 * (n // 50) + 3] for n in range(101)]
    dense = image([(0.9, 0, box) for box in boxes], [(0, box) for box in boxes])
    told = text_table(BoxSummary(BoxResults((dense, image())), 2), ["cell", "nucleus"]).splitlines()[-1]
    assert told.startswith("1 images with more than 100 objects of a class (up to 101): ")
    dense = image([(0.9, 0, box) for box in boxes], [(0, box) for box in boxes], ignored=[0])
    told = text_table(BoxSummary(BoxResults((dense, image())), 2), ["cell", "nucleus"])
    assert "more than" not in told


def test_classes_without_objects_do_not_count():
    box = [10, 10, 60, 60]
    results = BoxResults((image([(0.9, 0, box), (0.8, 1, [100, 100, 160, 160])], [(0, box)]),))
    summary = BoxSummary(results, 3)
    assert summary.headline["ap"] == pytest.approx(1.0)
    assert [record["ap"] for record in summary.by_class] == [pytest.approx(1.0), None, None]


@pytest.mark.parametrize("seed", range(3))
def test_weights_are_repeated_images(seed):
    """AP of a resample equals AP of the images written down as often as they were drawn."""
    results = random_results(seed, num_images=7)
    summary = BoxSummary(results, 4)
    counts = draws(7, 5, seed)
    found = resampled(summary.matches, np.vstack([np.ones(7), counts]))
    assert found[0] == pytest.approx([summary.headline[name] for name in ("ap", "ap50", "ap75")])
    for weights, values in zip(counts, found[1:], strict=True):
        repeated = [one for one, n in zip(results.images, weights, strict=True) for _ in range(int(n))]
        again = headline(BoxResults(tuple(repeated)))
        assert values == pytest.approx([again[name] for name in ("ap", "ap50", "ap75")])


def test_an_interval_holds_the_number_and_narrows_with_images():
    widths = []
    for number in (8, 64):
        summary = BoxSummary(random_results(1, num_images=number), 4)
        low, high = summary.interval["ap"]
        assert low < summary.headline["ap"] < high
        widths.append(high - low)
    assert widths[1] < 0.6 * widths[0]


def test_threshold_and_froc_by_hand():
    swept = Sweep(np.array([0.9, 0.8, 0.7, 0.6, 0.5]), np.array([True, True, False, True, False]), 4, 2)
    best = best_threshold(swept)  # F1 at 0.9 ... 0.5: 2/5, 4/6, 4/7, 6/8, 6/9
    assert best["score"] == 0.6 and best["f1"] == 0.75
    assert best["precision"] == 0.75 and best["recall"] == 0.75
    rates = froc(swept, (0.25, 0.5, 1.0))  # false positives an image: 0, 0, 0.5, 0.5, 1
    assert rates == {"0.25": 0.5, "0.5": 0.75, "1": 0.75, "mean": pytest.approx(2 / 3)}


def test_equal_scores_are_taken_together():
    swept = Sweep(np.array([0.5, 0.5, 0.5]), np.array([True, False, False]), 1, 1)
    assert best_threshold(swept)["precision"] == pytest.approx(1 / 3)
    assert froc(swept, (1.0,))["1"] == 0.0  # one false positive an image cannot be had


def test_calibration_by_hand():
    scores = np.array([0.95] * 10 + [0.35] * 10 + [0.01] * 1000)
    right = np.array([True] * 9 + [False] * 8 + [True] * 3 + [False] * 1000)
    found = calibration(Sweep(scores, right, 20, 5))
    assert found["error"] == pytest.approx((0.05 + 0.05) / 2)
    assert [one["count"] for one in found["bins"]] == [10, 10]


def test_confusion_by_hand():
    a, b, c = [0, 0, 50, 50], [100, 0, 150, 50], [200, 0, 250, 50]
    found = [(0.9, 0, a), (0.8, 1, b), (0.7, 1, [300, 200, 350, 250]), (0.65, 0, [1, 0, 51, 50])]
    found += [(0.1, 0, c), (0.6, 1, [0, 200, 60, 260])]
    truth = [(0, a), (0, b), (1, c), (1, [0, 200, 60, 260])]
    summary = BoxSummary(BoxResults((image(found, truth, ignored=[3]),)), 2)
    from util.evaluation.boxes.confusion import confusion_matrix

    matrix = confusion_matrix(summary.results, 2, 0.5)
    # a is found, b is taken for class 1, c is missed, two detections are of nothing, the crowd counts nowhere
    assert matrix.tolist() == [[1, 1, 0], [0, 0, 1], [1, 1, 0]]


def test_what_lies_inside_a_crowd_is_no_mistake_however_small():
    found = [(0.9, 0, [10, 10, 30, 30]), (0.8, 1, [200, 0, 250, 50]), (0.7, 0, [90, 0, 120, 30])]
    truth = [(0, [0, 0, 100, 100]), (1, [200, 0, 250, 50])]
    from util.evaluation.boxes.confusion import confusion_matrix

    matrix = confusion_matrix(BoxResults((image(found, truth, ignored=[0]),)), 2, 0.5)
    # one detection lies inside the crowd, one by a third of its area alone
    assert matrix.tolist() == [[0, 0, 0], [0, 1, 0], [1, 0, 0]]


def test_results_survive_json_and_pickle_exactly():
    results = random_results(5)
    copies = [ImageBoxes.from_dict(json.loads(json.dumps(one.to_dict()))) for one in results.images]
    for one, copy in zip(results.images, copies, strict=True):
        for name, value in vars(one).items():
            assert np.array_equal(getattr(copy, name), value), name
    assert headline(BoxResults(tuple(copies))) == headline(pickle.loads(pickle.dumps(results)))


def test_the_evaluator_leads_home_and_joins_in_order():
    """Detections on a letterboxed canvas come back to source pixels, clipped; score 0 is none."""
    transforms = EvalTransforms((64, 96))
    samples = [
        transforms(box_sample(40, 30, [(2, 3, 12, 11), (20, 5, 30, 25)], case=case), np.random.default_rng(0))
        for case in "ab"
    ]
    parts = []
    for sample in samples:
        batch = collate_boxes([sample])
        boxes = torch.cat([batch.targets[0]["boxes"], torch.tensor([[-50.0, -50, 200, 200], [0, 0, 1, 1]])])
        scores, labels = torch.tensor([[0.5, 0.9, 0.3, 0.0]]), torch.tensor([[0, 0, 0, 0]])
        evaluator = BoxEvaluator()
        evaluator.update(
            SimpleNamespace(final=SimpleNamespace(boxes=boxes[None], scores=scores, labels=labels)), batch
        )
        parts.append(pickle.loads(pickle.dumps(evaluator.results())))
    results = concatenate(parts)
    assert results.cases == ("a", "b")
    one = results.images[0]
    assert np.allclose(one.boxes, [[20, 5, 30, 25], [2, 3, 12, 11], [0, 0, 40, 30]], atol=1e-4)
    assert one.scores.tolist() == pytest.approx([0.9, 0.5, 0.3])
    assert one.true_boxes.tolist() == [[2, 3, 12, 11], [20, 5, 30, 25]]
    assert one.ignored.tolist() == [False, True]
    assert headline(results)["ap"] == pytest.approx(1.0)  # the box of the whole image is ranked last


def test_what_is_not_finite_or_empty_is_refused():
    batch = collate_boxes([box_sample(32, 32, [(0, 0, 8, 8)])])
    final = SimpleNamespace(
        boxes=torch.full((1, 1, 4), torch.nan), scores=torch.ones(1, 1), labels=torch.zeros(1, 1)
    )
    with pytest.raises(ValueError, match="case 'a': a detection is not finite"):
        BoxEvaluator().update(SimpleNamespace(final=final), batch)
    with pytest.raises(ValueError, match="no image"):
        BoxEvaluator().results()
    with pytest.raises(ValueError, match="no results"):
        concatenate([])
