"""What the texts tell people to type can be typed, and prints what they quote where that is quick to see."""

import ast
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import PIL.Image
import pytest

from datasets.phantoms.phantom import Phantom

ROOT = Path(__file__).resolve().parent.parent
TEXTS = (ROOT / "README.md", ROOT / "weights/README.md", *sorted((ROOT / "docs").glob("*.md")))
NAMES = [str(file.relative_to(ROOT)) for file in TEXTS]
OURS = ("main.py", "test.py", "inference.py", "review.py", "tools", "tasks", "util", "container")


def blocks(text: str) -> list[str]:
    """What stands between fences."""
    return re.findall(r"^```\w*\n(.*?)^```", text, flags=re.DOTALL | re.MULTILINE)


def commands(text: str) -> Iterator[str]:
    """The lines of code blocks, continued ones joined, without comments."""
    for block in blocks(text):
        for line in re.sub(r"\\\n\s*", " ", block).splitlines():
            yield re.sub(r"\s#.*", "", line).strip()


def sources() -> str:
    """Every line of ours that could declare an option."""
    files = [
        file for name in OURS for file in ((ROOT / name).rglob("*.py") if "." not in name else [ROOT / name])
    ]
    return "\n".join(file.read_text(encoding="utf-8") for file in files)


def required_options(script: Path) -> list[list[str]]:
    """The options that a script declares and cannot do without, each by all of its names."""
    calls = [node for node in ast.walk(ast.parse(script.read_text())) if isinstance(node, ast.Call)]
    needed = [call for call in calls if any(ast.unparse(word) == "required=True" for word in call.keywords)]
    names = [[str(name.value) for name in call.args if isinstance(name, ast.Constant)] for call in needed]
    return [options for options in names if options and options[0].startswith("--")]


def lacking(script: Path, options: list[str]) -> list[str]:
    return [names[0] for names in required_options(script) if not set(names) & set(options)]


def wrong_words(text: str, known: str) -> list[str]:
    """Scripts, configs, options and make targets in the code blocks of ``text`` that are not there.

    And options that are not given and without which the script ends.
    """
    targets = set(
        re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(encoding="utf-8"), flags=re.MULTILINE)
    )
    wrong = []
    for command in commands(text):
        ours = re.search(
            r"(?:python3?|torchrun|accelerate)\b.*?\s((?:tools/)?[a-z0-9_]+\.py)\s?(.*)", command
        )
        if ours:
            script, arguments = ours.groups()
            wrong += [] if (ROOT / script).is_file() else [script]
            options = re.findall(r"(?:^|\s)(--[a-z][\w-]*)", arguments)
            wrong += [option for option in options if f'"{option}"' not in known]
            wrong += lacking(ROOT / script, options) if options and (ROOT / script).is_file() else []
            configs = re.findall(r"(?:^|\s)(configs/[\w/.]+\.py)", arguments)
            wrong += [config for config in configs if not (ROOT / config).is_file()]
        elif made := re.match(r"make ([a-z-]+)", command):
            wrong += [] if made[1] in targets else [command]
    return wrong


@pytest.fixture(scope="module")
def known() -> str:
    return sources()


@pytest.mark.parametrize("name", NAMES)
def test_commands_name_what_is_there(name: str, known: str) -> None:
    assert wrong_words((ROOT / name).read_text(encoding="utf-8"), known) == []


def test_a_wrong_command_is_seen(known: str) -> None:
    text = (
        "```\npython main.py --config-file configs/absent.py\npython tools/absent.py --input x\n"
        "python test.py --chekpoint F \\\n    --subset test  # --not\nmake nothing\nmake demo\n```\n"
    )
    assert wrong_words(text, known) == [
        "configs/absent.py",
        "tools/absent.py",
        "--chekpoint",
        "--checkpoint",
        "make nothing",
    ]


def block_with(name: str, words: str) -> str:
    """The code block of a text that holds ``words``."""
    found = [block for block in blocks((ROOT / name).read_text(encoding="utf-8")) if words in block]
    assert len(found) == 1, f"{name}: {len(found)} code blocks with {words!r}, expected one"
    return found[0]


@pytest.mark.skipif(shutil.which("make") is None, reason="needs make")
def test_make_demo_ends_as_quoted(tmp_path: Path) -> None:
    """By a dry run, with another .venv so that this one is left alone; the number is the training's."""
    environment = tmp_path / "venv"
    done = subprocess.run(
        ["make", "-n", "demo", f"VENV={environment}", f"PYTHON={sys.executable}"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    said = re.findall(r'^echo "(.*)"$', done.stdout.replace(str(environment), ".venv"), flags=re.MULTILINE)
    *quoted, number = block_with("docs/usage.md", "MRE on 60 held-out phantoms").splitlines()
    assert said == quoted
    before, after = re.split(r"[0-9.]+ mm", number)
    assert (before, after) == ("MRE on 60 held-out phantoms: ", "")
    assert "MRE on {num_images} held-out phantoms: {mre_mm:.2f} mm" in done.stdout


@pytest.mark.slow
def test_inference_prints_what_the_readme_quotes(tmp_path: Path) -> None:
    command = block_with("README.md", "inference.py --input xray.png").strip()
    quoted = block_with("README.md", "0 failed")
    PIL.Image.fromarray(Phantom(size=512).image(0)).save(tmp_path / "xray.png")
    script, *arguments = command.split()[1:]
    done = subprocess.run(
        [sys.executable, ROOT / script, *arguments], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.endswith(quoted)
    assert (tmp_path / "outputs/inference/landmarks.csv").is_file()
