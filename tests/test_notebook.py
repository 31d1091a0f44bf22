"""The notebooks run from top to bottom, and are kept without outputs."""

from pathlib import Path

import cv2
import nbformat
import pytest
from nbclient import NotebookClient

from datasets.boxes.class_set import BoxClasses
from tests.conftest import TINY_SET
from tests.support.smoke_checkpoint import (
    write_smoke_box_checkpoint,
    write_smoke_checkpoint,
    write_smoke_mask_checkpoint,
)
from tests.support.tiny_masks import CHEST, chest_case

FOLDER = Path(__file__).resolve().parent.parent / "notebooks"
NOTEBOOKS = sorted(FOLDER.glob("*.ipynb"))


def code_cells(notebook: nbformat.NotebookNode) -> list[nbformat.NotebookNode]:
    return [cell for cell in notebook.cells if cell.cell_type == "code"]


@pytest.mark.parametrize("file", NOTEBOOKS, ids=lambda file: file.stem)
def test_no_output_is_kept(file: Path):
    notebook = nbformat.read(file, as_version=4)
    nbformat.validate(notebook)
    for cell in code_cells(notebook):
        assert not cell.outputs and cell.execution_count is None, "clear the outputs before committing"


def test_inspect_runs_and_shows_every_picture(
    tiny_prepared: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setenv("CEPHDETR_CHECKPOINT", str(write_smoke_checkpoint(tmp_path / "smoke.pt", TINY_SET)))
    monkeypatch.setenv("CEPHDETR_IMAGE", str(tiny_prepared / "images" / "tiny1.png"))
    monkeypatch.setenv("CEPHDETR_LANDMARK", "nose")
    text, pictures = executed("inspect.ipynb", tmp_path, monkeypatch)
    assert "landmark: 3 nose" in text and "the model has every part" in text
    assert pictures == 9


def test_inspect_masks_shows_outlines_doubt_and_sizes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    image = tmp_path / "chest.png"
    cv2.imwrite(str(image), chest_case(0).image)
    monkeypatch.setenv("CEPHDETR_CHECKPOINT", str(write_smoke_mask_checkpoint(tmp_path / "smoke.pt", CHEST)))
    monkeypatch.setenv("CEPHDETR_IMAGE", str(image))
    text, pictures = executed("inspect_masks.ipynb", tmp_path, monkeypatch)
    assert "96 x 80 px; 4 classes" in text and "| heart |" in text
    assert pictures == 3


def test_inspect_boxes_shows_the_way_of_a_detector(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    image = tmp_path / "chest.png"
    cv2.imwrite(str(image), chest_case(0).image)
    checkpoint = write_smoke_box_checkpoint(tmp_path / "smoke.pt", BoxClasses(("tooth", "plate"), (3, 90)))
    monkeypatch.setenv("CEPHDETR_CHECKPOINT", str(checkpoint))
    monkeypatch.setenv("CEPHDETR_IMAGE", str(image))
    text, pictures = executed("inspect_boxes.ipynb", tmp_path, monkeypatch)
    assert "96 x 80 px; 2 classes" in text
    assert 5 <= pictures <= 8  # up to three of gradients, where a map of the backbone speaks for an object


def executed(name: str, home: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[str, int]:
    """The text that a notebook shows, and how many pictures. No warning may come with them."""
    monkeypatch.setenv("JUPYTER_RUNTIME_DIR", str(home))
    monkeypatch.setenv("IPYTHONDIR", str(home))
    notebook = nbformat.read(FOLDER / name, as_version=4)
    NotebookClient(notebook, timeout=300, resources={"metadata": {"path": str(FOLDER)}}).execute()
    outputs = [output for cell in code_cells(notebook) for output in cell.outputs]
    assert [output.text for output in outputs if output.output_type == "stream"] == []
    text = "\n".join(output.data.get("text/markdown", "") for output in outputs)
    return text, sum("image/png" in output.data for output in outputs)
