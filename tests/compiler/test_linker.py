import ast
import random
import subprocess
import sys
from pathlib import Path
from textwrap import dedent

import pytest

from seesawc.diagnostics import CompileError
from seesawc.linker import Linked, link

ROOT = Path(__file__).parents[2]
PARTS = ROOT / "templates" / "parts"


def write(folder: Path, **parts: str) -> Path:
    for name, text in parts.items():
        text = dedent(text).lstrip("\n")
        docstring = "" if text.startswith('"""') else f'"""Part {name}."""\n\n'
        (folder / f"{name}.py").write_text(docstring + text, encoding="utf-8")
    return folder


def script(linked: Linked) -> str:
    sections = (f"{section.text}\n" for section in linked.sections)
    imports = f"{linked.imports}\n\n" if linked.imports else ""
    return "\n\n".join([f'"""A script."""\n\n{imports}SEED = 1\n', *sections])


def defined(linked: Linked) -> set[str]:
    values: dict[str, object] = {"__name__": "script"}
    exec(compile(script(linked), "script", "exec"), values)  # noqa: S102 what is tested is whether it runs
    return {name for name in values if not name.startswith("__")} - {"SEED"}


def refusal(folder: Path, *wanted: str) -> tuple[str, str]:
    """Return where the first fault stands, with the folder left out, and what it says."""
    with pytest.raises(CompileError) as caught:
        link(folder, wanted)
    first = caught.value.diagnostics[0]
    if not first.span:
        return "", first.message
    return f"{Path(first.span.path).name}:{first.span.line}:{first.span.column}", first.message


def ruff(text: str, *arguments: str) -> str:
    command = [sys.executable, "-m", "ruff", *arguments]
    name = "generated/name/train_signal.py"
    done = subprocess.run(
        [*command, "--no-cache", "--stdin-filename", name, "-"],
        input=text,
        capture_output=True,
        text=True,
        cwd=ROOT,
    )
    return "" if done.returncode == 0 else done.stdout + done.stderr


def assert_ruff_agrees(text: str) -> None:
    assert ruff(text, "check", "--select", "I,F,E") == ""
    assert ruff(text, "format", "--diff") == ""


FILES = {
    "numbers_": '''
        """Small numbers.

        More about them.
        """

        import math

        import numpy as np

        ONE = 1
        TWO = ONE + 1

        # Three has
        # a comment.
        THREE: float = math.sqrt(9)


        def unused() -> float:
            return np.pi


        def total() -> float:
            """Sum # not a comment."""
            return ONE + THREE
            # and a comment at its end
        ''',
    "shapes": '''
        """Shapes"""

        from dataclasses import dataclass
        from functools import cache

        from parts.numbers_ import total

        TEXT = """
        one
        # two"""


        # Above the decorator.
        @dataclass(frozen=True)
        class Square:
            side: float

            @property
            def area(self) -> "Side":
                return Side(self.side * self.side)


        class Side(float):
            pass


        @cache
        def squares() -> list[Square]:
            return [Square(total())]
        ''',
}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return write(tmp_path, **FILES)


# What is copied


def test_a_definition_brings_what_it_uses_and_nothing_else(folder: Path) -> None:
    linked = link(folder, ["shapes.squares"])
    wanted = {"Square", "Side", "squares", "total", "ONE", "THREE"}
    assert defined(linked) == wanted | {"math", "dataclass", "cache"}


def test_a_part_that_is_not_needed_is_not_read(folder: Path) -> None:
    write(folder, broken="this is no Python", lazy="from parts.broken import x\n\nY = 1\nZ = x\n")
    assert link(folder, ["lazy.Y"]).sections[0].text == "Y = 1"


def test_text_is_copied_verbatim_with_decorators_and_comments(folder: Path) -> None:
    lines = (folder / "shapes.py").read_text().splitlines()
    start = lines.index("# Above the decorator.")
    stop = lines.index("class Side(float):")
    text = "\n".join(lines[start : stop + 2])
    assert link(folder, ["shapes.Square"]).sections[0].text == text


