"""The ruler of a nasal rest: found by its period, refused where it is not clear."""

from pathlib import Path

import cv2
import numpy as np
import pytest

from datasets.files.image_files import SourceImage
from datasets.files.ruler import by_ruler, find_ruler
from tests.support.rulers import film, with_teeth


@pytest.mark.parametrize("pitch", [7.0, 11.3, 18.38, 31.7, 52.0])
@pytest.mark.parametrize("vertical", [True, False])
def test_the_pitch_is_found(pitch: float, vertical: bool) -> None:
    image = with_teeth(film(), pitch)
    ruler = find_ruler(image if vertical else np.ascontiguousarray(image.T))
    assert ruler.pitch_px == pytest.approx(pitch, rel=0.005) and ruler.vertical == vertical
    x, y = ruler.first if vertical else ruler.first[::-1]
    assert 400 <= x <= 401 + pitch and 60 - 1.5 * pitch < y < 60 + 1.5 * pitch


@pytest.mark.parametrize("degrees", [1.5, -5.0])
def test_a_slight_tilt_does_not_matter(degrees: float) -> None:
    turn = cv2.getRotationMatrix2D((250.0, 350.0), degrees, 1.0)
    turned = cv2.warpAffine(with_teeth(film(), 18.38), turn, (500, 700), borderMode=cv2.BORDER_REFLECT)
    assert find_ruler(turned).pitch_px == pytest.approx(18.38, rel=0.01)


def test_letters_at_equal_distances_are_no_ruler() -> None:
    image = film()
    rng = np.random.default_rng(0)
    for letter in range(9):  # strokes that begin every 18 pixels, none as wide as the next
        left = 60 + 18 * letter
        cv2.rectangle(image, (left, 400), (left + int(rng.integers(4, 14)), 430), 230, cv2.FILLED)
    with pytest.raises(ValueError, match="no ruler was found"):
        find_ruler(image)


@pytest.mark.parametrize("seed", range(5))
def test_a_film_without_a_ruler_is_refused(seed: int) -> None:
    with pytest.raises(ValueError, match="no ruler was found.*--spacing"):
        find_ruler(film(seed))
    with pytest.raises(ValueError, match="no ruler was found"):
        find_ruler(np.random.default_rng(seed).integers(0, 256, (300, 300)).astype(np.uint8))


def test_a_few_teeth_are_no_ruler() -> None:
    with pytest.raises(ValueError, match="no ruler was found"):
        find_ruler(with_teeth(film(), 18.38, teeth=5))
    with pytest.raises(ValueError, match="no ruler was found"):
        find_ruler(np.full((300, 300), 90, np.uint8))


def test_vertebrae_and_other_loose_rows_are_no_ruler() -> None:
    rng = np.random.default_rng(0)
    image = film()
    for number in range(9):
        y = 60 + 45 * number + rng.normal(0, 4)
        cv2.rectangle(image, (150, round(y)), (330, round(y) + 25), 190, cv2.FILLED)
    with pytest.raises(ValueError, match="no ruler was found"):
        find_ruler(cv2.GaussianBlur(image, (5, 5), 0))
    thin = film()
    for tooth in range(12):
        cv2.line(thin, (400, 60 + 20 * tooth), (404, 60 + 20 * tooth), 230, 6)
    with pytest.raises(ValueError, match="no ruler was found"):
        find_ruler(thin)


def test_two_rulers_of_different_pitch_are_not_clear() -> None:
    image = with_teeth(with_teeth(film(), 18.38), 12.0, left=200, teeth=30)
    with pytest.raises(
        ValueError, match=r"not clear: teeth every 1[28]\.\d+ pixels, and others every 1[28]\.\d+"
    ):
        find_ruler(image)


def test_the_spacing_that_it_tells() -> None:
    image = SourceImage(with_teeth(film(), 20.0), np.full(2, np.nan), Path("x.png"), None)
    found = by_ruler(image, 2.0)
    np.testing.assert_allclose(found.spacing, 0.1, rtol=0.005)
    assert found.spacing_source == "--ruler 2"
    with pytest.raises(ValueError, match=r"^x.png: no ruler was found"):
        by_ruler(SourceImage(film(), np.full(2, np.nan), Path("x.png"), None), 2.0)


@pytest.mark.parametrize("vertical", [True, False])
def test_a_ruler_tells_pixels_along_itself_and_the_file_their_shape(vertical: bool) -> None:
    picture = with_teeth(film(), 20.0)
    picture = picture if vertical else np.ascontiguousarray(picture.T)
    found = by_ruler(SourceImage(picture, np.array([0.2, 0.3]), Path("x.dcm"), None), 2.0).spacing
    assert found[int(vertical)] == pytest.approx(0.1, rel=0.005)
    assert found[1] / found[0] == pytest.approx(1.5)
