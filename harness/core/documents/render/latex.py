"""Tables of documents in LaTeX, with rules of the package booktabs."""

import re
from collections.abc import Sequence

from harness.core.documents.document import Cell, Table, text_of
from harness.core.documents.escaping import one_line, visible

_SPECIAL = {
    "\\": r"\textbackslash{}",
    "&": r"\&",
    "%": r"\%",
    "$": r"\$",
    "#": r"\#",
    "_": r"\_",
    "{": r"\{",
    "}": r"\}",
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    "<": r"\textless{}",
    ">": r"\textgreater{}",
    "\N{MINUS SIGN}": "$-$",
    "\N{MULTIPLICATION SIGN}": r"$\times$",
    "\N{PLUS-MINUS SIGN}": r"$\pm$",
    "\N{GREATER-THAN OR EQUAL TO}": r"$\ge$",
    "\N{LESS-THAN OR EQUAL TO}": r"$\le$",
    "\N{EN DASH}": "--",
    "\N{NO-BREAK SPACE}": "~",
    "▲": r"$\blacktriangle$",
    "▼": r"$\blacktriangledown$",
}
_FOUND = re.compile("|".join(map(re.escape, _SPECIAL)))


def for_latex(text: str) -> str:
    """Escape the text for LaTeX, on one line."""
    return _FOUND.sub(lambda match: _SPECIAL[match[0]], visible(one_line(text)))


def latex_table(table: Table, label: str) -> str:
    """Render a floating table; its caption is the title, a sentence, and its legend stands below it.

    A table that is wider than the text is scaled down. It needs the packages booktabs and graphicx.
    """
    columns = "l" + "r" * (len(table.headers) - 1)
    legend = [rf"\par\smallskip\footnotesize {for_latex(' '.join(table.legend))}"] * bool(table.legend)
    lines = [_row(table.headers), r"\midrule", *map(_row, table.rows)]
    return "\n".join(
        [
            r"\begin{table}",
            rf"\caption{{{for_latex(table.title.rstrip('.'))}.}}",
            rf"\label{{{label}}}",
            r"\centering",
            r"\resizebox{\ifdim\width>\linewidth\linewidth\else\width\fi}{!}{%",
            rf"\begin{{tabular}}{{{columns}}}",
            r"\toprule",
            *lines,
            r"\bottomrule",
            r"\end{tabular}}",
            *legend,
            r"\end{table}",
        ]
    )


def _row(cells: Sequence[Cell | str]) -> str:
    row = " & ".join(for_latex(text_of(cell)) for cell in cells) + r" \\"
    return "{}" * row.startswith("[") + row  # a bracket would be an option of the row end before it