def test_comments_at_the_end_of_a_body_are_copied(folder: Path) -> None:
    text = link(folder, ["numbers_.total"]).sections[0].text
    assert text.endswith("return ONE + THREE\n    # and a comment at its end")


def test_a_line_of_a_string_is_not_taken_for_a_comment(tmp_path: Path) -> None:
    write(tmp_path, part='A = """\n# in A"""\nB = 2\n')
    assert link(tmp_path, ["part.B"]).sections[0].text == "B = 2"
    assert link(tmp_path, ["part.A"]).sections[0].text == 'A = """\n# in A"""'


def test_the_docstring_is_not_taken_for_a_comment(tmp_path: Path) -> None:
    write(tmp_path, part='"""Title.\n\n# Heading"""\nA = 1\n')
    assert link(tmp_path, ["part.A"]).sections[0].text == "A = 1"


@pytest.mark.parametrize(
    ("wanted", "text"),
    [
        ("ONE TWO", "ONE = 1\nTWO = 2"),
        ("TWO THREE", "TWO = 2\n\n# Why.\nTHREE = 3"),
        ("ONE THREE", "ONE = 1\n\n# Why.\nTHREE = 3"),
        ("THREE FOUR", "# Why.\nTHREE = 3\n\nFOUR = 4"),
        ("THREE f", "# Why.\nTHREE = 3\n\n\ndef f(): ..."),
        ("f FOUR", "def f(): ...\n\n\nFOUR = 4"),
    ],
)
def test_blank_lines_are_those_of_ruff(tmp_path: Path, wanted: str, text: str) -> None:
    write(tmp_path, part="ONE = 1\nTWO = 2\n\n# Why.\nTHREE = 3\n\n\ndef f(): ...\n\n\nFOUR = 4\n")
    linked = link(tmp_path, [f"part.{name}" for name in wanted.split()])
    assert linked.sections[0].text == text
    assert_ruff_agrees(script(linked))


# Titles and order


def test_a_title_is_the_first_line_of_the_docstring_without_full_stop(folder: Path) -> None:
    assert [s.title for s in link(folder, ["shapes.squares"]).sections] == [
        "Small numbers",
        "Shapes",
    ]


def test_a_part_stands_after_the_parts_that_it_uses(tmp_path: Path) -> None:
    write(
        tmp_path,
        a="from parts.c import C\n\nA = C + 1\n",
        b="B = 1\n",
        c="from parts.d import D\n\nC = D + 1\n",
        d="from parts.b import B\n\nD = B + 1\n",
    )
    linked = link(tmp_path, ["a.A"])
    assert [section.title for section in linked.sections] == [
        "Part b",
        "Part d",
        "Part c",
        "Part a",
    ]
    assert defined(linked) == {"A", "B", "C", "D"}


def test_the_order_of_what_is_wanted_does_not_matter(folder: Path) -> None:
    names = ["numbers_.TWO", "shapes.TEXT", "shapes.Square", "numbers_.unused"]
    assert link(folder, names) == link(folder, reversed(names)) == link(folder, set(names))


def test_nothing_wanted_gives_the_imports_of_the_outline_alone(folder: Path) -> None:
    assert link(folder, []) == Linked("", ())
    assert link(folder, [], ["import sys"]) == Linked("import sys", ())


# Which names a definition uses


