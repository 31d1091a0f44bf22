"""Spines: end plates, Cobb angles, slips and widths by hand-made vertebrae; the ratio of a chest."""

import json

import numpy as np
import pytest

from measurements.chest import HEART, LUNGS, cardiothoracic_ratio
from measurements.spine import cobb_angles, require_order, slips, smape, vertebra_widths
from tests.support.run_tool import run_tool
from util.evaluation.landmarks.metrics import json_ready


def spine(tilts: list[float], width: float = 40.0, height: float = 20.0, step: float = 30.0) -> np.ndarray:
    """(1, 4 V, 2): vertebrae ``step`` apart, each turned by its tilt in degrees."""
    corners = np.array([[-1, -1], [1, -1], [-1, 1], [1, 1]]) * [width / 2, height / 2]
    points = []
    for index, degrees in enumerate(tilts):
        c, s = np.cos(np.radians(degrees)), np.sin(np.radians(degrees))
        points.append(corners @ np.array([[c, s], [-s, c]]) + [100.0, 50.0 + step * index])
    return np.concatenate(points)[None]


def test_the_three_cobb_angles_of_known_tilts():
    found = cobb_angles(spine([-5, 10, 20, 0, -15, -10, 4]))
    np.testing.assert_allclose(found.angles, [[35.0, 25.0, 19.0]], atol=1e-9)
    assert found.plates[0, 0] // 2 == 2 and found.plates[0, 1] // 2 == 4


def test_nothing_above_the_upper_end_gives_no_angle():
    np.testing.assert_allclose(cobb_angles(spine([20, 0, -15, -15])).angles, [[35.0, 0.0, 0.0]], atol=1e-9)


def test_angles_do_not_depend_on_turn_size_and_mirror():
    points = spine([-5, 10, 20, 0, -15, -10, 4])
    turned = points @ np.array([[0.8, 0.6], [-0.6, 0.8]]) * 0.3 + 7.0
    np.testing.assert_allclose(cobb_angles(turned).angles, cobb_angles(points).angles, atol=1e-9)
    mirrored = points * [-1.0, 1.0]
    exchanged = mirrored.reshape(1, -1, 2, 2)[:, :, ::-1].reshape(points.shape)  # left and right
    np.testing.assert_allclose(cobb_angles(exchanged).angles, cobb_angles(points).angles, atol=1e-9)


def test_a_missing_corner_takes_its_plate_out_of_the_angles():
    points = spine([0, 30, 0])
    points[0, 4:8] = np.nan  # all of the tilted vertebra
    np.testing.assert_allclose(cobb_angles(points).angles, 0.0, atol=1e-9)


def test_no_two_whole_plates_give_no_angle():
    points = np.concatenate([spine([0, 30]), spine([0, 30])])
    points[1, 1:] = np.nan
    np.testing.assert_allclose(cobb_angles(points).angles, [[30.0, 0.0, 0.0], [np.nan] * 3], atol=1e-9)


def test_smape_is_the_challenges():
    found, truth = np.array([[30.0, 10.0, 0.0]]), np.array([[20.0, 20.0, 0.0]])
    np.testing.assert_allclose(smape(found, truth), 100.0 * 20.0 / 80.0)


def test_widths_are_those_of_the_end_plates():
    np.testing.assert_allclose(vertebra_widths(spine([0, 20, -40])), 40.0)


def test_a_slip_is_a_centre_nearest_to_another_true_centre():
    truth = spine([0] * 6)
    assert not slips(truth + np.array([0.0, 14.9]), truth).any()  # less than half a step of 30
    moved = slips(truth + np.array([0.0, 15.1]), truth)
    assert moved[0].tolist() == [True] * 5 + [False]  # the last has none below to slip to
    truth[0, 8:12] = np.nan
    assert slips(spine([0] * 6), truth)[0].tolist() == [False] * 6


def test_no_multiple_of_four_is_refused():
    with pytest.raises(ValueError, match="four corners a vertebra"):
        cobb_angles(np.zeros((1, 10, 2)))


@pytest.mark.parametrize("order", [(0, 1, 3, 2), (0, 2, 1, 3), (1, 0, 3, 2), (2, 3, 0, 1)])
def test_corners_in_another_order_are_refused(order):
    points = spine([-30, 10, 20, 0, -15]) @ np.array([[0.8, 0.6], [-0.6, 0.8]])
    points[0, :3] = np.nan
    require_order(points)
    with pytest.raises(ValueError, match="another order"):
        require_order(points.reshape(1, -1, 4, 2)[:, :, order].reshape(points.shape))


def test_cardiothoracic_ratio_is_level_and_by_name():
    names = ["other", *HEART, *LUNGS]
    points = np.array([[[0, 0], [40, 10], [90, 60], [10, 80], [110, 20]]], float)
    np.testing.assert_allclose(cardiothoracic_ratio(points, names), 0.5)
    with pytest.raises(ValueError, match="left lung"):
        cardiothoracic_ratio(points[:, :4], names[:4])


