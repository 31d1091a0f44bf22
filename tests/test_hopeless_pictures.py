"""The weights that ship on real pictures that lie wrongly, sit in a wide frame, or are something else."""

import os
from pathlib import Path

import numpy as np
import pytest

from datasets.files.image_files import SourceImage, read_grey
from transforms.geometry import warp_points
from transforms.poses import POSES
from util.prediction.landmarks.plausibility import limits_of_file
from util.prediction.landmarks.posed import Posed
from util.prediction.predictor import load_predictor

ROOT = Path(__file__).parent.parent


SHIPPED = sorted((ROOT / "weights").glob("*.safetensors"))


@pytest.fixture(scope="module", params=SHIPPED, ids=lambda file: file.stem)
def predictor(request):
    member = load_predictor(request.param, "cpu")
    limits = limits_of_file(request.param, len(member.landmark_set))
    assert limits is not None
    return Posed(member, limits, search=True)


@pytest.fixture(scope="module")
def data():
    if "CEPHDETR_REAL_DATA" not in os.environ:
        pytest.skip("CEPHDETR_REAL_DATA is not set: the folder that holds isbi2015/ and jsrt/")
    return Path(os.environ["CEPHDETR_REAL_DATA"])


def look(predictor, image):
    (found,) = predictor([SourceImage(image, np.full(2, np.nan), Path("x.png"), None)])
    return found


@pytest.mark.slow
@pytest.mark.real_data
def test_a_real_head_is_found_however_it_lies(predictor, data):
    head = read_grey(data / "isbi2015/RawImage/Test1Data/151.jpg")
    upright = look(predictor, head)
    assert (upright.pose, upright.plausible) == ("as-is", True)
    for pose in (POSES[1], POSES[2], POSES[4]):
        stored = np.rot90(head[:, ::-1] if pose.mirrored else head, -pose.quarters)
        found = look(predictor, np.ascontiguousarray(stored))
        assert (found.pose, found.plausible) == (str(pose), True)
        home = warp_points(found.points, np.linalg.inv(pose.to_source(stored.shape[::-1])))
        assert np.abs(home - upright.points).max() < 0.1  # pixels of 0.1 mm
    height, width = head.shape
    frame = np.zeros((height, 16 * height // 9), np.uint8)
    frame[:, 900 : 900 + width] = head
    found = look(predictor, frame)
    assert found.plausible and np.abs(found.points - [900, 0] - upright.points).max() < 5.0


@pytest.mark.slow
@pytest.mark.real_data
def test_a_chest_and_noise_are_flagged(predictor, data):
    chest = read_grey(sorted((data / "jsrt/images").iterdir())[0])
    noise = np.random.default_rng(0).integers(0, 256, (600, 480), np.uint8)
    for image in (chest, noise):
        found = look(predictor, image)
        assert (found.pose, found.plausible) == ("as-is", False)
        assert "unsure" in found.plausible_reason
