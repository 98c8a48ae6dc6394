"""The names that a text uses, and its import block, which is what ruff would make of it."""

import subprocess
import sys
from pathlib import Path
from textwrap import dedent

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from seesawc.package import templates
from seesawc.writing import imports, parts
from tests.sweeps import examples

ROOT = Path(__file__).parents[2]

# Which names a text uses


USED = {
    "body": "def f():\n    return loss()",
    "nested function": "def f():\n    def g():\n        return loss()\n    return g",
    "method": "class F:\n    def g(self):\n        return loss()",
    "class body": "class F:\n    g = loss",
    "method that does not see the class": (
        "class F:\n    loss = 1\n    def g(self):\n        return loss()"
    ),
    "base": "class F(loss): ...",
    "keyword of a class": "class F(metaclass=loss): ...",
    "decorator": "@loss\ndef f(): ...",
    "default": "def f(loss=loss): ...",
    "default of a keyword": "def f(*, x=loss): ...",
    "default of a lambda": "f = lambda loss=loss: loss",
    "parameter's annotation": "def f(loss: loss): ...",
    "annotation of *args": "def f(*x: loss): ...",
    "returned type": "def f() -> list[loss]: ...",
    "local annotation": "def f():\n    x: loss = 1\n    return x",
    "field's annotation": "class F:\n    x: loss",
    "constant's annotation": "F: loss = 1",
    "comprehension": "F = [loss for x in range(3)]",
    "first iterable of a comprehension": "def f():\n    return [loss for loss in loss]",
    "later iterable of a comprehension": "def f(y):\n    return [x for z in y for x in loss]",
    "condition of a comprehension": "def f(y):\n    return {x: 1 for x in y if loss}",
    "attribute's base": "def f():\n    return loss.a.b",
    "f-string": "def f():\n    return f'{1:{loss}}'",
    "global under a local of the same name": (
        "def f(loss):\n    def g():\n        global loss\n        return loss\n    return g"
    ),
    "match": "def f(x):\n    match x:\n        case loss.A: ...",
    "except": "def f():\n    try: ...\n    except loss: ...",
}

NOT_USED = {
    "parameter": "def f(loss):\n    return loss",
    "parameter seen in a nested function": "def f(loss):\n    return lambda: loss",
    "keyword of a call": "def f(g):\n    return g(loss=1)",
    "attribute": "def f(x):\n    return x.loss",
    "local variable": "def f():\n    loss = 1\n    return loss",
    "variable of a loop": "def f(y):\n    for loss in y:\n        print(loss)",
    "with": "def f(y):\n    with y as loss:\n        print(loss)",
    "except": "def f():\n    try: ...\n    except OSError as loss:\n        print(loss)",
    "match": "def f(y):\n    match y:\n        case [loss, *_]:\n            print(loss)",
    "walrus in a comprehension": "def f(y):\n    return [x for x in y if (loss := x)], loss",
    "variable of a comprehension": "def f(y):\n    return {loss: loss for loss in y}",
    "local import": "def f():\n    import loss\n    return loss",
    "nested function": "def f():\n    def loss(): ...\n    return loss",
    "nonlocal": "def f(loss):\n    def g():\n        nonlocal loss\n        loss = 1\n    return g",
    "field": "class F:\n    loss: float = 0.0",
    "method": "class F:\n    def loss(self): ...",
    "string": "F = 'loss'",
    "docstring": "def f():\n    'loss'",
    "literal": "from typing import Literal\n\n\ndef f(x: Literal['loss']): ...",
    "note": "from typing import Annotated\n\n\ndef f(x: Annotated[int, 'a loss']): ...",
}


@pytest.mark.parametrize("text", USED.values(), ids=USED)
def test_a_name_is_used_in(text: str) -> None:
    assert "loss" in imports.free_names(f"{text}\n")


@pytest.mark.parametrize("text", NOT_USED.values(), ids=NOT_USED)
def test_another_thing_of_the_same_name_is_no_use_of_it(text: str) -> None:
    assert "loss" not in imports.free_names(f"{text}\n")


@pytest.mark.parametrize("defined", ["loss = 1", "def loss(): ...", "class loss: ..."])
def test_what_a_text_defines_itself_is_not_asked_for(defined: str) -> None:
    assert imports.free_names(f"{defined}\n\n\ndef f():\n    return loss\n") == set()