def written(file, truth, predicted, spacing=(1.0, 1.0)):
    """A file of test.py --json; errors in mm."""
    errors = np.linalg.norm((predicted - truth) * spacing, axis=-1)
    record = {
        "checkpoint": f"runs/{file.stem}/best.pt",
        "cases": [f"case{number}" for number in range(len(truth))],
        "errors_mm": errors,
        "spacing_mm": [spacing] * len(truth),
        "points": {"truth": truth, "predicted": predicted},
        "labels": "me",
        "landmark_set": {"landmarks": [str(k) for k in range(truth.shape[1])]},
        "calibration": {"error_percent": 1.0},
        "mre_ci95_mm": [np.nanmin(errors), np.nanmax(errors)],
    }
    file.write_text(json.dumps(json_ready(record), allow_nan=False))
    return file


def test_the_tool_tells_slips_and_differences(tmp_path):
    truth = np.concatenate([spine([-5, 10, 20, 0, -15])] * 4)
    files = [
        written(tmp_path / f"{name}.json", truth, truth + np.array([0.0, shift]))
        for name, shift in (("one", 1.0), ("two", 25.0))
    ]
    (tmp_path / "out.txt").write_text("case3\n")
    done = run_tool("tools/evaluate_spine.py", *files, "--leave-out", tmp_path / "out.txt")
    assert done.returncode == 0, done.stderr
    rows = {line.split("  ")[0]: line.split() for line in done.stdout.splitlines()}
    assert "3 images of 4" in done.stdout
    assert "0.00 (0.00 to 0.00)" in done.stdout and "100.00 (100.00 to 100.00)" in done.stdout
    assert [cell for cell in rows["two - first"] if cell == "24.00"] == ["24.00"]


def test_two_runs_of_one_name_are_told_by_their_files(tmp_path):
    truth = np.concatenate([spine([-5, 10, 20, 0, -15])] * 2)
    files = []
    for name, shift in (("one", 1.0), ("two", 2.0)):
        (tmp_path / name).mkdir()
        files.append(written(tmp_path / name / "test.json", truth, truth + np.array([0.0, shift])))
    done = run_tool("tools/evaluate_spine.py", *files, "--output", tmp_path)
    assert done.returncode == 0, done.stderr
    record = json.loads((tmp_path / "spine.json").read_text())
    means = {name: numbers["error"]["mean"] for name, numbers in record.items()}
    assert means == pytest.approx({str(files[0]): 1.0, str(files[1]): 2.0})


def numbers_of(folder, truth, predicted, spacing=(1.0, 1.0)):
    done = run_tool(
        "tools/evaluate_spine.py", written(folder / "x.json", truth, predicted, spacing), "--output", folder
    )
    assert done.returncode == 0, done.stderr
    (found,) = json.loads((folder / "spine.json").read_text()).values()
    return {name: number["mean"] for name, number in found.items()}


def test_oblong_pixels_give_the_numbers_of_square_ones(tmp_path):
    truth, predicted, spacing = spine([-5, 10, 20, 0, -15]), spine([-5, 14, 30, 0, -15]), (1.0, 0.25)
    square = numbers_of(tmp_path, truth, predicted)
    oblong = numbers_of(tmp_path, truth / spacing, predicted / spacing, spacing)
    assert oblong == pytest.approx(square) and square["main"] == pytest.approx(10.0)


def test_a_plate_that_the_truth_lacks_counts_in_no_angle(tmp_path):
    predicted = spine([0, 10, 40, 0])
    truth = predicted.copy()
    truth[0, 8:12] = np.nan  # all of the most tilted vertebra, which is found
    found = numbers_of(tmp_path, truth, predicted)
    assert (found["main"], found["smape"]) == (0.0, 0.0)


def test_what_the_truth_lacks_counts_nowhere(tmp_path):
    truth = np.concatenate([spine([-5, 10, 20, 0, -15])] * 3)
    predicted = truth + np.array([0.0, 25.0])  # slips where the next one down is there
    truth[0] = np.nan  # nothing
    truth[1, :4] = truth[1, 8:12] = np.nan  # the first vertebra and the third
    found = numbers_of(tmp_path, truth, predicted)
    assert found["slipped"] == 100.0 and found["vertebrae"] == pytest.approx((100 / 3 + 80.0) / 2)


def test_no_angle_in_any_image_is_null(tmp_path):
    truth = spine([0, 10])
    truth[:, ::4] = np.nan  # a corner of every upper end plate
    truth[:, 2::4] = np.nan  # and of every lower one
    found = numbers_of(tmp_path, truth, spine([0, 10]))
    assert found["main"] is None and found["error"] == 0.0


def test_the_chest_tool_names_the_file_of_other_landmarks(tmp_path):
    points = spine([0, 10])
    done = run_tool("tools/evaluate_chest.py", written(tmp_path / "x.json", points, points))
    assert done.returncode == 1 and "x.json: landmarks ['heart, right border" in done.stderr
