"""The pictures of data and model as a user makes them, and the numbers that they show."""

from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from datasets.prepared.prepared import PreparedCase, PreparedDataset, mean_shape, write_prepared
from models.landmarks.heatmap import read_peaks
from models.landmarks.losses import heatmap_cross_entropy
from models.landmarks.prediction import Targets
from tests.conftest import TINY_SET
from tests.support.mean_shape_model import write_mean_shape_checkpoint
from tests.support.run_scripts import Ended, run_scripts
from tests.support.small_detr import random_images, small_detr
from tests.support.smoke_checkpoint import write_smoke_checkpoint
from transforms.augment import EvalTransforms
from util.checkpoints.checkpoint import load_checkpoint, save_checkpoint
from util.config import load_config
from util.inspection.landmarks.canvas_drawing import Canvas
from util.inspection.landmarks.dataset_figures import landmarks_figure
from util.inspection.landmarks.dataset_pictures import choose_cases, spread_cases
from util.inspection.landmarks.heatmap_target import TargetMaker, place_probability
from util.inspection.landmarks.input import mm_per_pixel
from util.inspection.landmarks.inspect import inspect_model
from util.inspection.landmarks.name_drawing import spread
from util.inspection.landmarks.shape_spread import measure_spread
from util.reporting.visualise import PREDICTION, contact_sheet, require_free_folder

DATA, MODEL = "tools/visualize_datasets.py", "tools/visualize_model.py"


@pytest.fixture(scope="module")
def ended(tiny_prepared: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, Ended]]:
    """Both tools in one process: good runs, and one run for every kind of bad input."""
    out = tmp_path_factory.mktemp("pictures")
    image = tiny_prepared / "images" / "tiny1.png"
    smoke = write_smoke_checkpoint(out / "smoke.pt", TINY_SET)
    shape = write_mean_shape_checkpoint(
        out / "shape.pt", torch.full((5, 2), 0.4), TINY_SET, size=(96, 96), folder=out
    )
    content = load_checkpoint(smoke)
    content["landmark_set"] = {"name": "four", "landmarks": ["a", "b", "c", "d"]}
    save_checkpoint(out / "four.pt", content)
    (out / "broken.png").write_bytes(image.read_bytes()[:100])
    (out / "full").mkdir()
    (out / "full" / "old.png").touch()
    data = (DATA, "--config-file", "configs/smoke.py", "--count", 1, "--draws", 2)
    model = (MODEL, "--landmark", "chin", "--spacing", 0.5)
    calls = {
        "data": (*data, "--data", tiny_prepared, "--show-dir", out / "data"),
        "model": (*model, "--checkpoint", smoke, "--input", image, "--show-dir", out / "model"),
        "shape": (*model, "--checkpoint", shape, "--input", image, "--show-dir", out / "shape"),
        "no subset": (*data, "--data", tiny_prepared, "--subset", "tset", "--show-dir", out / "x"),
        "no data": (*data, "--data", out / "absent", "--show-dir", out / "x"),
        "full folder": (*data, "--data", tiny_prepared, "--show-dir", out / "full"),
        "no checkpoint": (*model, "--checkpoint", out / "no.pt", "--input", image, "--show-dir", out / "x"),
        "other K": (*model, "--checkpoint", out / "four.pt", "--input", image, "--show-dir", out / "x"),
        "broken": (*model, "--checkpoint", smoke, "--input", out / "broken.png", "--show-dir", out / "x"),
        "no image": (*model, "--checkpoint", smoke, "--input", out / "no.png", "--show-dir", out / "x"),
        "landmark": (
            *(MODEL, "--landmark", "chim", "--checkpoint", smoke),
            *("--input", image, "--show-dir", out / "x"),
        ),
        "file for folder": (*model, "--checkpoint", smoke, "--input", image, "--show-dir", smoke),
        "part": (
            *(*model, "--part", "bakbone", "--checkpoint", smoke),
            *("--input", image, "--show-dir", out / "part"),
        ),
    }
    return out, dict(zip(calls, run_scripts(list(calls.values())), strict=True))


