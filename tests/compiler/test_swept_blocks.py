"""How the constants and the bodies of a sweep's points become one."""

from typing import Any

from seesawc.writing import settings, variants
from seesawc.writing.literals import Verbatim
from seesawc.writing.settings import Group, IfThere
from seesawc.writing.variants import Merged

MAIN = "def main():\n    pass"


def merged(*points: tuple[dict[str, Any], str]) -> Merged:
    return variants.merge([([Group("Training.", values)], body) for values, body in points])


def constants(found: Merged) -> dict[str, Any]:
    return {name: value for group in found.groups for name, value in group.values.items()}


def test_what_all_points_share_stands_as_in_a_plain_script() -> None:
    found = merged(({"LR": 0.1}, MAIN), ({"LR": 0.1}, MAIN))
    assert (constants(found), found.body, found.rows) == ({"LR": 0.1}, MAIN, ({}, {}))


def test_a_constant_that_differs_is_a_column_and_no_block_has_a_variant() -> None:
    found = merged(({"LR": 0.1}, MAIN), ({"LR": 0.2}, MAIN))
    assert constants(found) == {"LR": Verbatim('POINT["lr"]')}
    assert found.rows == ({"lr": 0.1}, {"lr": 0.2})
    assert found.body == MAIN


def test_values_differ_as_they_are_written() -> None:
    assert merged(({"LR": 1}, MAIN), ({"LR": 1.0}, MAIN)).rows == ({"lr": 1}, {"lr": 1.0})
    assert merged(({"LR": True}, MAIN), ({"LR": 1}, MAIN)).rows == ({"lr": True}, {"lr": 1})
    nan = float("nan")
    assert merged(({"MISSING": nan}, MAIN), ({"MISSING": nan}, MAIN)).rows == ({}, {})


def test_a_constant_of_several_names_is_one_column() -> None:
    found = merged(({"TRAIN, TEST": (1, 2)}, MAIN), ({"TRAIN, TEST": (2, 1)}, MAIN))
    assert constants(found) == {"TRAIN, TEST": Verbatim('POINT["train_test"]')}


def test_a_constant_that_a_point_lacks_is_set_for_the_others_only() -> None:
    found = merged(({}, MAIN), ({"GAMMA": 2.0}, MAIN), ({"GAMMA": 2.0}, MAIN))
    assert constants(found) == {"GAMMA": IfThere("gamma")}
    assert found.rows == ({}, {"gamma": 2.0}, {"gamma": 2.0})


def test_what_statements_outside_functions_use_is_set_for_all() -> None:
    """Both variants of SCRIPT are made, whichever the point has."""
    one, other = "SCRIPT = f(FILES)", "SCRIPT = f()"
    found = merged(({"FILES": {"a": "0"}}, f"{one}\n\n\n{MAIN}"), ({}, f"{other}\n\n\n{MAIN}"))
    (row, lacking) = found.rows
    assert (row["files"], lacking["files"]) == ({"a": "0"}, None)
    text = settings.render(found.groups) + "\n" + found.body
    for each in found.rows:
        names: dict[str, Any] = {"POINT": each, "f": lambda *files: files}
        exec(text, names)  # noqa: S102 what is tested is whether it runs
        assert names["SCRIPT"] == (({"a": "0"},) if each is row else ())


def test_a_block_that_differs_stands_there_once_for_each_variant() -> None:
    bodies = [f"def f():\n    return {n}\n\n\ndef main():\n    return f()" for n in (1, 2, 1)]
    found = merged(*(({}, body) for body in bodies))
    assert found.rows == ({"f": 1}, {"f": 2}, {"f": 1})
    assert found.body.count("def f_") == 2
    assert found.body.count("def main") == 1
    assert 'f = {1: f_1, 2: f_2}[POINT["f"]]\n\n\ndef main' in found.body
    for row, result in zip(found.rows, (1, 2, 1), strict=True):
        names: dict[str, Any] = {"POINT": row}
        exec(found.body, names)  # noqa: S102 what is tested is whether it runs
        assert names["main"]() == result


def test_a_block_that_a_point_lacks_is_chosen_for_the_others() -> None:
    first = "FILES = 1"
    body = f"{first}\n\n\ndef f():\n    return {{}}"
    found = merged(({}, first), ({}, body.format(1)), ({}, body.format(2)))
    assert found.rows == ({}, {"f": 1}, {"f": 2})
    for row in found.rows:
        names: dict[str, Any] = {"POINT": row}
        exec(found.body, names)  # noqa: S102 what is tested is whether it runs
        assert "f" not in row or names["f"]() == row["f"]


def test_variants_of_what_is_in_capitals_are_no_constants() -> None:
    found = merged(({}, 'SAMPLES = ("a",)'), ({}, 'SAMPLES = ("b",)'))
    assert 'samples_1 = ("a",)' in found.body
    assert 'SAMPLES = {1: samples_1, 2: samples_2}[POINT["samples"]]' in found.body


def test_a_column_has_a_name_of_its_own() -> None:
    found = merged(
        ({"F": 1, "POINT": 1}, "def f():\n    a"), ({"F": 2, "POINT": 2}, "def f():\n    b")
    )
    assert [sorted(row) for row in found.rows] == [["f", "f_", "point_"]] * 2


def test_blocks_are_named_by_what_they_define() -> None:
    text = "# Samples.\nNAMES = 1\nSAMPLES = (\n    1,\n)\n\n\ndef f():\n    a\n\n    b\n\n\n"
    text += "if x:\n    y"
    cut = variants.blocks(text)
    assert list(cut) == ["SAMPLES", "f", "\n\n\nif x:\n    y"]
    assert "".join(cut.values()).lstrip("\n") == text


def test_a_name_that_the_first_point_lacks_follows_what_it_follows() -> None:
    found = merged(({"A": 1, "C": 1}, MAIN), ({"A": 1, "B": 1, "C": 1}, MAIN))
    assert list(constants(found)) == ["A", "B", "C"]


def test_a_choice_that_is_too_long_for_a_line_is_wrapped() -> None:
    bodies = [f"def {'f' * 20}():\n    return {n}" for n in range(4)]
    text = merged(*(({}, body) for body in bodies)).body
    assert max(map(len, text.split("\n"))) <= 100
    assert f"{'f' * 20} = {{\n    1: {'f' * 20}_1,\n" in text
