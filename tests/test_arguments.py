"""Arguments that several scripts share."""

import argparse

import pytest

from util.arguments import add_spacing_argument, checkpoints_of, listed_cases


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
