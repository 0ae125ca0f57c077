"""Parts of the page of a study: an object each, with its text, its charts and the quantities that it adds.

A kind of study names its parts. Features register theirs by the hook ``study_parts``, as tuples; those of
this family are the modules of this folder.
"""

import functools
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from harness.core.documents.document import Figure, Node, Picture
from harness.core.shell.features import hooked
from harness.errors import unknown_name
from harness.learning.guarded import guarded
from harness.learning.runs.rows import ConfigurationRuns
from harness.learning.study.finding import Effect, StudyFinding
from harness.learning.study.quantities import GENERAL, TEST_SCORES, Definition, Quantity, of_test_score
from harness.learning.study.record import Study
from harness.spec.study import StudyKind

#: The test score of one class.
_RECALL = re.compile(r"recall_\d+")


class Content(NamedTuple):
    """The title of a part, and what stands above its charts and below them; texts are paragraphs."""

    title: str
    above: Sequence[str | Node] = ()
    below: Sequence[Node] = ()


class Part(NamedTuple):
    """A part of the page of a study, which a kind of study names."""

    name: str
    summary: str
    """One line for lists: what the part shows."""
    content: Callable[[StudyFinding], Content | None]
    """Returns the text and the tables; None without the data for it."""
    charts: Callable[[StudyFinding, str], Iterable[Figure | Picture]] | None = None
    """Draws the charts, whose names begin with a prefix."""
    quantities: Mapping[str, Definition] = {}
    """The quantities that the part adds: every kind of study may name them."""
    needs: Sequence[str] = ()
    """Names of quantities that are measured for the part although the kind does not name them."""
    works: Sequence[str] = ()
    """Work after the training of each run that is compared, by its name."""
    extra: str = ""
    """The extra of the harness that its quantities need, such as ``privacy``; empty: none."""
    headline: Callable[[StudyFinding, str], str | None] | None = None
    """Returns the answer instead of which variant is best, from a finding and ``cnn on digits``."""
    remark: Callable[[StudyFinding, Effect], str] | None = None
    """Returns what the card of a variant says in addition; empty for nothing."""


def explained(title: str, text: str, needed: str = "") -> Callable[[StudyFinding], Content | None]:
    """Return the content of a part that explains its charts.

    It is left out where no variant has the quantity ``needed``.
    """

    def content(study: StudyFinding) -> Content | None:
        if needed and not any(effect.levels.get(needed) for effect in study.effects):
            return None
        return Content(title, [text])

    return content


@functools.cache
def parts() -> Mapping[str, Part]:
    """Return every part of the features that are present, by its name."""
    return {part.name: _guarded(part) for parts in hooked("study_parts") for part in parts}


#: The functions of a part, and what they return where there is nothing to show.
_NOTHING_SHOWN: Mapping[str, Any] = {
    "content": None,
    "charts": (),
    "headline": None,
    "remark": "",
}


def _guarded(part: Part) -> Part:
    """Return the part with functions of other packages that show nothing, with a warning, if they raise."""
    functions = {name: getattr(part, name) for name in _NOTHING_SHOWN}
    others: dict[str, Any] = {
        name: guarded(f"part {part.name} of a study: {name}", function, _NOTHING_SHOWN[name])
        for name, function in functions.items()
        if function is not None
    }
    return part._replace(**others)


def parts_of(kind: StudyKind) -> list[Part]:
    """Return the parts that a kind names, in its order; parts of features that are absent are skipped."""
    known = parts()
    return [known[name] for name in kind.sections if name in known]


def charts_of(study: StudyFinding, prefix: str) -> list[Figure | Picture]:
    """Draw every chart of a study's page that the study has the data for."""
    drawing = [part.charts for part in parts_of(study.study.kind) if part.charts is not None]
    return [chart for charts in drawing for chart in charts(study, prefix)]


@functools.cache
def definitions() -> Mapping[str, Definition]:
    """Return the definitions of all quantities but test scores, by name."""
    of_parts = {name: each for part in parts().values() for name, each in part.quantities.items()}
    return {**GENERAL, **of_parts}


def quantity(name: str, study: Study, reference: ConfigurationRuns) -> Quantity:
    """Return the quantity of this name for the task of a study, of which ``reference`` are runs."""
    return definitions().get(name, of_test_score)(name, study, reference)


def check_names(kind: StudyKind) -> None:
    """Check the names of parts and quantities in a kind of study."""
    owner = f"the study {kind.name}"
    for name in kind.sections:
        if name not in parts():
            raise unknown_name("section", name, parts(), owner)
    for name in (*kind.decisive, *kind.quantities):
        if not (name in definitions() or name in TEST_SCORES or _RECALL.fullmatch(name)):
            raise unknown_name("quantity", name, [*definitions(), *TEST_SCORES], owner)
