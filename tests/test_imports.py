"""Dependencies point one way: transforms <- datasets <- util -> models, tasks and review_page over them.

``datasets`` may use ``util.files``, which reads and writes files, ``util.words``, and no more of ``util``.
"""

import ast
from collections.abc import Iterable, Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
PACKAGES = ("transforms", "datasets", "models", "measurements", "util", "tasks", "review_page")
SCRIPTS = ("main", "test", "inference", "review", "tools")
MAY_IMPORT = {
    "transforms": {"transforms"},
    "datasets": {"datasets", "transforms", "util"},
    "models": {"models"},
    "measurements": {"measurements"},
    "util": {"util", "datasets", "transforms", "models", "measurements"},
    "tasks": {"tasks", "util", "datasets", "transforms", "models", "measurements"},
    "review_page": {"review_page", "tasks", "util", "datasets", "transforms", "models", "measurements"},
    "tools": {"review_page", "tasks", "util", "datasets", "transforms", "models", "measurements"},
    "scripts": {"review_page", "tasks", "util", "datasets", "transforms", "models", "measurements"},
    "tests": {"review_page", "tasks", "util", "datasets", "transforms", "models", "measurements", "tests"},
    "configs": {"configs", "tasks", "util", "datasets", "transforms", "models"},
}
OURS = {*PACKAGES, *SCRIPTS, "configs", "tests"}


def imported_modules(source: str) -> Iterator[str]:
    """Dotted names that a file imports, at any depth."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, "imports are absolute here, so that this test can follow them"
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def wrong_imports(package: str, source: str) -> set[str]:
    """What a file of ``package`` imports of ours although it may not."""
    names = set(imported_modules(source))
    wrong = {name for name in names if name.split(".")[0] in OURS - MAY_IMPORT[package]}
    if package == "datasets":
        allowed = ("util.files.", "util.words.")
        wrong |= {name for name in names if name.startswith("util.") and not name.startswith(allowed)}
    return wrong


def python_files(package: str) -> list[Path]:
    if package == "scripts":
        return [ROOT / f"{name}.py" for name in ("main", "test", "inference", "review")]
    return sorted((ROOT / package).rglob("*.py"))


def import_graph(files: Iterable[Path]) -> dict[str, set[str]]:
    """Module -> our modules that it imports, as dotted names."""
    sources = {".".join(file.relative_to(ROOT).with_suffix("").parts): file.read_text() for file in files}
    return {
        module: {
            known
            for name in imported_modules(source)
            for known in (name, name.rpartition(".")[0])
            if known in sources and known != module
        }
        for module, source in sources.items()
    }


def find_cycle(graph: dict[str, set[str]]) -> list[str]:
    """Modules that import each other, and those that need them: what is left when the free ones are gone."""
    left = dict(graph)
    while free := [module for module, imports in left.items() if not imports & left.keys()]:
        for module in free:
            del left[module]
    return sorted(left)


@pytest.mark.parametrize("package", MAY_IMPORT)
def test_imports_point_one_way(package: str) -> None:
    files = python_files(package)
    assert files, f"no files found for {package}"
    wrong = {
        str(file.relative_to(ROOT)): names
        for file in files
        if (names := wrong_imports(package, file.read_text()))
    }
    assert not wrong, f"{package} may import only {sorted(MAY_IMPORT[package])} of ours"


def test_no_modules_import_each_other() -> None:
    graph = import_graph(file for package in PACKAGES for file in python_files(package))
    assert "transforms.geometry" in graph["transforms.sample"]
    assert find_cycle(graph) == []


def test_a_wrong_import_is_seen_wherever_it_stands() -> None:
    assert wrong_imports("models", "import torch\nfrom models.neck import UNetNeck") == set()
    assert wrong_imports("models", "def f():\n    from datasets.sample import Batch") == {
        "datasets.sample.Batch"
    }
    assert wrong_imports("transforms", "import util.training.engine") == {"util.training.engine"}
    assert wrong_imports("datasets", "from util.files import sha256\nfrom util.config import L") == {
        "util.config.L"
    }
    assert wrong_imports("util", "from configs import phantom\nimport main") == {"configs.phantom", "main"}


def test_a_cycle_is_seen() -> None:
    assert find_cycle({"a": {"b"}, "b": {"c"}, "c": set()}) == []
    assert find_cycle({"a": {"b"}, "b": {"c"}, "c": {"b"}, "d": {"a"}}) == ["a", "b", "c", "d"]
