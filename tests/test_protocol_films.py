"""Which films teach a protocol, and how a model sees them."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from datasets.landmarks.unit import LengthUnit
from datasets.prepared.case import PreparedCase
from datasets.prepared.writer import write_prepared
from review_page.adaptation import in_words
from tasks.landmarks import LandmarkTask
from tests.support.run_tool import run_tool
from tests.support.smoke_checkpoint import write_smoke_checkpoint
from tests.support.xray_files import picture
from tests.test_poses import HEAD, POINTS, SET, KnowsTheHead, limits, lying
from transforms.geometry import warp_points
from transforms.poses import AS_IS, POSES, Pose
from util.checkpoints.checkpoint import load_checkpoint, save_checkpoint
from util.evaluation.landmarks.protocol_adaptation import Adaptation, adapt
from util.evaluation.landmarks.protocol_gain import Gain, Side
from util.prediction.landmarks.image_landmarks import ImageLandmarks
from util.prediction.landmarks.plausibility import KEY

MIRRORED, LYING = Pose(0, mirrored=True), Pose(1, mirrored=True)
OFFSET = np.array([4.0, -3.0])  # pixels of the upright head, of the first landmark alone


def film(name: str, pose: Pose = AS_IS, image: np.ndarray = HEAD) -> PreparedCase:
    """The head as it lies in ``pose``, with the readers' landmarks; a picture of its own for each name."""
    marked = POINTS.copy()
    marked[0] += OFFSET
    image = image.copy()
    image[0, 0] = ord(name[-1])
    stored = lying(image, pose)
    size = stored.shape[::-1]
    return PreparedCase(
        name=name,
        image=stored,
        points=warp_points(marked, pose.to_source(size)),
        spacing=np.full(2, 0.2),
        source_file=name,
        source_size=size,
    )


def prepared(folder: Path, *films: PreparedCase, unit: LengthUnit | None = None) -> Path:
    about = {"labels": "clinic", "created_by": "a test", "source_files": {}}
    write_prepared(folder, {"train": films}, landmark_set=SET, unit=unit, **about)
    return folder


