"""Pictures that lie wrongly or small are put right, and points lead back to where they are in the file."""

from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
import pytest

from datasets.files.image_files import SourceImage, read_images
from datasets.landmarks.landmark_set import LandmarkSet
from tests.support.xray_files import deep, picture, write_dicom
from transforms.geometry import warp_points
from transforms.poses import POSES, Pose, pose_by_directions
from util.prediction.landmarks.image_landmarks import ImageLandmarks
from util.prediction.landmarks.plausibility import Limits, as_reference
from util.prediction.landmarks.posed import Posed
from util.prediction.landmarks.test_time import SelfCropped
from util.prediction.margins import without_margins

SET = LandmarkSet("own", ("a", "b", "c", "d"), ("A", "B", "C", "D"))
HEAD = picture(160, 120)
POINTS = np.array([[20.5, 30.5], [90.5, 40.5], [70.5, 120.5], [30.5, 100.5]])  # pixel centres of HEAD


def lying(image, pose):
    """``image`` as it lies in its file in ``pose``: mirrored, then turned clockwise."""
    stored = image[:, ::-1] if pose.mirrored else image
    return np.ascontiguousarray(np.rot90(stored, -pose.quarters))


def source(image, spacing=(0.2, 0.2), orientation=None):
    return SourceImage(image, np.array(spacing), Path("x.png"), None, "none", orientation)


@dataclass
class KnowsTheHead:
    """A model of one picture: sure of its landmarks where it sees it upright, lost elsewhere."""

    landmark_set = SET
    labels, file, landmark_shapes = "none", Path("x.onnx"), None
    seen: list = field(default_factory=list)

    def __call__(self, images):
        return [self.look(image.image) for image in images]

    def look(self, image):
        self.seen.append(image.shape)
        upright = image.shape == HEAD.shape and np.corrcoef(image.ravel(), HEAD.ravel())[0, 1] > 0.98
        points = POINTS if upright else POINTS * [0.9, 1.1] + [3.0, 8.0]
        size = 1.0 if upright else 20.0
        return ImageLandmarks(points.copy(), np.full(4, size), np.full(4, size * 0.25))


def limits():
    return Limits(as_reference(POINTS), 0.05, 0.1, 20.0, ("A", "F"), "one head")


@pytest.mark.parametrize("pose", POSES, ids=str)
@pytest.mark.parametrize("size", [(160, 120), (7, 8), (8, 7)])
def test_a_pose_is_undone_pixel_by_pixel(pose, size):
    upright = np.arange(size[0] * size[1]).reshape(size)
    stored = lying(upright, pose)
    assert np.array_equal(pose.put_right(stored), upright)
    to_source = pose.to_source(stored.shape[::-1])
    for row, column in ((0, 0), (2, 5), (size[0] - 1, size[1] - 1)):
        x, y = warp_points(np.array([column + 0.5, row + 0.5]), to_source)
        assert stored[int(y), int(x)] == upright[row, column] and (x % 1, y % 1) == (0.5, 0.5)


def test_names_of_poses():
    assert [str(pose) for pose in POSES[:5]] == ["as-is", "turned 90", "turned 180", "turned 270", "mirrored"]
    assert str(POSES[5]) == "mirrored, turned 90" and len({*map(str, POSES)}) == 8


@pytest.mark.parametrize(
    ("given", "pose"),
    [
        (("A", "F"), Pose(0, mirrored=False)),
        (("P", "F"), Pose(0, mirrored=True)),
        (("P", "H"), Pose(2, mirrored=False)),
        (("H", "A"), Pose(1, mirrored=False)),  # turned clockwise: what ran to the right runs down
        (("F", "P"), Pose(3, mirrored=False)),
        (("H", "P"), Pose(1, mirrored=True)),
        (("R", "F"), None),
    ],
)
def test_the_pose_that_a_dicom_file_states(given, pose):
    assert pose_by_directions(given, ("A", "F")) == pose


@pytest.mark.parametrize("pose", POSES, ids=str)
def test_a_lying_head_is_found_where_it_is_in_the_file(pose):
    stored = lying(HEAD, pose)
    (found,) = Posed(KnowsTheHead(), limits(), search=True)([source(stored)])
    assert found.pose == str(pose) and found.plausible is True and found.plausible_reason is None
    for (x, y), (column, row) in zip(found.points, POINTS - 0.5, strict=True):
        assert stored[int(y), int(x)] == HEAD[int(row), int(column)]


def test_as_is_searches_nothing_but_flags():
    model = KnowsTheHead()
    (found,) = Posed(model, limits(), search=False)([source(lying(HEAD, POSES[4]))])
    assert (found.pose, found.plausible, len(model.seen)) == ("as-is", False, 1)
    assert "uncertainty" in found.plausible_reason


