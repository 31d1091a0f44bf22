"""Arguments that several scripts share."""

import argparse
import re
from pathlib import Path

import pytest

from util.arguments import TakeAll, add_spacing_argument, checkpoint_name, checkpoints_of, listed_cases

ROOT = Path(__file__).parent.parent


@pytest.fixture
def parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser()
    add_spacing_argument(parser)
    return parser


@pytest.mark.parametrize("numbers", [["0.1"], ["0.1", "0.125"]])
def test_spacing_is_one_or_two_numbers(parser, numbers):
    assert parser.parse_args(["--spacing", *numbers]).spacing == [float(number) for number in numbers]


@pytest.mark.parametrize(
    ("numbers", "message"),
    [
        (["0.1", "0.1", "0.1"], "--spacing [0.1, 0.1, 0.1]: expected one or two numbers"),
        (["0"], "expected a number above 0"),
        (["inf"], "expected a number above 0"),
    ],
)
def test_another_spacing_ends_with_a_sentence(parser, capsys, numbers, message):
    with pytest.raises(SystemExit, match="2"):
        parser.parse_args(["--spacing", *numbers])
    assert message in capsys.readouterr().err


def test_help_without_a_checkpoint_says_how_to_get_it(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        checkpoints_of(["--help"])
    assert "--checkpoint F --help" in capsys.readouterr().err


def test_a_list_of_cases_that_cannot_be_read_is_named(tmp_path):
    latin = tmp_path / "latin.txt"
    latin.write_bytes("M\xfcller\n".encode("latin-1"))
    for file in (tmp_path / "absent.txt", tmp_path, latin):
        with pytest.raises(ValueError, match=f"{file}: cannot be read"):
            listed_cases(file)


@pytest.mark.parametrize("default", [None, ["z"]])
def test_an_option_given_again_adds_to_what_it_was_given_before(default):
    parser = argparse.ArgumentParser()
    parser.add_argument("--input", nargs="+", action=TakeAll, default=default)
    for _ in range(2):  # the default is not added to, either
        assert parser.parse_args(["--input", "a", "b", "--input", "c"]).input == ["a", "b", "c"]
        assert parser.parse_args([]).input == default


def test_checkpoints_given_one_by_one_are_an_ensemble():
    words = ["--checkpoint", "a.pt", "--input", "b.png", "--checkpoint", "c.pt", "d.pt"]
    assert checkpoints_of(words, [Path("z.pt")]) == [Path("a.pt"), Path("c.pt"), Path("d.pt")]


def test_every_script_takes_all_of_a_repeated_option():
    """Options of many values; --unit of import_annotations.py is one or two words of one value."""
    for file in [*ROOT.glob("*.py"), *ROOT.glob("tools/*.py"), *ROOT.glob("util/**/*.py")]:
        calls = re.findall(r"\(\s*\"--[^()]*?nargs=\"\+\"(?:,\s*action=\S+)?", file.read_text("utf-8"))
        dropping = [call for call in calls if "action=" not in call and '"--unit"' not in call]
        assert not dropping, f"{file}: {dropping}"


def test_a_checkpoint_is_not_written_under_the_name_of_another_kind_of_file(capsys):
    parser = argparse.ArgumentParser()
    parser.add_argument("--output", type=checkpoint_name)
    assert parser.parse_args(["--output", "a/clinic.pt"]).output == Path("a/clinic.pt")
    with pytest.raises(SystemExit):
        parser.parse_args(["--output", "weights/cephdetr19.safetensors"])
    assert "cephdetr19.safetensors, expected a name that ends in .pt" in capsys.readouterr().err
