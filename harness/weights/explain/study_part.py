"""The part of a study's page about explanations: agreement of maps, randomised layers, and their curves."""

from collections.abc import Iterator, Mapping, Sequence

import numpy as np

from harness.core.documents.charts import GREY, PALETTE, Row, field, layer, layered, scaled, tips
from harness.core.documents.document import Cell, Figure, Node, Paragraph, Span, Table
from harness.core.documents.numbers import capitalised, estimate, listed
from harness.core.stats.estimate import Estimate
from harness.learning.runs.run_curves import Run
from harness.learning.study.finding import StudyFinding
from harness.learning.study.parts import Content, Part
from harness.learning.study.quantities import measure, of_runs
from harness.weights.explain.agreement import (
    MARGIN,
    SURVIVES,
    Agreement,
    Survival,
    agreements,
    networks_of,
    survivals,
)
from harness.weights.explain.record import ExplainedNetwork, explained_network

#: The method of explanation whose numbers are quantities.
_MAIN_METHOD = "integrated gradients"


_AGREEMENT_WORDS: Mapping[str, str] = {
    "as much": "agree between frameworks as much as between seeds",
    "less": "agree less between frameworks than between seeds",
    "more": "agree more between frameworks than between seeds",
    "undecided": "may agree less or more between frameworks than between seeds; more seeds would decide",
    "few": "need at least three seeds for an interval",
    "one framework": "are of one framework; name several with --backend",
}


def _agreement_table(found: Sequence[Agreement]) -> Table:
    rows = [
        [
            each.method,
            *(estimate(value, 2) for value in (each.seeds, each.frameworks, each.same_seed)),
            estimate(each.difference, 2, sign=True),
            each.verdict,
        ]
        for each in found
    ]
    headers = [
        "method",
        "between seeds",
        "between frameworks",
        "frameworks, same seed",
        "difference",
        "verdict",
    ]
    legend = (
        "Spearman's rank correlation of the maps of the same test samples: 1 is the same order of all "
        "positions, 0 none in common. Between seeds: of one framework, of networks with different seeds. "
        "Between frameworks: with different seeds, too. Intervals leave out a seed at a time. As much: the "
        f"difference is certainly below {MARGIN:g}."
    )
    return Table(headers, rows, "Agreement of networks trained apart", (legend,), announced=True)


def _survival_table(left: Sequence[Survival]) -> Table:
    layers = [layer for layer, _ in left[0].layers]
    rows: list[list[Cell | str]] = []
    for each in left:
        courses = [estimate(Estimate(value, None, None, 1), 2) for _, value in each.layers]
        verdict = Cell("survives", "bad") if each.is_flagged else Cell("depends on the weights", "good")
        rows.append([each.method, *courses, estimate(each.last, 2), verdict])
    headers = ["method", *(f"to {layer}" for layer in layers), "all layers", "verdict"]
    legend = (
        "Rank correlation of a map before and after layers were re-initialised, from the last layer down to "
        f"the one that is named (Adebayo et al. 2018). From {SURVIVES:g} on, with all layers re-initialised, "
        "a map is flagged."
    )
    return Table(headers, rows, "Randomised layers", (legend,), announced=True)


def agreement_text(found: Sequence[Agreement]) -> str:
    """State the verdict on each method; methods with the same verdict share a clause."""
    verdicts: dict[str, list[str]] = {}
    for each in found:
        verdicts.setdefault(each.verdict, []).append(each.method)
    if len(verdicts) == 1:
        return f"maps of networks trained apart {_AGREEMENT_WORDS[found[0].verdict]}"
    parts = [f"{listed(methods)} {_AGREEMENT_WORDS[verdict]}" for verdict, methods in verdicts.items()]
    return f"of networks trained apart, maps of {'; those of '.join(parts)}"


