"""The command line of scripts says which attempt is meant."""

import sys

import pytest

from parts.machinery.arguments import parse_again, parse_arguments


@pytest.mark.parametrize(("words", "label"), [([], ""), (["--again", "2.b"], "2.b")])
def test_training_and_what_comes_after_it_name_an_attempt_alike(
    words: list[str], label: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "argv", ["closure.py", *words])
    assert parse_again("Test.") == parse_arguments().again == label


@pytest.mark.parametrize("words", [["--again", "a/b"], ["--aga", "2"], ["--sync"], ["x"]])
def test_other_words_are_refused(words: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "argv", ["closure.py", *words])
    with pytest.raises(SystemExit) as ended:
        parse_again("Test.")
    assert ended.value.code == 2