def test_builtins_and_what_a_module_says_of_itself_are_not_asked_for() -> None:
    assert imports.free_names("x = len(__file__ or __doc__ or __name__)\n") == set()


# The import block


def block(*names: str, **homes: str) -> str:
    return imports.block(names, homes)


def test_libraries_stand_before_parts_and_names_of_one_module_on_one_line() -> None:
    names = ("sys", "Path", "nn", "np", "torch", "partial", "Trainer", "Adam", "fit", "Event")
    homes = {"Adam": "parts.optimizers", "fit": "parts.machinery.fits", "Event": "parts.optimizers"}
    assert imports.block(names, homes) == dedent("""\
        import sys
        from functools import partial
        from pathlib import Path

        import numpy as np
        import torch
        from lightning.pytorch import Trainer
        from torch import nn

        from parts.machinery.fits import fit
        from parts.optimizers import Adam, Event""")


def test_long_imports_are_wrapped_one_name_a_line() -> None:
    names = ["LONG_CONSTANT_NAME", "ClassOfLongName", *(f"function_{n}" for n in (10, 9, 1, 2, 3))]
    assert imports.block(names, dict.fromkeys(names, "parts.library")) == dedent("""\
        from parts.library import (
            LONG_CONSTANT_NAME,
            ClassOfLongName,
            function_1,
            function_2,
            function_3,
            function_9,
            function_10,
        )""")


def test_no_names_need_no_imports() -> None:
    assert block() == ""


def test_a_name_that_no_part_or_library_has_is_an_internal_fault() -> None:
    with pytest.raises(AssertionError, match="no part defines nowhere"):
        block("nowhere")


WORDS = st.from_regex(r"[a-c]{1,3}([1-9][0-9]{0,2}){0,1}(_[a-c1-9]{1,12}){0,2}", fullmatch=True)
ODD = ("A", "F", "X", "_A", "_Y2", "AB", "B9", "Conv2d", "Conv9d", "Conv10d", "__version__", "a")
FORMS = st.sampled_from([str, str.upper, str.title, str.swapcase])
NAMES = st.one_of(
    st.sampled_from(ODD),
    st.builds(lambda word, form: form(word), WORDS, FORMS),
)
LONG = st.lists(WORDS.map(str.lower), min_size=1, max_size=5)
MODULES = st.one_of(
    # Few, so that a statement has several names.
    st.sampled_from(["parts.a2", "parts.a10"]),
    LONG.map(lambda words: ".".join(["parts", *words])),
)


def test_imports_are_sorted_and_wrapped_as_ruff_does(tmp_path: Path) -> None:
    real = list(parts.homes(templates()))
    libraries = st.lists(st.sampled_from(sorted(imports.LIBRARIES)), unique=True)
    homes = st.dictionaries(NAMES, MODULES, max_size=30)

    @settings(
        max_examples=examples(40, 400),
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(libraries, homes, st.lists(st.sampled_from(real), unique=True))
    def writes(libraries: list[str], invented: dict[str, str], real: list[str]) -> None:
        known = {**invented, **parts.homes(templates())}
        names = [*libraries, *invented, *real]
        number = len(list(tmp_path.iterdir()))
        text = imports.block(names, known)
        assert text == imports.block(reversed(names), known)
        (tmp_path / f"block{number}.py").write_text(
            f'"""Doc."""\n\n{text}\n\nX = 1\n' if text else ""
        )

    writes()
    for command in (["check", "--select=I"], ["format", "--diff"]):
        done = subprocess.run(
            [
                sys.executable,
                "-m",
                "ruff",
                *command,
                "--no-cache",
                f"--config={ROOT / 'pyproject.toml'}",
                str(tmp_path),
            ],
            capture_output=True,
            text=True,
        )
        assert done.returncode == 0, (done.stdout + done.stderr)[-3000:]


@pytest.mark.parametrize("name", sorted(imports.LIBRARIES))
def test_what_scripts_may_use_of_libraries_is_there(name: str) -> None:
    code = f"{imports.block([name], {})}\n{name}"
    subprocess.run([sys.executable, "-c", code], check=True, capture_output=True)
