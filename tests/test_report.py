"""The report, its figures and the table."""

import base64
import json
import re
import shutil
import subprocess
from dataclasses import replace

import cv2
import numpy as np
import pytest
from matplotlib.patches import Ellipse

from datasets.landmarks.landmark_set import LandmarkSet, load_landmark_set
from util.evaluation.landmarks.evaluation import LandmarkEvaluation, text_table
from util.evaluation.landmarks.metrics import Errors, summarise
from util.files import write_atomic
from util.reporting.figures import error_ellipses
from util.reporting.report import worst_images, write_report

NAMES = ("sella", "soft <tissue> & co", "never seen")


def make_evaluation(tmp_path, num_images: int = 9) -> LandmarkEvaluation:
    rng = np.random.default_rng(0)
    truth = rng.uniform(20, 100, (num_images, len(NAMES), 2))
    truth[:, 2] = np.nan
    predicted = np.nan_to_num(truth, nan=50.0) + rng.normal(0, 4, truth.shape)
    errors = Errors(
        cases=tuple(f"case{index:02d}" for index in range(num_images)),
        predicted=predicted,
        truth=truth,
        spacing=np.full((num_images, 2), 0.25),
        uncertainty_mm=rng.uniform(0.5, 2.0, truth.shape[:2]),
    )
    return LandmarkEvaluation(
        errors=errors,
        summary=summarise(errors),
        landmark_set=LandmarkSet("own", NAMES, ("S", "T", "N"), note="Names are inferred & marked."),
        labels="senior",
        checkpoint=tmp_path / "best.pt",
        folder=tmp_path / "data",
        subset="test",
    )


def test_the_report_is_one_file_that_states_what_it_measured(tmp_path):
    evaluation, asked = make_evaluation(tmp_path), []

    def load(index: int) -> np.ndarray:
        asked.append(index)
        return np.full((128, 128), 80, np.uint8)

    write_report(tmp_path / "report.html", evaluation, load)
    html = (tmp_path / "report.html").read_text(encoding="utf-8")
    assert "senior labels" in html
    assert "Names are inferred &amp; marked." in html
    assert "soft &lt;tissue&gt; &amp; co" in html and "<tissue>" not in html
    assert f"{evaluation.summary.mre_mm:.3f} mm" in html
    assert f"{evaluation.reliability.error_percent:.1f} %" in html
    assert not re.search(r'(src|href)="(?!data:)', html) and "url(" not in html and "@import" not in html
    assert asked == worst_images(evaluation.errors.radial_mm, 6)  # no other image is read


def test_every_picture_of_the_report_can_be_decoded(tmp_path):
    write_report(tmp_path / "r.html", make_evaluation(tmp_path), lambda _: np.zeros((128, 128), np.uint8))
    encoded = re.findall(r"data:image/png;base64,([^\"]+)", (tmp_path / "r.html").read_text(encoding="utf-8"))
    pictures = [cv2.imdecode(np.frombuffer(base64.b64decode(one), np.uint8), 1) for one in encoded]
    assert len(pictures) == 4 + 2 * 6
    assert all(picture is not None and picture.std() > 0 for picture in pictures)


def test_an_ellipse_lies_along_the_errors_about_their_mean_three_times_as_large():
    along = np.array([-3.0, -1.0, 1.0, 3.0])  # mm, on a line that falls to the right
    vectors = np.stack([along + 0.5, along], -1)[:, None]  # (4, 1, 2), mean (0.5, 0)
    truth = np.full((4, 1, 2), (100.0, 60.0))
    truth[:, 0, 0] += along
    (axes,) = error_ellipses(vectors, truth, ["Go"]).axes
    (ellipse,) = axes.patches
    assert isinstance(ellipse, Ellipse)
    assert ellipse.center == pytest.approx((101.5, 60.0))
    assert ellipse.angle % 180.0 == pytest.approx(45.0)
    assert ellipse.width == pytest.approx(2.0 * 3.0 * np.std(along, ddof=1) * np.sqrt(2.0))
    assert ellipse.height == pytest.approx(0.0, abs=1e-6)
    low, high = axes.get_ylim()
    assert low > high  # y runs down


def test_landmarks_with_few_errors_have_no_ellipse_and_those_with_none_no_place():
    vectors = np.full((2, 2, 2), np.nan)
    vectors[:, 0] = 1.0
    (axes,) = error_ellipses(vectors, np.full((2, 2, 2), 50.0), ["seen", "never"]).axes
    assert not axes.patches
    assert [text.get_text() for text in axes.texts] == ["seen"]


def test_a_report_of_a_single_image(tmp_path):
    evaluation = make_evaluation(tmp_path, num_images=1)
    write_report(tmp_path / "r.html", evaluation, lambda _: np.zeros((128, 128), np.uint8))
    assert "case00" in (tmp_path / "r.html").read_text(encoding="utf-8")
    record = json.loads(json.dumps(evaluation.to_dict(), allow_nan=False))
    assert record["systematic"]["mre_without_mm"] is None  # one image does not tell an offset from chance
    assert record["systematic"]["coverage_without_percent"] == {}


def test_a_report_that_fails_half_way_leaves_no_file(tmp_path):
    def truncated(index: int) -> np.ndarray:
        raise ValueError("case03.png: truncated")

    with pytest.raises(ValueError, match="truncated"):
        write_report(tmp_path / "r.html", make_evaluation(tmp_path), truncated)
    assert list(tmp_path.iterdir()) == []