@pytest.fixture
def checkpoint(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A model that knows the head, and what is plausible."""
    monkeypatch.setattr(LandmarkTask, "predictor", lambda _, loaded: KnowsTheHead())
    file = write_smoke_checkpoint(tmp_path / "model.pt", SET)
    save_checkpoint(file, load_checkpoint(file) | {KEY: limits().to_dict()})
    return file


def adapted(checkpoint: Path, folder: Path) -> Adaptation:
    return adapt(checkpoint, folder, "train", device="cpu", batch_size=2)


def test_films_teach_the_same_however_they_lie(tmp_path: Path, checkpoint: Path) -> None:
    names = ["a", "b", "c"]
    poses = {"upright": (AS_IS,) * 3, "one": (AS_IS, LYING, MIRRORED), "all": (MIRRORED, LYING, POSES[2])}
    found = {
        name: adapted(checkpoint, prepared(tmp_path / name, *map(film, names, lie)))
        for name, lie in poses.items()
    }
    for made in found.values():
        assert made.errors.radial_mm == pytest.approx(np.tile([1.0, 0, 0, 0], (3, 1)), abs=0.01)
        points, radii = made.protocol.applied(POINTS[None], np.ones((1, 4)))
        expected = found["upright"].protocol.applied(POINTS[None], np.ones((1, 4)))
        assert points == pytest.approx(expected[0], abs=0.02) and radii == pytest.approx(expected[1], 0.01)
        assert made.left_out == () and made.gain.before.mre_mm == pytest.approx(0.25, abs=0.01)


def test_an_implausible_film_is_left_out_and_named(tmp_path: Path, checkpoint: Path) -> None:
    strange = film("strange", image=picture(200, 120))
    made = adapted(checkpoint, prepared(tmp_path / "films", film("a"), strange, film("b", MIRRORED)))
    assert made.errors.cases == ("a", "b") and made.protocol.films == 2
    (sentence,) = made.left_out
    assert sentence.startswith("strange: the model is unsure of it")
    with pytest.raises(ValueError, match=r"any of these 1 films.*strange: .*fit_plausibility"):
        adapted(checkpoint, prepared(tmp_path / "none", strange))


def test_a_film_without_a_mark_teaches_nothing_and_is_named(tmp_path: Path, checkpoint: Path) -> None:
    blank = replace(film("blank"), points=np.full(POINTS.shape, np.nan))
    alone = adapted(checkpoint, prepared(tmp_path / "alone", film("a")))
    made = adapted(checkpoint, prepared(tmp_path / "both", film("a"), blank))
    assert made.left_out == ("blank: no landmark is marked",)
    assert made.protocol.films == 1 and made.gain.after is None
    assert made.protocol.to_dict() == alone.protocol.to_dict()
    with pytest.raises(ValueError, match="no landmark is marked on these films"):
        adapted(checkpoint, prepared(tmp_path / "none", blank))


def test_a_film_that_was_shown_twice_counts_once(tmp_path: Path, checkpoint: Path) -> None:
    """Otherwise one marking would be judged by the other."""
    again = replace(film("a"), name="a-repeat")
    made = adapted(checkpoint, prepared(tmp_path / "films", film("a"), film("b"), again))
    assert made.errors.cases == ("a", "b") and made.protocol.films == 2
    assert made.left_out == ("a-repeat: the same picture as a",)


def test_without_limits_films_are_taken_as_they_lie(tmp_path: Path, checkpoint: Path) -> None:
    save_checkpoint(checkpoint, load_checkpoint(checkpoint) | {KEY: None})
    folder = prepared(tmp_path / "films", film("a"), film("b", MIRRORED))
    made = adapted(checkpoint, folder)
    assert made.errors.cases == ("a", "b") and made.left_out == ()
    assert made.errors.radial_mm[1].min() > 2.0


def test_films_that_taught_the_protocol_are_no_test_of_it(tmp_path: Path) -> None:
    films = [film(name) for name in "abcd"]
    taught = prepared(tmp_path / "taught", *films[:2])
    model, file = write_smoke_checkpoint(tmp_path / "model.pt", SET), tmp_path / "clinic.pt"
    save_checkpoint(file, adapt(model, taught, "train").checkpoint)
    renamed = [replace(one, name=f"new_{one.name}") for one in films]
    for name, tested, others in (("all", renamed, 2), ("same", renamed[:2], 0), ("new", renamed[2:], 2)):
        folder, numbers = prepared(tmp_path / name, *tested), tmp_path / f"{name}.json"
        options = ("--data", folder, "--subset", "train", "--workers", "0", "--json", numbers)
        ended = run_tool("test.py", "--checkpoint", file, *options)
        assert ended.returncode == 0, ended.stderr
        found = json.loads(numbers.read_text())
        assert found["taught"] == (["new_a", "new_b"] if name != "new" else [])
        if name == "new":
            assert "taught the model" not in ended.stdout and found["untaught"] is None
            continue
        assert "2 of these X-rays taught the model its protocol (new_a, new_b)" in ended.stdout
        assert ("nothing is left" in ended.stdout) == (not others)
        assert (found["untaught"] or {}).get("num_images", 0) == others


def test_lengths_in_percent_are_called_so(tmp_path: Path) -> None:
    unit = LengthUnit("image height")
    folder = prepared(tmp_path / "films", film("a"), film("b"), unit=unit)
    report, numbers = tmp_path / "report.html", tmp_path / "numbers.json"
    options = ("--data", folder, "--subset", "train", "--workers", "0", "--device", "cpu")
    options += ("--output", tmp_path / "clinic.pt", "--report", report, "--json", numbers)
    file = write_smoke_checkpoint(tmp_path / "model.pt", SET)
    ended = run_tool("tools/adapt_protocol.py", "--checkpoint", file, *options)
    assert ended.returncode == 0, ended.stderr
    texts = [ended.stdout, report.read_text().partition("<body>")[2], numbers.read_text()]
    assert not any(" mm" in text or "_mm" in text for text in texts)
    assert f"{unit.name}, " in texts[0] and "% within 2 %;" in texts[0]
    assert f"mean error (MRE), {unit.name}" in texts[1]
    gain = json.loads(texts[2])["gain"]
    assert gain["unit"] == unit.name
    made = adapt(file, folder, "train", device="cpu")
    assert gain["before"]["mre_percent_of_length"] == pytest.approx(made.gain.before.mre_mm)
    assert gain["expected_mre_percent_of_length"]["1"] == pytest.approx(made.gain.expected_mre_mm[1])


@pytest.mark.parametrize("count", [1, 2, 4])
def test_landmarks_on_one_line_teach_no_protocol(
    tmp_path: Path, checkpoint: Path, monkeypatch: pytest.MonkeyPatch, count: int
) -> None:
    """Films that lie alike would be taken for mirrored ones by chance."""
    names = SET.landmarks[:count]
    line = replace(SET, landmarks=names, abbreviations=names)
    places = np.linspace([20.0, 20.0], [80.0, 120.0], count)
    rng = np.random.default_rng(0)
    shapes = [places + rng.normal(0.0, 0.5, places.shape) for _ in range(5)]
    films = [replace(film(f"film{n}"), points=shape) for n, shape in enumerate(shapes)]
    about = {"labels": "clinic", "created_by": "a test", "source_files": {}}
    write_prepared(tmp_path / "line", {"train": films}, landmark_set=line, **about)
    file = write_smoke_checkpoint(tmp_path / "line.pt", line)

    def find(_: Any, films: Any) -> list[ImageLandmarks]:
        return [ImageLandmarks(shapes[0], np.ones(count), np.ones(count)) for _ in films]

    monkeypatch.setattr(KnowsTheHead, "__call__", find)
    with pytest.raises(ValueError, match=rf"line.pt: its {count} landmarks lie on one line, or nearly"):
        adapted(file, tmp_path / "line")


def test_the_page_tells_what_one_more_film_would_bring() -> None:
    sides = Side(1.4, 80.0, {}), Side(1.2, 85.0, {})
    assert in_words(Gain(*sides, {0: 1.25, 1: 1.1, 2: 1.05}), 5).endswith("with one more film: 1.10 mm.")


def test_the_page_says_what_is_odd_about_the_films() -> None:
    learnt = Side(0.5, 99.0, {"68": 90.0})
    words = in_words(Gain(learnt, learnt, {0: 0.5, 1: 0.5}), 5)
    assert "Beware: the model errs less on these films than it says" in words


def test_the_factor_alone_is_not_fitted_to_a_model_that_follows(tmp_path: Path, checkpoint: Path) -> None:
    """It would not reach the offsets' own variance, and the coverage that is printed would be another."""
    folder, out = prepared(tmp_path / "films", film("a"), film("b")), tmp_path / "out.pt"
    save_checkpoint(tmp_path / "clinic.pt", adapted(checkpoint, folder).checkpoint)
    options = ("--data", folder, "--subset", "train", "--device", "cpu", "--output", out)
    ended = run_tool("tools/calibrate_uncertainty.py", "--checkpoint", tmp_path / "clinic.pt", *options)
    assert ended.returncode != 0 and not out.exists()
    assert "clinic.pt: follows a protocol" in ended.stderr and "adapt_protocol" in ended.stderr
