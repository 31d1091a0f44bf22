"""The report of boxes is one whole file, its pictures show what they say."""

import numpy as np
import pytest

from tests.test_box_metrics import image, random_results
from util.evaluation.boxes import bootstrap
from util.evaluation.boxes.box_evaluation import BoxEvaluation
from util.evaluation.boxes.box_results import BoxResults
from util.reporting.boxes.box_pictures import IGNORED, contact_sheet, overlay, truth_picture
from util.reporting.boxes.box_report import worst_images, write_report

NAMES = ("one", "two", "three", "<four>")


def evaluation(results, tmp_path, **more) -> BoxEvaluation:
    return BoxEvaluation(
        results, NAMES, (1, 2, 3, 9), (tmp_path / "best.pt",), tmp_path / "data", "test", **more
    )


@pytest.fixture(autouse=True)
def _few_resamples(monkeypatch):
    monkeypatch.setattr(bootstrap, "RESAMPLES", 100)


def test_a_report_is_one_file_with_every_class(tmp_path):
    shown = []

    def load_image(index):
        shown.append(index)
        return np.full((300, 400), 90, np.uint8)

    found = evaluation(random_results(2), tmp_path, repeated=("3",))
    write_report(tmp_path / "report.html", found, load_image)
    text = (tmp_path / "report.html").read_text()
    assert all(word in text for word in ("one", "two", "three", "&lt;four&gt;", "best.pt", "95 % interval"))
    assert "<four>" not in text and "http" not in text.replace("http-equiv", "")
    assert text.count("<img") == 4 + len(shown) and len(shown) == len(set(shown)) <= 8
    assert "without the 1 images" in found.text()


@pytest.mark.parametrize(
    "results", [[image([], [(0, [0, 0, 9, 9])])], [image([(0.5, 0, [0, 0, 9, 9])])], [image()]]
)
def test_a_report_of_next_to_nothing(results, tmp_path):
    write_report(
        tmp_path / "report.html",
        evaluation(BoxResults(tuple(results)), tmp_path),
        lambda _: np.zeros((300, 400), np.uint8),
    )
    assert (tmp_path / "report.html").read_text().endswith("</html>\n")


def test_the_worst_image_has_the_most_errors(tmp_path):
    box, other = [10, 10, 60, 60], [100, 100, 160, 160]
    good = image([(0.9, 0, box)], [(0, box)], case="good")
    bad = image([(0.9, 1, box), (0.9, 0, [200, 200, 250, 250])], [(0, box), (0, other)], case="bad")
    found = evaluation(BoxResults((good, bad)), tmp_path)
    assert worst_images(found, 5) == [(1, 2, 1)]


def test_overlays_draw_truth_red_and_what_is_sure_enough_green():
    box, crowd = [20, 40, 120, 160], [200, 40, 300, 160]
    one = image(
        [(0.9, 1, [25, 45, 125, 165]), (0.3, 0, [220, 200, 300, 280])], [(1, box), (0, crowd)], ignored=[1]
    )
    drawn = overlay(np.full((300, 400), 50, np.uint8), one, NAMES, 0.5)
    truth, crowd_red, found = (drawn[100, column].astype(int) for column in (20, 200, 25))
    assert truth[0] > 150 > 2 * truth[1] and found[1] > 130 > 2 * found[0]
    assert 70 < crowd_red[0] < IGNORED[0] + 10 and crowd_red[1] > 60
    assert tuple(drawn[240, 220]) == (50, 50, 50)
    shown = overlay(np.zeros((300, 400, 3), np.uint8), one, NAMES, 0.2, truth=False)
    assert shown[240, 220, 1] > 100 and not (shown[..., 0] > 100).any()


def test_a_box_edge_is_drawn_where_the_box_ends():
    """A box of pixel columns 10 to 19 spans [10, 20]; its edges are drawn within a pixel of that."""
    drawn = truth_picture(
        np.zeros((60, 60), np.uint8), np.array([[10.0, 20.0, 20.0, 50.0]]), np.array([0]), NAMES
    )
    columns = np.flatnonzero(drawn[45, :, 0] > 100)
    assert abs(columns.min() + 0.5 - 10) <= 1 and abs(columns.max() + 0.5 - 20) <= 1


def test_a_sheet_holds_every_picture():
    tiles = [(str(number), np.full((40, 60, 3), 200, np.uint8)) for number in range(5)]
    sheet = contact_sheet(tiles, side=100)
    assert (
        sheet.shape == (200, 300, 3) and (sheet[:, 200:] > 0).any() and not (sheet[110:190, 210:] > 0).any()
    )