def _content(study: StudyFinding) -> Content | None:
    """State how much maps agree, and which of them depend on what the network has learned."""
    left = survivals(study)
    if not left:
        return None
    nodes: list[Node] = []
    if _speaks_for_all(study):
        found = agreements(networks_of(study.group.configurations))
        sentence = agreement_text(found)
        nodes += [Paragraph((Span(f"{sentence[:1].upper()}{sentence[1:]}."),)), _agreement_table(found)]
    flagged = [each.method for each in left if each.is_flagged]
    text = (
        f"The maps of {listed(flagged)} survive: they do not depend on what the network has learned."
        if flagged
        else "No map survives re-initialised layers: they depend on what the network has learned."
    )
    nodes += [Paragraph((Span(text),)), _survival_table(left)]
    return Content("Do explanations agree, and do they depend on the network?", nodes)


def _charts(study: StudyFinding, prefix: str) -> Iterator[Figure]:
    """Draw the curves of deletion and insertion: the mean output over seeds, by the share of positions."""
    every = [explained_network(run.record) for run in study.configuration.runs]
    networks = [network for network in every if network is not None]
    words = {"deletion": ("removed", "falls"), "insertion": ("restored", "rises")}
    for curve, (done, course) in words.items() if networks else ():
        rows: list[Row] = []
        courses = {
            name: [getattr(each.methods[name], curve) for each in networks] for name in networks[0].methods
        }
        courses["random order"] = [getattr(each, f"chance_{curve}") for each in networks]
        for name, values in courses.items():
            means = np.mean(values, axis=0).tolist()
            rows += [
                {"method": name, "share": 100 * place / (len(means) - 1), "output": mean}
                for place, mean in enumerate(means)
            ]
        colours = dict(zip(courses, [*PALETTE[: len(courses) - 1], GREY], strict=True))
        lines = layer(
            "line",
            {"point": True},
            x=field("share:Q", title=f"{done} positions (%)"),
            y=field("output:Q", title="output", scale={"zero": False}),
            color=scaled("method:N", colours, legend={"columns": 2}),
            tooltip=tips("method:N", "share:Q", "output:Q"),
        )
        caption = f"The most relevant positions come first: the better a map, the faster its curve {course}."
        title = f"{capitalised(curve)} by maps of the right class"
        yield Figure(f"{prefix}-{curve}", caption, layered(rows, lines), title)


def _headline(study: StudyFinding, task: str) -> str | None:
    """State the agreement in the headline of the first configuration, for all of them together."""
    if not _speaks_for_all(study):
        return None
    found = agreements(networks_of(study.group.configurations))
    return f"{task}: {agreement_text(found)}" if found else None


def _speaks_for_all(study: StudyFinding) -> bool:
    """Check that a configuration is the first, whose part states what holds for all of them together."""
    return study.configuration is study.group.configurations[0]


def _explained(run: Run, _best: bool) -> ExplainedNetwork | None:
    return explained_network(run.record)


def _mean_difference(first: Sequence[float], second: Sequence[float]) -> float:
    return float(np.mean(np.subtract(first, second)))


def _deletion_gain(network: ExplainedNetwork) -> float:
    return _mean_difference(network.chance_deletion, network.methods[_MAIN_METHOD].deletion)


def _insertion_gain(network: ExplainedNetwork) -> float:
    return _mean_difference(network.methods[_MAIN_METHOD].insertion, network.chance_insertion)


def _survival(network: ExplainedNetwork) -> float | None:
    return network.methods[_MAIN_METHOD].randomised[-1][1]


PARTS = (
    Part(
        "explanations",
        "agreement of explanations; each run explains its network at its end",
        _content,
        _charts,
        quantities={
            "deletion gain": of_runs(
                measure("deletion gain", higher=True), _explained, _deletion_gain, signed=True
            ),
            "insertion gain": of_runs(
                measure("insertion gain", higher=True), _explained, _insertion_gain, signed=True
            ),
            "survival": of_runs(
                measure("correlation with randomised layers"), _explained, _survival, signed=True, largest=1.0
            ),
        },
        works=("explanations",),
        headline=_headline,
    ),
)
