"""Small modules and functions: the budget of the house, held by machine."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

from tests.tree import PACKAGE, name_of, project_files, python_modules

MODULE_LINES_MAX = 400
EVENT_MODULE_LINES_MAX = 450
FUNCTION_LINES_MAX = 50
TYPESCRIPT_LINES_MAX = 300
EVENT_MODULES = {"realtime_nb/protocol/client_events.py", "realtime_nb/protocol/server_events.py"}


def code_lines(function: ast.FunctionDef | ast.AsyncFunctionDef) -> int:
    """Return the lines of a function's statements, its docstring left out."""
    body = function.body
    if (
        isinstance(body[0], ast.Expr)
        and isinstance(body[0].value, ast.Constant)
        and isinstance(body[0].value.value, str)
    ):
        body = body[1:]
    return (body[-1].end_lineno or 0) - body[0].lineno + 1 if body else 0


@pytest.mark.parametrize("path", python_modules(), ids=name_of)
def test_modules_and_functions_are_small(path: Path) -> None:
    source = path.read_text()
    lines = len(source.splitlines())
    assert lines <= (EVENT_MODULE_LINES_MAX if name_of(path) in EVENT_MODULES else MODULE_LINES_MAX)
    functions = [
        node for node in ast.walk(ast.parse(source)) if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
    ]
    too_long = {f.name: code_lines(f) for f in functions if code_lines(f) > FUNCTION_LINES_MAX}
    assert too_long == {}


def test_typescript_files_are_small() -> None:
    files = [p for p in project_files() if p.suffix in {".ts", ".tsx"} and PACKAGE / "frontend" / "src" in p.parents]
    too_long = {name_of(p): n for p in files if (n := len(p.read_text().splitlines())) > TYPESCRIPT_LINES_MAX}
    assert files
    assert too_long == {}
