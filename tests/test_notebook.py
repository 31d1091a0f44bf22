"""The notebook runs from top to bottom, and is kept without outputs."""

from pathlib import Path

import nbformat
import pytest
from nbclient import NotebookClient

from tests.conftest import TINY_SET
from tests.support.smoke_checkpoint import write_smoke_checkpoint

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
    for name, value in {
        "CEPHDETR_CHECKPOINT": write_smoke_checkpoint(tmp_path / "smoke.pt", TINY_SET),
        "CEPHDETR_IMAGE": tiny_prepared / "images" / "tiny1.png",
        "CEPHDETR_LANDMARK": "nose",
        "JUPYTER_RUNTIME_DIR": tmp_path,
        "IPYTHONDIR": tmp_path,
    }.items():
        monkeypatch.setenv(name, str(value))
    notebook = nbformat.read(FOLDER / "inspect.ipynb", as_version=4)
    NotebookClient(notebook, timeout=300, resources={"metadata": {"path": str(FOLDER)}}).execute()
    outputs = [output for cell in code_cells(notebook) for output in cell.outputs]
    assert [output.text for output in outputs if output.output_type == "stream"] == []  # no warnings
    text = "\n".join(output.data.get("text/markdown", "") for output in outputs)
    assert "landmark: 3 nose" in text and "the model has every part" in text
    assert sum("image/png" in output.data for output in outputs) == 9