def pictures(folder: Path) -> set[str]:
    """Names of the files in ``folder``, each of which must be a whole picture that is not of one colour."""
    for file in folder.iterdir():
        image = cv2.imread(str(file))
        assert image is not None and min(image.shape[:2]) > 100 and image.std() > 5, file
    return {file.stem for file in folder.iterdir()}


@pytest.mark.slow
def test_the_data_in_pictures(ended: tuple[Path, dict[str, Ended]]):
    out, runs = ended
    assert runs["data"].returncode == 0, runs["data"].stderr
    names = pictures(out / "data")
    case = min(names & {f"tiny{n}_landmarks" for n in (1, 2, 3)}).partition("_")[0]
    assert names == {f"{case}_{kind}" for kind in ("landmarks", "augmentation", "target")} | {
        "mean_shape",
        "contact_sheet",
    }
    assert len(runs["data"].stdout.splitlines()) == len(names)


def test_the_model_in_pictures(ended: tuple[Path, dict[str, Ended]]):
    out, runs = ended
    assert runs["model"].returncode == 0, runs["model"].stderr
    assert pictures(out / "model") == {
        *("prediction", "paths", "salience", "landmark_attention"),
        *(f"05_{kind}" for kind in ("heatmap", "sampling", "roi", "path", "gradients")),
    }


def test_a_model_with_none_of_the_parts_shows_its_prediction(ended: tuple[Path, dict[str, Ended]]):
    out, runs = ended
    assert runs["shape"].returncode == 0, runs["shape"].stderr
    assert pictures(out / "shape") == {"prediction"}
    for words in ("no salience", "no ROI windows", "no heatmaps", "no gradient maps"):
        assert words in runs["shape"].stdout


@pytest.mark.parametrize(
    ("run", "message"),
    [
        ("no subset", "no subset 'tset'"),
        ("no data", "not a prepared folder"),
        ("full folder", "not empty"),
        ("no checkpoint", "no.pt not found"),
        ("other K", "a checkpoint of another model"),
        ("broken", "broken.png: cannot be read"),
        ("no image", "no such file"),
        ("landmark", "did you mean 'chin'?"),
        ("file for folder", "is a file"),
        ("part", "did you mean 'backbone'?"),
    ],
)
def test_bad_input_is_one_line_that_says_what_to_do(
    ended: tuple[Path, dict[str, Ended]], run: str, message: str
):
    done = ended[1][run]
    assert done.returncode == 1
    assert message in done.stderr and "Traceback" not in done.stderr
    assert done.stderr.startswith(("visualize_model.py: ", "visualize_datasets.py: "))


def test_nothing_is_written_where_the_input_is_bad(ended: tuple[Path, dict[str, Ended]]):
    out, _ = ended
    assert not (out / "x").exists()
    assert [file.name for file in (out / "full").iterdir()] == ["old.png"]


def test_the_place_probability_is_the_target_of_the_loss():
    points = torch.tensor([[0.31, 0.62], [0.5, 0.4], [torch.nan, torch.nan]])
    targets = Targets(points[None], torch.tensor([[True, True, False]]), torch.ones(1, 2))
    target = place_probability(points, (24, 20), sigma=1.3)
    assert (target[2] == 0).all()
    torch.testing.assert_close(target[:2].sum((-2, -1)), torch.ones(2))
    perfect = heatmap_cross_entropy(target.clamp(min=1e-30).log()[None], targets, 1.3)
    wider = heatmap_cross_entropy(
        place_probability(points, (24, 20), 1.6).clamp(min=1e-30).log()[None], targets, 1.3
    )
    assert perfect.abs() < 1e-5 < 0.01 < wider
    peaks, _ = read_peaks(target[None, :2].clamp(min=1e-30).log(), radius=8)
    torch.testing.assert_close(peaks[0], points[:2], atol=1e-3, rtol=0)


