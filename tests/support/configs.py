"""What ships in configs/: its files, and the rows of its table."""

from runpy import run_path

from tests.support.run_tool import ROOT

TABLE = "configs/experiments/table.py"
ROWS = tuple(f"{TABLE}:{name}" for name in run_path(str(ROOT / TABLE))["rows"])
FILES = tuple(sorted(str(file.relative_to(ROOT)) for file in (ROOT / "configs").rglob("*.py")))
CONFIGS = (*(file for file in FILES if file != TABLE), *ROWS)