def test_worst_images_come_worst_first_and_without_truth_never():
    radial = np.array([[1.0, np.nan], [np.nan, np.nan], [5.0, 1.0], [2.0, 6.0]])
    assert worst_images(radial, 3) == [3, 2, 0]


def test_json_and_table_hold_the_same_numbers(tmp_path):
    evaluation = make_evaluation(tmp_path)
    record = json.loads(json.dumps(evaluation.to_dict(), allow_nan=False))
    assert np.shape(record["errors_mm"]) == (9, 3)
    assert [row[2] for row in record["errors_mm"]] == [None] * 9
    assert record["calibration"]["error_percent"] == evaluation.reliability.error_percent
    assert sum(record["calibration"]["counts"]) == record["count"]
    assert record["systematic"]["mre_without_mm"] == evaluation.systematic.mre_mm
    assert record["systematic"]["offset_mm"][2] == [None, None]
    present = [value for row in record["errors_mm"] for value in row if value is not None]
    assert record["mre_mm"] == pytest.approx(np.mean(present))
    np.testing.assert_allclose(np.array(record["points"]["predicted"]) + 0.5, evaluation.errors.predicted)
    lines = text_table(evaluation).splitlines()
    assert len({len(line) for line in lines}) == 1
    assert lines[2].split()[:3] == ["all", "18", f"{record['mre_mm']:.3f}"]
    assert lines[2].endswith(f"without: {evaluation.systematic.mre_mm:.3f}")
    assert lines[4].endswith("{:+.2f}, {:+.2f}".format(*evaluation.systematic.offset_mm[0]))
    assert lines[-1].split()[:5] == ["3", "never", "seen", "0", "-"] and lines[-1].endswith(" -")


def test_atomic_writing_keeps_the_old_file_and_no_rest_when_it_fails(tmp_path):
    file = tmp_path / "a.txt"
    write_atomic(file, "old")
    with pytest.raises(UnicodeEncodeError):
        write_atomic(file, "\ud800")
    assert file.read_text() == "old" and list(tmp_path.iterdir()) == [file]
    with pytest.raises(ValueError, match="is a folder"):
        write_atomic(tmp_path, "x")
    with pytest.raises(ValueError, match="not a folder"):
        write_atomic(file / "b.txt", "x")


def test_the_numbers_without_repeats_stand_beside_those_of_all(tmp_path):
    plain = make_evaluation(tmp_path)
    assert plain.unrepeated is None and plain.to_dict()["repeated"] == []
    some = replace(plain, repeated=("case01", "case04"))
    others = np.nanmean(np.delete(plain.errors.radial_mm, [1, 4], axis=0))
    record = some.to_dict()
    assert record["repeated"] == ["case01", "case04"] and record["mre_mm"] == plain.summary.mre_mm
    assert record["unrepeated"]["num_images"] == 7
    assert record["unrepeated"]["mre_mm"] == pytest.approx(others)
    write_report(tmp_path / "report.html", some, lambda _: np.full((128, 128), 80, np.uint8))
    assert f"2 (without them {others:.3f} mm" in (tmp_path / "report.html").read_text(encoding="utf-8")

    every = replace(plain, repeated=plain.errors.cases)
    assert every.unrepeated is None and every.to_dict()["unrepeated"] is None
    write_report(tmp_path / "report.html", every, lambda _: np.full((128, 128), 80, np.uint8))
    assert "9 (none is left)" in (tmp_path / "report.html").read_text(encoding="utf-8")


@pytest.mark.slow
@pytest.mark.skipif(shutil.which("chromium") is None, reason="needs chromium")
def test_the_table_fits_a_window_of_1200_pixels(tmp_path):
    """With the 38 landmarks of the widest set that ships; a browser tells the widths."""
    landmark_set = load_landmark_set("cl38")
    small = make_evaluation(tmp_path)
    truth = np.random.default_rng(1).uniform(20, 100, (3, len(landmark_set), 2))
    errors = Errors(
        cases=("a", "b", "c"),
        predicted=truth + 40.0,
        truth=truth,
        spacing=np.full((3, 2), 0.25),
        uncertainty_mm=np.ones(truth.shape[:2]),
    )
    evaluation = replace(small, errors=errors, summary=summarise(errors), landmark_set=landmark_set)
    file = tmp_path / "report.html"
    write_report(file, evaluation, lambda _: np.full((128, 128), 80, np.uint8))
    measure = "document.title = [t.scrollWidth, t.clientWidth, innerWidth].join(' ')"
    script = f"<script>const t = document.querySelector('.wide'); {measure}</script></body>"
    file.write_text(file.read_text(encoding="utf-8").replace("</body>", script), encoding="utf-8")
    command = [
        "chromium",
        "--headless",
        "--no-sandbox",
        "--disable-gpu",
        "--window-size=1200,900",
        "--dump-dom",
    ]
    done = subprocess.run([*command, file.as_uri()], capture_output=True, text=True, check=True, timeout=120)
    found = re.search(r"<title>(\d+) (\d+) (\d+)</title>", done.stdout)
    assert found is not None
    needed, there, window = map(int, found.groups())
    assert window == 1200 and needed <= there