USED = {
    "body": "def f():\n    return loss()",
    "nested function": "def f():\n    def g():\n        return loss()\n    return g",
    "method": "class F:\n    def g(self):\n        return loss()",
    "class body": "class F:\n    g = loss",
    "class body, before the name is bound there": "class F:\n    loss = loss",
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
    "quoted annotation": "def f(x: 'loss'): ...",
    "quoted inside an annotation": "def f(x: list['loss | None']): ...",
    "literal of an enum": "def f(x: 'Literal[loss.A]'): ...",
    "quoted twice": "def f(x: \"list['loss']\"): ...",
    "quoted in a nested function": "def f():\n    def g() -> 'loss': ...\n    return g",
    "quoted in a class in a block": "class F:\n    if True:\n        x: 'loss'",
    "comprehension": "F = [loss for x in range(3)]",
    "first iterable of a comprehension": "def f():\n    return [loss for loss in loss]",
    "later iterable of a comprehension": "def f(y):\n    return [x for z in y for x in loss]",
    "condition of a comprehension": "def f(y):\n    return {x: 1 for x in y if loss}",
    "attribute's base": "def f():\n    return loss.a.b",
    "f-string": "def f():\n    return f'{1:{loss}}'",
    "global": "def f():\n    global loss\n    loss = 1",
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


@pytest.mark.parametrize("imported", [False, True], ids=["defined", "imported"])
@pytest.mark.parametrize("text", USED.values(), ids=USED)
def test_a_name_is_used_in(tmp_path: Path, text: str, imported: bool) -> None:
    source = "from library import loss" if imported else "loss = 1"
    write(tmp_path, part=f"{source}\n\n{text}\n")
    linked = link(tmp_path, ["part.F" if "F" in text.split("\n")[0] else "part.f"])
    assert source in (linked.imports if imported else linked.sections[0].text)


@pytest.mark.parametrize("imported", [False, True], ids=["defined", "imported"])
@pytest.mark.parametrize("text", NOT_USED.values(), ids=NOT_USED)
def test_another_thing_of_the_same_name_pulls_nothing_in(
    tmp_path: Path, text: str, imported: bool
) -> None:
    source = "from library import loss" if imported else "loss = 12345"
    write(tmp_path, part=f"{source}\n{text}\n")
    linked = link(tmp_path, ["part.F" if "F" in text else "part.f"])
    assert source not in script(linked)


def test_definitions_may_use_each_other_and_themselves(tmp_path: Path) -> None:
    write(tmp_path, part="def f(): return g\n\n\ndef g(): return f, g\n")
    assert defined(link(tmp_path, ["part.f"])) == {"f", "g"}


# Imports


def test_imports_are_pruned_and_merged_with_those_of_the_outline(tmp_path: Path) -> None:
    write(
        tmp_path,
        a="import os\nimport sys\n\nfrom torch import Tensor, nn\n\ndef a(x: Tensor): sys\n",
        b="import sys\n\nimport numpy as np\nfrom torch import nn\n\ndef b(): np.random, nn, sys\n",
    )
    outline = [
        "import argparse",
        "from pathlib import Path",
        "import sys",
        "from torch import Tensor",
    ]
    assert link(tmp_path, ["a.a", "b.b"], outline).imports == dedent("""\
        import argparse
        import sys
        from pathlib import Path

        import numpy as np
        from torch import Tensor, nn""")


def test_an_outline_may_import_from_parts(folder: Path) -> None:
    linked = link(folder, [], ["from parts.numbers_ import ONE"])
    assert linked == link(folder, ["numbers_.ONE"])


@pytest.mark.parametrize(
    ("use", "kept"),
    [
        ("os.path.join", "import os.path"),
        ("os.getcwd", "import os"),
        ("xml.dom", "import xml.dom"),
        ("xml.sax", "import xml.sax"),
        ("xml", "import xml.dom\nimport xml.sax"),
    ],
)
def test_an_import_of_a_submodule_is_kept_where_it_is_used(
    tmp_path: Path, use: str, kept: str
) -> None:
    write(
        tmp_path, part=f"import os\nimport os.path\nimport xml.dom\nimport xml.sax\n\nA = {use}\n"
    )
    linked = link(tmp_path, ["part.A"])
    assert linked.imports.removeprefix("import os\n") == kept
    assert "A" in defined(linked) or use == "xml"


POOL = [
    "import os",
    "import os as operating_system",
    "import os as Os",
    "import os as a_system",
    "import os.path",
    "import sys",
    "from collections.abc import Callable, Iterable",
    "from pathlib import Path",
    "import numpy as np",
    "import torch",
    "import torch.nn",
    "import torch2",
    "import Zlibrary",
    "from Alpha import e1",
    "from alpha.b import e2",
    "from alpha1 import e3",
    "from alpha_b import e4",
    "from alpha10 import e5",
    "from alpha09 import e7",
    "from alpha010 import e8, e010, e09, e1x",
    "from alpha2 import e6",
    "from alpha import _X, _Y2, AB, B9, BB, A, Conv2d, Conv10d, Conv9d, F, __version__, a2, a10, b",
    "from alpha import b as c",
    "from alpha import aa as d",
    "from torch.nn import functional as F2",
    "from torch.nn import functional as F1",
    "from torch.nn import (functional, init, Linear, Module, ModuleList, Sequential, Parameter,"
    " ReLU, BatchNorm1d, GELU, LayerNorm, Dropout, SELU)",
    f"from {'m' * 60} import {'n' * 60}",
    f"from {'m' * 60} import {'n' * 60} as n",
    f"import {'m' * 60}.{'n' * 60}",
    f"from p{'q' * 40} import {'r' * 46}",
    f"from p{'q' * 40} import {'s' * 47}",
    f"from t{'q' * 40} import {'s' * 46}",
]


@pytest.mark.parametrize("seed", range(5))
def test_imports_are_sorted_and_wrapped_as_ruff_does(folder: Path, seed: int) -> None:
    chance = random.Random(seed)  # noqa: S311 nothing secret
    chosen = chance.sample(POOL, len(POOL) if seed == 0 else 12)
    text = script(link(folder, [], chosen))
    assert ruff(text, "check", "--select", "I") == ""
    assert ruff(text, "format", "--diff") == ""


def test_long_imports_are_wrapped_one_name_a_line(folder: Path) -> None:
    names = ["LONG_CONSTANT_NAME", "ClassOfLongName", *(f"function_{n}" for n in (10, 9, 1, 2, 3))]
    linked = link(folder, [], [f"from library import {', '.join(names)}"])
    assert linked.imports == dedent("""\
        from library import (
            LONG_CONSTANT_NAME,
            ClassOfLongName,
            function_1,
            function_2,
            function_3,
            function_9,
            function_10,
        )""")


# The whole


def test_what_is_linked_runs_in_a_fresh_interpreter(folder: Path) -> None:
    wanted = ["shapes.squares", "shapes.TEXT", "numbers_.TWO"]
    text = script(link(folder, wanted, ["import sys"])) + "\nsys.exit(int(squares()[0].area))\n"
    done = subprocess.run([sys.executable, "-I", "-c", text], capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (16, "")


@pytest.mark.parametrize(
    "wanted", [["shapes.squares"], ["shapes.TEXT", "numbers_.TWO"], ["numbers_.unused"]]
)
def test_ruff_finds_nothing_in_what_is_linked(folder: Path, wanted: list[str]) -> None:
    assert_ruff_agrees(script(link(folder, wanted)))


@pytest.mark.parametrize("path", sorted(PARTS.glob("*.py")), ids=lambda path: path.stem)
def test_each_definition_of_a_real_part_links(path: Path) -> None:
    nodes = [node for node in ast.parse(path.read_text()).body if hasattr(node, "name")]
    for node in nodes:
        assert link(PARTS, [f"{path.stem}.{node.name}"]).sections
    linked = link(PARTS, [f"{path.stem}.{node.name}" for node in nodes])
    assert ruff(script(linked), "check", "--select", "I,F") == ""


# Refusals


REFUSED = {
    "call": ("print(1)", "3:1"),
    "try": ("try:\n    import a\nexcept ImportError:\n    a = None", "3:1"),
    "if": ("if 1:\n    A = 1", "3:1"),
    "TYPE_CHECKING": (
        "from typing import TYPE_CHECKING\n\nif TYPE_CHECKING:\n    import a",
        "5:1",
    ),
    "loop": ("for a in ():\n    pass", "3:1"),
    "second docstring": ("'more'", "3:1"),
    "two targets": ("a = b = 1", "3:1"),
    "tuple": ("a, b = 1, 2", "3:1"),
    "attribute": ("import a\n\na.b = 1", "5:1"),
    "augmented": ("A = 1\nA += 1", "4:1"),
    "delete": ("A = 1\ndel A", "4:1"),
    "annotation only": ("A: int", "3:1"),
    "walrus": ("A = (b := 1)", "3:1"),
    "two statements a line": ("A = 1; B = 2", "3:8"),
    "import on the line": ("import a; A = 1", "3:11"),
    "relative import": ("from . import a", "3:15"),
    "relative import of a module": ("from .a import b", "3:16"),
    "star import": ("from a import *", "3:15"),
    "star import of a part": ("from parts.a import *", "3:21"),
    "future": ("from __future__ import annotations", "3:24"),
    "aliased import of a part": ("from parts.a import b as c", "3:21"),
    "import of a part as a module": ("import parts.a", "3:8"),
    "import of a part as a module from the folder": ("from parts import a", "3:19"),
    "import of the folder": ("import parts", "3:8"),
    "defined twice": ("A = 1\n\n\ndef A(): ...", "6:1"),
    "imported, then defined": ("import a\n\na = 1", "5:1"),
    "defined, then imported": ("a = 1\nimport a", "4:8"),
    "two imports of one name": ("from a import b\nfrom c import b", "4:15"),
    "module and name": ("import os\nfrom a import os", "4:15"),
    "alias": ("import a as c\nimport b as c", "4:8"),
    "syntax": ("def f(:", "3:7"),
}


@pytest.mark.parametrize(("text", "place"), REFUSED.values(), ids=REFUSED)
def test_a_part_is_refused_for(tmp_path: Path, text: str, place: str) -> None:
    write(tmp_path, part=f"{text}\n\n\nWANTED = 1\n")
    assert refusal(tmp_path, "part.WANTED")[0] == f"part.py:{place}"


def test_all_faults_of_a_part_are_reported_at_once(tmp_path: Path) -> None:
    write(tmp_path, part="print(1)\nfrom . import a\n\n\nA = B = 1\n")
    with pytest.raises(CompileError) as caught:
        link(tmp_path, ["part.A"])
    assert [fault.span.line for fault in caught.value.diagnostics if fault.span] == [3, 4, 7]


def test_non_ascii_text_is_refused(tmp_path: Path) -> None:
    write(tmp_path, part="A = 1  # \u03b7\n")
    assert refusal(tmp_path, "part.A") == ("part.py:3:10", "a part is pure ASCII")


def test_bytes_that_are_not_utf8_are_refused(tmp_path: Path) -> None:
    (tmp_path / "part.py").write_bytes(b'"""Title."""\n\nA = "\xff"\n')
    assert refusal(tmp_path, "part.A") == ("part.py:3:6", "a part is pure ASCII")


@pytest.mark.parametrize("text", ["A = 1\n", "", '"""."""\nA = 1\n'])
def test_a_part_without_title_is_refused(tmp_path: Path, text: str) -> None:
    (tmp_path / "part.py").write_text(text)
    assert refusal(tmp_path, "part.A") == ("part.py:1:1", "a part begins with a docstring")


@pytest.mark.parametrize(
    ("text", "place"),
    [
        ("def f():\n    from parts.other import g", "4:5"),
        ("def f():\n    if 1:\n        import parts.other", "5:9"),
        (
            "class F:\n    try: ...\n    except OSError:\n        from . import g",
            "6:9",
        ),
        ("def f(x):\n    match x:\n        case 1:\n            from parts import other", "6:13"),
    ],
)
def test_a_part_imported_inside_a_definition_is_refused(
    tmp_path: Path, text: str, place: str
) -> None:
    write(tmp_path, part=text, other="def g(): ...\n")
    name = "F" if text.startswith("class") else "f"
    assert refusal(tmp_path, f"part.{name}")[0] == f"part.py:{place}"


def test_a_scope_that_python_refuses_is_refused(tmp_path: Path) -> None:
    write(tmp_path, part="def f():\n    nonlocal x\n")
    assert refusal(tmp_path, "part.f") == ("part.py:3:1", "no binding for nonlocal 'x' found")


def test_a_name_that_two_parts_define_is_refused(tmp_path: Path) -> None:
    write(tmp_path, a="A = 1\n", b="B = 1\nA = 2\n")
    assert refusal(tmp_path, "a.A", "b.A")[0] == "b.py:4:1"


def test_a_name_that_one_part_defines_and_another_imports_is_refused(tmp_path: Path) -> None:
    write(tmp_path, a="def log(): ...\n", b="from math import log\n\nB = log(1)\n")
    assert refusal(tmp_path, "a.log", "b.B")[0] == "a.py:3:1"


def test_a_name_that_two_parts_import_from_different_places_is_refused(tmp_path: Path) -> None:
    write(tmp_path, a="from math import log\n\nA = log\n", b="from cmath import log\n\nB = log\n")
    place, message = refusal(tmp_path, "a.A", "b.B")
    assert place == "b.py:3:19"
    assert message == "`from cmath import log` and `from math import log` bind one name"


@pytest.mark.parametrize("text", ["def sum(x): ...", "from torch import sum\n\nB = sum"])
def test_a_name_that_hides_a_builtin_of_another_part_is_refused(tmp_path: Path, text: str) -> None:
    write(tmp_path, a="def a(x):\n    return sum(x)\n", b=f"{text}\n")
    other = "b.B" if "B" in text else "b.sum"
    assert refusal(tmp_path, "a.a", other)[0] == "a.py:3:1"
    assert defined(link(tmp_path, ["a.a"])) == {"a"}


def test_an_import_of_the_outline_that_clashes_is_refused(folder: Path) -> None:
    with pytest.raises(CompileError, match="`import numpy as np` and `import nothing as np`"):
        link(folder, ["numbers_.unused"], ["import nothing as np"])


@pytest.mark.parametrize("line", ["A = 1", "import", "from . import a", "print(1)"])
def test_an_outline_asks_for_imports_only(folder: Path, line: str) -> None:
    with pytest.raises(CompileError) as caught:
        link(folder, [], ["import sys", line])
    span = caught.value.diagnostics[0].span
    assert span
    assert (span.path, span.line) == ("outline imports", 2)


def test_parts_that_use_each_other_are_refused(tmp_path: Path) -> None:
    write(
        tmp_path,
        a="from parts.b import b\n\n\ndef a(): return b\n",
        b="from parts.c import c\n\n\ndef b(): return c\n",
        c="from parts.a import a\n\n\ndef c(): return a\n",
    )
    assert refusal(tmp_path, "b.b") == ("c.py:3:21", "parts use each other: a -> b -> c -> a")


def test_a_part_that_uses_itself_is_refused(tmp_path: Path) -> None:
    write(tmp_path, a="from parts.a import b\n\nA = b\n")
    assert refusal(tmp_path, "a.A")[0] == "a.py:3:21"


def test_an_unknown_part_is_refused_with_the_nearest(folder: Path) -> None:
    with pytest.raises(CompileError) as caught:
        link(folder, ["shape.Square"])
    assert caught.value.diagnostics[0].hint == 'did you mean "shapes"? allowed: numbers_, shapes'


def test_an_unknown_definition_is_refused_with_the_nearest(folder: Path) -> None:
    with pytest.raises(CompileError, match="part `shapes` does not define `Sqare`") as caught:
        link(folder, ["shapes.Sqare"])
    assert str(caught.value.diagnostics[0].hint).startswith('did you mean "Square"?')


@pytest.mark.parametrize("line", ["from parts.none import a", "from parts.numbers_ import a"])
def test_what_another_part_lacks_is_refused_where_it_is_imported(folder: Path, line: str) -> None:
    write(folder, part=f"{line}\n\nA = a\n")
    column = len(line)
    assert refusal(folder, "part.A")[0] == f"part.py:3:{column}"


def test_what_another_part_only_imports_is_refused(folder: Path) -> None:
    write(folder, part="from parts.numbers_ import math\n\nA = math\n")
    assert refusal(folder, "part.A")[0] == "part.py:3:28"