def a_target(points: torch.Tensor) -> Targets:
    return Targets(points[None], ~points.isnan().any(-1)[None], torch.full((1, 2), 100.0))


def test_the_target_of_a_config_peaks_at_the_landmarks():
    points = torch.tensor([[0.25, 0.5], [torch.nan, torch.nan]])
    maker = TargetMaker(load_config("configs/smoke.py"))
    made = maker.make(a_target(points), (96, 64))
    assert made.maps.shape == (2, 24, 16) and made.sigma_px == 4.0
    inspected = inspect_model(small_detr(2).eval(), random_images(1, 96, 64)).salience
    assert inspected is not None
    assert [tuple(level.shape) for level in made.salience] == [level.shape for level in inspected.levels]
    assert made.salience[0].max() == 1.0 and not made.salience[0].isnan().any()
    none = maker.make(a_target(torch.full((2, 2), torch.nan)), (96, 64))
    assert (none.maps == 0).all() and none.salience == ()


CODEC = {"_target_": "models.landmarks.baselines.heatmap_codec:GaussianHeatmaps", "stride": 2, "sigma": 3.0}
PLAIN = {"_target_": "models.landmarks.baselines.regression:RegressionCriterion"}


def test_a_heatmap_models_target_is_what_its_codec_encodes():
    made = TargetMaker({"criterion": PLAIN, "model": {"codec": CODEC}}).make(
        a_target(torch.tensor([[0.25, 0.25]])), (32, 32)
    )
    assert made.maps.shape == (1, 16, 16)
    # 8 px of 32 is a corner of cells of 2 px: 0.5 cells away along x and y, at a deviation of 1.5 cells
    assert float(made.maps.max()) == pytest.approx(np.exp(-1 / 9))
    assert made.sigma_px == pytest.approx(3.0) and made.salience == ()


def test_a_config_without_heatmaps_says_so():
    assert "trains no heatmaps" in TargetMaker({"criterion": PLAIN, "model": {}}).reason


def prepared(folder: Path, shapes: list[np.ndarray], spacings: list[float]) -> PreparedDataset:
    """A data set of black 64x96 images."""
    cases = (
        PreparedCase(f"case{n}", np.zeros((96, 64), np.uint8), shape, np.full(2, spacing), "none", (64, 96))
        for n, (shape, spacing) in enumerate(zip(shapes, spacings, strict=True))
    )
    write_prepared(
        folder,
        {"train": cases},
        landmark_set=TINY_SET,
        labels="none",
        created_by="a test",
        source_files={},
        seed=0,
    )
    return PreparedDataset(folder, "train", EvalTransforms((96, 64)))


BASE = np.array([[20.0, 20.0], [40.0, 20.0], [30.0, 40.0], [30.0, 60.0], [30.0, 80.0]])


def test_the_spread_is_the_covariance_in_millimetres(tmp_path: Path):
    moved = BASE.copy()
    moved[0] += (6.0, 0.0)
    moved[1] += (0.0, 4.0)
    missing = np.full_like(BASE, np.nan)
    missing[:3] = BASE[:3]
    dataset = prepared(tmp_path / "a", [BASE, moved, missing], [0.5, 0.5, 0.5])
    measured = measure_spread(dataset)
    assert measured.unit == "mm" and measured.count.tolist() == [3, 3, 3, 2, 2]
    np.testing.assert_allclose(measured.mean, mean_shape(dataset) * (64, 96) * 0.5)
    # first landmark: x = 20, 26, 20 px, so a variance of 12 px^2 = 3 mm^2; second: y = 20, 24, 20
    np.testing.assert_allclose(measured.covariance[0], [[3.0, 0.0], [0.0, 0.0]], atol=1e-9)
    np.testing.assert_allclose(measured.covariance[1], [[0.0, 0.0], [0.0, 16 / 3 / 4]], atol=1e-9)
    np.testing.assert_allclose(measured.deviations[0], [np.sqrt(3.0), 0.0], atol=1e-6)
    np.testing.assert_allclose(measured.canvas, [32.0, 48.0])


