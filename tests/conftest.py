"""Fixtures that several test files use."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from datasets.landmarks.landmark_set import LandmarkSet
from datasets.prepared.prepared import PreparedCase, write_prepared

TINY_SET = LandmarkSet(
    name="tiny5",
    landmarks=("left eye", "right eye", "nose", "mouth", "chin"),
    abbreviations=("LE", "RE", "N", "M", "C"),
    pairs=((0, 1),),
)
_SHAPE = np.array([[25.0, 30.0], [55.0, 30.0], [40.0, 48.0], [40.0, 64.0], [40.0, 82.0]])


def tiny_case(number: int) -> PreparedCase:
    """An 80x96 image, one smooth blob of its own width per landmark; case 2 lacks landmark 4."""
    rng = np.random.default_rng(number)
    points = _SHAPE + rng.uniform(-4, 4, 2) + rng.uniform(-2, 2, _SHAPE.shape)
    if number == 2:
        points[3] = np.nan
    y, x = np.mgrid[:96, :80] + 0.5
    image = np.full((96, 80), 30.0)
    for width, (px, py) in zip((2.0, 2.5, 3.0, 3.5, 4.0), np.nan_to_num(points, nan=-100.0), strict=True):
        image += 180.0 * np.exp(-((x - px) ** 2 + (y - py) ** 2) / (2 * width**2))
    return PreparedCase(
        name=f"tiny{number}",
        image=np.clip(image, 0, 255).astype(np.uint8),
        points=points,
        spacing=np.array([0.5, 0.5]),
        source_file=f"tiny{number}.bmp",
        source_size=(80, 96),
    )


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Files with slow tests come first: one that started last would run on alone when all others are done."""
    slow = {item.path for item in items if item.get_closest_marker("slow")}
    items.sort(key=lambda item: item.path not in slow)


@pytest.fixture(scope="session")
def tiny_prepared(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Prepared: 5 landmarks, 0.5 mm/px, train tiny1..3, val tiny4, test tiny5..6. Copy before changing."""
    folder = tmp_path_factory.mktemp("data") / "tiny"
    write_prepared(
        folder,
        {
            "train": (tiny_case(number) for number in (1, 2, 3)),
            "val": (tiny_case(number) for number in (4,)),
            "test": (tiny_case(number) for number in (5, 6)),
        },
        landmark_set=TINY_SET,
        labels="synthetic",
        created_by="tests/conftest.py",
        source_files={},
        seed=0,
    )
    return folder


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    from tests.support.browser import chromium

    with chromium() as found:
        yield found


@pytest.fixture
def review(tmp_path: Path) -> Iterator[Any]:
    """A review of three films with its server; the third film is implausible, and so looked at first."""
    from tests.support.review import served, write_films

    write_films(tmp_path, 3)
    with served(tmp_path) as found:
        yield found


@pytest.fixture
def context(browser: Any) -> Iterator[Any]:
    """A window of the browser on a mouse's screen."""
    made = browser.new_context(viewport={"width": 1440, "height": 900})
    yield made
    made.close()


@pytest.fixture
def tab(context: Any, review: Any) -> Iterator[Any]:
    """The page; whatever a test did, it threw nothing, broke no CSP and asked nobody else."""
    from tests.support.browser import Tab

    opened = Tab(context.new_page(), review.address)
    yield opened
    assert opened.errors == [] and opened.foreign() == []