def test_a_proper_picture_costs_one_look():
    model = KnowsTheHead()
    found = Posed(model, limits(), search=True)([source(HEAD)] * 3)
    assert [(one.pose, one.plausible) for one in found] == [("as-is", True)] * 3 and len(model.seen) == 3


def test_another_picture_stays_as_it_is_and_is_flagged():
    model = KnowsTheHead()
    (found,) = Posed(model, limits(), search=True)([source(picture(200, 90))])
    assert (found.pose, found.plausible, len(model.seen)) == ("as-is", False, 8)


def test_without_limits_nothing_is_tried_and_nothing_said():
    model = KnowsTheHead()
    (found,) = Posed(model, None, search=True)([source(lying(HEAD, POSES[4]))])
    assert (found.pose, found.plausible, found.plausible_reason, len(model.seen)) == ("as-is", None, None, 1)


def test_what_a_dicom_file_states_is_tried_first(tmp_path):
    stored = lying(deep(HEAD), POSES[4])
    file = write_dicom(tmp_path / "x", stored, PatientOrientation=["P", "FR"])
    (image,) = read_images(file)
    assert image.patient_orientation == ("P", "F")
    model = KnowsTheHead()
    (found,) = Posed(model, limits(), search=True)([image])
    assert (found.pose, len(model.seen)) == ("mirrored", 1)
    (image,) = read_images(write_dicom(tmp_path / "y", deep(HEAD), PatientOrientation=["P", "F"]))
    (found,) = Posed(KnowsTheHead(), limits(), search=True)([image])
    assert found.pose == "as-is" and found.plausible  # what is stated may be wrong: then all are tried


@pytest.mark.parametrize(("unsure", "kept"), [(2.0, True), (1.1, False)])
def test_a_crop_that_makes_the_model_less_sure_is_dropped(unsure, kept):
    class LooksTwice(KnowsTheHead):
        def look(self, image):
            self.seen.append(image.shape)
            size = 1.0 if len(self.seen) == 1 else unsure
            return ImageLandmarks(POINTS + len(self.seen), np.full(4, size), np.full(4, size))

    (found,) = SelfCropped(LooksTwice())([source(HEAD)])
    assert np.array_equal(found.points, POINTS + 1) == kept


@pytest.mark.parametrize("grey", [0, 255, 128])
@pytest.mark.parametrize("noise", [0, 2])
def test_even_margins_are_cut_and_points_lead_back(grey, noise):
    frame = np.full((300, 900), grey, np.int32)
    frame += np.random.default_rng(0).integers(-noise, noise + 1, frame.shape)
    head = np.clip(HEAD.astype(int), 0, 255)
    frame[70:230, 500:620] = head
    frame = np.clip(frame, 0, 255).astype(np.uint8)
    corner, size = without_margins(frame)
    assert (np.abs(corner - [500, 70]) <= 4).all() and (np.abs(size - [120, 160]) <= 8).all()


@pytest.mark.parametrize(("number", "seen"), [(2, HEAD.shape), (None, (200, 150))])
def test_slices_of_a_stack_are_seen_without_the_zeros_that_pad_them(number, seen):
    model = KnowsTheHead()
    padded = np.pad(HEAD, ((0, 40), (0, 30)))
    image = replace(source(padded), slice=number)
    (found,) = Posed(model, None, search=True)([image])
    assert model.seen == [seen]
    if number:
        assert np.array_equal(found.points, POINTS)


def test_a_wide_frame_is_undone_in_the_files_own_pixels():
    frame = np.zeros((160, 480), np.uint8)
    frame[:, 200:320] = HEAD
    seen = []

    class LooksAtItsSize(KnowsTheHead):
        def look(self, image):
            seen.append(image.shape)
            return ImageLandmarks(np.array([[1.0, 2.0]] * 4), np.ones(4), np.ones(4))

    (found,) = Posed(LooksAtItsSize(), None, search=True)([source(frame)])
    (height, width) = seen[0]
    assert height == 160 and 120 <= width <= 126
    assert 197 <= found.points[0][0] - 1.0 <= 200 and found.points[0][1] == 2.0


@pytest.mark.parametrize(
    "image",
    [
        HEAD,
        np.pad(HEAD, 12),  # a dark border such as most X-rays have: models are trained with it
        np.zeros((50, 60), np.uint8),
        np.full((50, 60), 7, np.uint8),
        np.random.default_rng(0).integers(0, 256, (200, 300), np.uint8),
    ],
    ids=["no margin", "thin border", "black", "grey", "noise"],
)
def test_other_pictures_are_not_cut(image):
    assert without_margins(image) is None
