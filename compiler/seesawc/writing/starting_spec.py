"""The name of an experiment -> a commented spec to start from."""

from seesawc.diagnostics import CompileError, Diagnostic
from seesawc.tables.values import WrongValue, check_name
from seesawc.writing.render import open_templates

TEMPLATES = {"signal": "spec.toml.jinja", "fakes": "fakes_spec.toml.jinja"}


def starting_spec(name: str, task: str) -> str:
    """Return the text for a task; raises `CompileError` for a name of no experiment."""
    try:
        check_name(name)
    except WrongValue as wrong:
        raise CompileError(Diagnostic(wrong.message, hint=wrong.hint)) from None
    return open_templates().render(TEMPLATES[task], {"name": name})
