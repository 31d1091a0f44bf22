"""``auto`` in a config becomes numbers that follow from the training data."""

import ast

import numpy as np
import pytest
from omegaconf import OmegaConf

from datasets.landmarks.landmark_set import LandmarkSet
from datasets.landmarks.shape_size import shape_size
from datasets.prepared.prepared import PreparedCase, write_prepared
from tests.support.run_tool import ROOT
from util.config import load_config
from util.training.automatic import automatic_overrides, fitting_canvas, load_with_data

OWN, SMOKE = ROOT / "configs/own_data.py", str(ROOT / "configs/smoke.py")


@pytest.mark.parametrize(
    ("sizes", "side", "expected"),
    [
        ([(1935, 2400)], 461, (512, 416)),  # the fast model's canvas is what its own images ask for
        ([(380, 1024)], 461, (768, 288)),
        ([(2000, 1000)], 461, (320, 672)),
        ([(100, 100)], 32, (32, 32)),
    ],
)
def test_the_canvas_follows_the_images(sizes, side, expected):
    assert fitting_canvas(np.array(sizes), side**2) == expected


def test_no_canvas_of_as_many_pixels_shows_the_images_larger():
    sizes = np.array([(300, 1024), (420, 1024), (500, 900)])

    def mean_log_zoom(height, width):
        return np.log(np.minimum(width / sizes[:, 0], height / sizes[:, 1])).mean()

    height, width = fitting_canvas(sizes, 256**2)
    assert height % 32 == width % 32 == 0 and height * width <= 1.05 * 256**2
    others = [(h, w) for h in range(32, 1025, 32) for w in range(32, 1025, 32) if h * w <= 1.05 * 256**2]
    assert mean_log_zoom(height, width) >= max(mean_log_zoom(*other) for other in others) - 1e-9


def test_oblong_pixels_count_as_long_as_they_are(tmp_path):
    """400 x 400 pixels three times as high as wide fill a canvas that is three times as high as wide."""
    write_one(tmp_path / "tall", np.array([[30.0, 40.0], [300.0, 350.0]]), (400, 400), np.array([0.1, 0.3]))
    cfg = load_config(OWN, [f"data.folder={tmp_path / 'tall'}"])
    found = dict(item.split("=") for item in automatic_overrides(cfg))
    height, width = ast.literal_eval(found["size"])
    assert height / width == pytest.approx(3.0, rel=0.2)  # sides are multiples of 32


def write_one(folder, points, size, spacing):
    """A prepared folder of one image of (width, height) ``size`` with (K, 2) ``points``."""
    image = np.random.default_rng(0).integers(0, 256, size[::-1], np.uint8)
    names = tuple(f"tip {number}" for number in range(len(points)))
    write_prepared(
        folder,
        {"train": [PreparedCase("a", image, points, spacing, "a.png", size)]},
        landmark_set=LandmarkSet("tips", names, names),
        labels="me",
        created_by="test",
        source_files={},
    )


def test_overrides_hold_numbers_and_only_where_auto_stands(tiny_prepared):
    asked = [f"data.folder={tiny_prepared}", "size=auto:96", "model.search_window=auto"]
    cfg = load_config(OWN, asked)
    found = dict(item.split("=") for item in automatic_overrides(cfg))
    assert set(found) == {"size", "model.roi_windows", "model.jitter", "model.search_window"}
    assert 0.0 < float(found["model.search_window"]) < 0.1
    resolved = load_config(OWN, [f"{key}={value}" for key, value in found.items()])
    assert "auto" not in OmegaConf.to_yaml(resolved)
    assert resolved.eval_transforms.size == resolved.train_transforms.size == resolved.size
    assert automatic_overrides(resolved) == []


def test_windows_grow_with_the_shape_and_not_with_the_canvas(tiny_prepared):
    """At the size of a head they are the model's own; the canvas's aspect changes nothing."""
    square = np.array([[0.3, 0.3], [0.7, 0.3], [0.3, 0.7], [0.7, 0.7]])
    assert shape_size(square, (100, 100)) == pytest.approx(np.sqrt(2) * 0.2)
    wide = square * [0.5, 1.0] + [0.25, 0.0]  # the same pixels in the middle of a canvas of twice the width
    assert shape_size(wide, (100, 200)) == pytest.approx(np.sqrt(2) * 0.2)
    assert shape_size(0.5 * square, (100, 100)) == pytest.approx(np.sqrt(2) * 0.1)


def test_one_landmark_alone_has_the_windows_of_a_head(tmp_path):
    write_one(tmp_path / "one", np.array([[4.0, 6.0]]), (30, 20), np.ones(2))
    cfg = load_config(OWN, [f"data.folder={tmp_path / 'one'}", "size=auto:96"])
    found = dict(item.split("=") for item in automatic_overrides(cfg))
    windows, jitter = (ast.literal_eval(found[f"model.{key}"]) for key in ("roi_windows", "jitter"))
    np.testing.assert_allclose([*windows, jitter[0]], [0.0235, 0.008, 0.02], rtol=0.01)


def test_pictures_of_data_find_the_canvas_of_that_data(tiny_prepared):
    cfg = load_with_data(str(OWN), tiny_prepared, "val")
    assert "auto" not in OmegaConf.to_yaml(cfg) and cfg.data.train == "val"
    assert load_with_data(SMOKE, tiny_prepared, "val") == load_config(SMOKE)


def test_an_auto_that_nobody_knows_is_refused(tiny_prepared):
    cfg = load_config(OWN, [f"data.folder={tiny_prepared}", "model.fine_dim=auto"])
    with pytest.raises(ValueError, match=r"model\.fine_dim=auto: landmarks have no such value"):
        automatic_overrides(cfg)
