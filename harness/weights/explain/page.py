"""The page of explanations: the samples, the quality of the maps, the agreement of frameworks, the maps."""

from collections.abc import Mapping, Sequence
from functools import partial

import msgspec

from harness.core.certify.input_gradients import TOLERANCE
from harness.core.documents.document import (
    Cell,
    Document,
    Facts,
    Figure,
    Figures,
    Node,
    Only,
    Paragraph,
    Picture,
    Section,
    Table,
)
from harness.core.documents.numbers import NOTHING, deviation, listed, significant
from harness.core.runs.record import Record
from harness.core.stats.deviations import largest
from harness.weights.explain.attributions import NODES, PATCH, SMOOTH_NOISE, SMOOTH_SAMPLES, STEPS
from harness.weights.explain.explained import MAP_TOLERANCE, Explanation, map_error


class ExplainedRun(msgspec.Struct, frozen=True):
    """A run, the choice of its weights, and the explanation by each configuration; the first is shown."""

    record: Record
    weights: str
    explanations: Sequence[Explanation]

    @property
    def errors(self) -> list[float]:
        """The largest difference between the maps of each further configuration and those of the first."""
        first, *others = self.explanations
        return [map_error(first, each) for each in others]

    @property
    def agrees(self) -> bool:
        """True if all gradients are exact, and all maps the same."""
        exact = all(
            each.explained.check is not None and each.explained.check.passed for each in self.explanations
        )
        return exact and all(error <= MAP_TOLERANCE for error in self.errors)


#: What each method computes, for the page.
METHODS: Mapping[str, str] = {
    "gradient × input": "The gradient of the output by each input, times that input.",
    "integrated gradients": (
        f"The mean gradient on the straight way from the baseline to the input, at {NODES} nodes of the "
        "Gauss-Legendre rule, times the input (Sundararajan et al. 2017). Its values should add up to the "
        "difference of the output between input and baseline; the error of completeness is what is missing."
    ),
    "SmoothGrad": (
        f"The mean gradient over {SMOOTH_SAMPLES} copies with noise of {100 * SMOOTH_NOISE:.0f} % of the "
        "range of the inputs (Smilkov et al. 2017); the noise is the same in every framework."
    ),
    "occlusion": (
        f"What the output loses where a part is set to 0: squares of {PATCH} pixels, {STEPS} steps of a "
        "series, a feature of a table; a token becomes the most frequent one. It needs no gradients."
    ),
}
_BASELINE = (
    "The baseline is 0: black in a picture, the mean of a standardised feature, no embedding. Tokens are "
    "explained by their embeddings, whose values are summed. The output is the logit of the predicted class, "
    "of two classes that of class 1, of a text that at the last position."
)
_CURVES = (
    "Deletion and insertion: how much faster the output falls when the most relevant positions are removed "
    "first, and rises when they are restored first, than in a random order (Petsiuk et al. 2018). At 0 or "
    "below, the map says no more than chance."
)


def explanations_document(runs: Sequence[ExplainedRun]) -> Document:
    """Make a document with a part for each run."""
    parts = [_part(run, f"run-{number}") for number, run in enumerate(runs, 1)]
    headline = ["Which inputs does the network depend on?", *map(verdict, runs)]
    meta = [runs[0].record.machine.cpu, runs[0].record.started_at[:10]]
    terms = Section("What is shown", [Facts(METHODS), Paragraph(_BASELINE), Paragraph(_CURVES)], "terms")
    return Document(
        "explanations", headline[0], [*parts, Only(("page", "markdown"), [terms])], headline, meta
    )


def verdict(run: ExplainedRun) -> str:
    """Say if the maps are the same in all configurations, with the largest difference."""
    names = listed([each.configuration.label for each in run.explanations])
    name = f"{run.record.task.name} trained by {run.record.configuration.label}"
    checks = [each.explained.check for each in run.explanations]
    wrong = [
        each.configuration.label
        for each, check in zip(run.explanations, checks, strict=True)
        if check is None or not check.passed
    ]
    if wrong:
        return f"{name}: the gradients of {listed(wrong)} are wrong."
    if not run.errors:
        against = checks[0].against if checks[0] else NOTHING
        return f"{name}: the gradients of {names} agree with {against} to {TOLERANCE:.0e} in float64."
    if not run.agrees:
        return f"{name}: the maps of {names} differ: largest difference {deviation(largest(run.errors))}."
    return (
        f"{name}: the maps of {names} are the same to {MAP_TOLERANCE:.0e} in float64 (largest difference "
        f"{largest(run.errors):.1e})."
    )


def _part(run: ExplainedRun, name: str) -> Section:
    first = run.explanations[0]
    features = [f"feature {number}" for number in range(1, first.arrays["inputs"].shape[-1] + 1)]
    nodes: list[Node] = [
        Only(("terminal", "verbose"), [_answers_table(first)]),
        Figures(partial(_figures, first, features, name)),
        _methods_table(first),
        _backends_table(run),
    ]
    record = run.record
    title = f"{record.task.name} on {record.dataset.name}, {record.configuration.label}, seed {record.seed}"
    return Section(f"{title}: weights of the {run.weights} epoch", nodes, name, announced=True)


def _figures(explanation: Explanation, features: Sequence[str], name: str) -> Sequence[Figure | Picture]:
    from harness.weights.explain.charts import figures

    return figures(explanation, features, name)


def _answers_table(explanation: Explanation) -> Table:
    explained = explanation.explained
    rows = [[str(each.row), each.text(explained.classes)] for each in explained.answers]
    return Table(["test sample", "answer"], rows, "Explained", announced=True, form="texts")


def _methods_table(explanation: Explanation) -> Table:
    rows: list[list[Cell | str]] = []
    for name, note in explanation.explained.methods.items():
        error = NOTHING
        if note.completeness is not None and note.explained:
            error = f"{significant(note.completeness, 2)} of {significant(note.explained)}"
        gains: list[Cell | str] = [
            NOTHING if gain is None else Cell(f"{gain:+.3f}", "" if gain > 0 else "bad")
            for gain in (note.deletion_gain, note.insertion_gain)
        ]
        rows.append([name, error, *gains])
    headers = ["method", "error of completeness", "deletion", "insertion"]
    return Table(headers, rows, "Methods", (_CURVES_SHORT,), announced=True)


_CURVES_SHORT = (
    "Deletion, insertion: how much faster than in a random order the output falls and rises; above 0 the map "
    "says more than chance. Error of completeness: of the largest difference that is to be explained."
)


def _backends_table(run: ExplainedRun) -> Table:
    rows: list[list[Cell | str]] = []
    for each, error in zip(run.explanations, [None, *run.errors], strict=True):
        check = each.explained.check
        if check is None:
            continue
        right = Cell(deviation(check.gradient_error), "good" if check.passed else "bad")
        maps: Cell | str = NOTHING
        if error is not None:
            maps = Cell(deviation(error), "good" if error <= MAP_TOLERANCE else "bad")
        rows.append([each.configuration.label, check.against, right, maps])
    headers = [
        "backend",
        "gradients compared with",
        "largest error",
        "maps: largest difference from the first",
    ]
    return Table(headers, rows, "Certificate, in float64", announced=True)