def test_without_spacing_the_spread_is_in_pixels_and_one_case_has_none(tmp_path: Path):
    moved = BASE + np.array([4.0, 0.0])
    moved[4] = np.nan
    measured = measure_spread(prepared(tmp_path / "a", [BASE, moved], [0.5, np.nan]))
    assert measured.unit == "px"
    np.testing.assert_allclose(measured.covariance[0], [[8.0, 0.0], [0.0, 0.0]], atol=1e-9)
    assert np.isnan(measured.covariance[4]).all() and np.isnan(measured.deviations[4]).all()


def test_millimetres_per_pixel_follow_the_letterbox(tmp_path: Path):
    dataset = prepared(tmp_path / "a", [BASE], [0.5])
    assert mm_per_pixel(dataset[0]) == pytest.approx(0.5)
    dataset.transforms = EvalTransforms((192, 128))
    assert mm_per_pixel(dataset[0]) == pytest.approx(0.25)


@given(st.lists(st.floats(0.0, 100.0), max_size=60))
def test_names_keep_their_order_and_distance_inside_the_image(heights: list[float]):
    placed = spread(np.sort(np.array(heights)), 100.0)
    gap = min(100.0 / 36, 100.0 / max(len(heights), 1))
    assert len(placed) == len(heights)
    assert (np.diff(placed) >= gap - 1e-9).all()
    assert ((placed >= 0.0) & (placed <= 100.0)).all()


def test_every_landmark_is_drawn_at_its_point_with_its_name():
    points = BASE.copy()
    points[3] = np.nan
    noted = replace(TINY_SET, note="chin is inferred")
    figure = landmarks_figure(Canvas(np.zeros((96, 64), np.uint8), noted, 0.5), points, "a case")
    assert [text.get_text() for text in figure.texts] == ["chin is inferred"]
    (axes,) = figure.axes
    (dots,) = axes.collections
    np.testing.assert_array_equal(np.ma.filled(dots.get_offsets(), np.nan), points)
    names = {text.get_text().strip() for text in axes.texts}
    assert {"1 left eye", "2 right eye", "3 nose", "5 chin"} <= names and "4 mouth" not in names
    assert "4 mouth" in axes.get_xlabel()
    assert tuple(axes.images[0].get_extent()) == (0, 64, 96, 0)  # pixel column i covers [i, i + 1)


def test_the_contact_sheet_has_every_case_with_its_landmarks():
    image = np.full((222, 222), 60, np.uint8)
    sheet = contact_sheet([(f"case {n}", image, np.array([[111.0, 55.5]])) for n in range(5)], side=240)
    assert sheet.shape == (480, 720, 3)
    for n in range(5):
        row, column = divmod(n, 3)
        tile = sheet[row * 240 : (row + 1) * 240, column * 240 : (column + 1) * 240]
        rows, columns = np.nonzero((tile == PREDICTION).all(-1))
        assert (columns.mean() + 0.5, rows.mean() + 0.5) == pytest.approx((120.0, 55.5), abs=0.6)
        assert tile[222:].max() > 200  # the caption
    assert (sheet[240:, 480:] == 0).all()


def test_cases_are_chosen_by_seed_and_spread_over_the_split():
    assert choose_cases(100, 3, seed=1) == choose_cases(100, 3, seed=1) != choose_cases(100, 3, seed=2)
    assert choose_cases(2, 5, seed=0) == [0, 1]
    assert spread_cases(100, 4) == [0, 33, 66, 99] and spread_cases(3, 10) == [0, 1, 2]


def test_a_folder_for_pictures_is_new_or_empty(tmp_path: Path):
    require_free_folder(tmp_path / "new")
    require_free_folder(tmp_path)
    (tmp_path / "file").touch()
    for taken in (tmp_path, tmp_path / "file"):
        with pytest.raises(ValueError, match="new or empty folder"):
            require_free_folder(taken)
