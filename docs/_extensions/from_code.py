"""Directives that write a table from the code, so that the documentation cannot differ from it.

``task-options NAME``: the options of a task. ``fields MODULE:CLASS``: the fields of a record.
``study-parts`` and ``study-quantities``: names that a kind of study may use.
"""

import ast
import importlib
import inspect
import re
import textwrap

from docutils import nodes
from sphinx.application import Sphinx
from sphinx.util.docutils import SphinxDirective

from harness.core.documents.document import Table
from harness.core.documents.render.markdown import markdown_table
from harness.core.plugins import registry
from harness.core.plugins.options import describe_options
from harness.learning.study.parts import definitions, parts
from harness.learning.study.quantities import GENERAL, TEST_SCORES

#: A role of reStructuredText, of which the last name of its target is kept.
_ROLE = re.compile(r":\w+:`~?(?:[\w.]*\.)?(\w+)`")


class _TableDirective(SphinxDirective):
    """Writes what :meth:`table` returns."""

    def table(self) -> Table:
        """Build the table."""
        raise NotImplementedError

    def run(self) -> list[nodes.Node]:
        return self.parse_text_to_nodes(markdown_table(self.table()) + "\n")


class TaskOptions(_TableDirective):
    """The options of the task that the argument names."""

    required_arguments = 1

    def table(self) -> Table:
        rows = [
            (key, takes, str(default), description)
            for key, takes, default, description in describe_options(registry.task(self.arguments[0]))
        ]
        return Table(("option", "values", "default", "meaning"), rows)


class Fields(SphinxDirective):
    """The docstring of a class, and a table of its fields."""

    required_arguments = 1

    def run(self) -> list[nodes.Node]:
        module, name = self.arguments[0].split(":")
        cls = getattr(importlib.import_module(module), name)
        fields = _fields(cls)
        headers: tuple[str, ...] = ("field", "type", "meaning")
        if not any(meaning for _, _, meaning in fields):
            headers, fields = headers[:2], [row[:2] for row in fields]
        rows = [headers, ["---"] * len(headers), *fields]
        lines = ["| " + " | ".join(cell.replace("|", "\\|") for cell in row) + " |" for row in rows]
        text = "\n".join([str(inspect.getdoc(cls)), "", *lines, ""])
        return self.parse_text_to_nodes(_ROLE.sub(r"`\1`", text).replace("``", "`"))


def _fields(cls: type) -> list[tuple[str, ...]]:
    """Name, type and docstring of each annotated attribute, in the order of the source."""
    (definition,) = ast.parse(textwrap.dedent(inspect.getsource(cls))).body
    body = definition.body if isinstance(definition, ast.ClassDef) else []
    rows: list[tuple[str, ...]] = []
    for statement, following in zip(body, [*body[1:], None], strict=True):
        if isinstance(statement, ast.AnnAssign) and isinstance(statement.target, ast.Name):
            kind = f"`{_type(statement.annotation)}`"
            rows.append((f"`{statement.target.id}`", kind, _docstring(following)))
    return rows


def _type(annotation: ast.expr) -> str:
    """The source of a type, without the bounds of an ``Annotated``."""
    if isinstance(annotation, ast.Subscript) and ast.unparse(annotation.value) == "Annotated":
        annotation = annotation.slice.elts[0] if isinstance(annotation.slice, ast.Tuple) else annotation
    return ast.unparse(annotation)


def _docstring(statement: ast.stmt | None) -> str:
    is_text = isinstance(statement, ast.Expr) and isinstance(statement.value, ast.Constant)
    return " ".join(str(statement.value.value).split()) if is_text else ""


class StudyParts(_TableDirective):
    """The sections of a study's page, with the quantities that each adds."""

    def table(self) -> Table:
        rows = [(part.name, part.summary, ", ".join(part.quantities)) for part in parts().values()]
        return Table(("section", "shows", "adds the quantities"), rows)


class StudyQuantities(_TableDirective):
    """The quantities of a study."""

    def table(self) -> Table:
        kinds = {
            "of every task": GENERAL,
            "of sections": [name for name in definitions() if name not in GENERAL],
            "test scores": [*TEST_SCORES, "recall_K"],
        }
        rows = [(kind, ", ".join(names)) for kind, names in kinds.items()]
        return Table(("quantities", "names"), rows)


def setup(app: Sphinx) -> dict[str, bool]:
    """Register the directives."""
    app.add_directive("task-options", TaskOptions)
    app.add_directive("fields", Fields)
    app.add_directive("study-parts", StudyParts)
    app.add_directive("study-quantities", StudyQuantities)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
