"""Findings for a paper: tables and a paragraph of method in LaTeX, and the sources it cites in BibTeX."""

from collections.abc import Iterator, Mapping
from importlib import metadata
from pathlib import Path

from harness.core.certify.page import certificate_label
from harness.core.documents.document import Table
from harness.core.documents.files import write_text
from harness.core.documents.numbers import counted, listed, seeds_each
from harness.core.documents.render.latex import for_latex, latex_table
from harness.core.documents.views import View
from harness.learning.runs.comparison import Comparison
from harness.learning.runs.findings import Findings, GroupFindings
from harness.learning.runs.quality_text import margin_text
from harness.learning.runs.sentences import SHOWN_GROUPS, headline
from harness.learning.runs.tables import differences_table, group_table
from harness.learning.runs.trained import trained_text

#: The sources that a paragraph may cite, by their keys.
_SOURCES = {
    "dlharness": """\
@software{dlharness,
  author = {{The dl-harness authors}},
  title = {dl-harness: benchmarks of deep-learning frameworks that prove the same work first, then time it},
  version = {VERSION},
  year = {2026},
}""",
    "dunn1961": """\
@article{dunn1961,
  author = {Dunn, Olive Jean},
  title = {Multiple comparisons among means},
  journal = {Journal of the American Statistical Association},
  volume = {56}, number = {293}, pages = {52--64}, year = {1961},
}""",
    "satterthwaite1946": """\
@article{satterthwaite1946,
  author = {Satterthwaite, F. E.},
  title = {An approximate distribution of estimates of variance components},
  journal = {Biometrics Bulletin},
  volume = {2}, number = {6}, pages = {110--114}, year = {1946},
}""",
    "schuirmann1987": """\
@article{schuirmann1987,
  author = {Schuirmann, Donald J.},
  title = {A comparison of the two one-sided tests procedure and the power approach for assessing the
           equivalence of average bioavailability},
  journal = {Journal of Pharmacokinetics and Biopharmaceutics},
  volume = {15}, number = {6}, pages = {657--680}, year = {1987},
}""",
    "searle1992": """\
@book{searle1992,
  author = {Searle, Shayle R. and Casella, George and McCulloch, Charles E.},
  title = {Variance Components},
  publisher = {Wiley}, year = {1992},
}""",
    "student1908": """\
@article{student1908,
  author = {{Student}},
  title = {The probable error of a mean},
  journal = {Biometrika},
  volume = {6}, number = {1}, pages = {1--25}, year = {1908},
}""",
}


def write_paper(findings: Findings, path: Path, view: View = View()) -> list[Path]:  # noqa: B008  immutable
    """Write tables and method for LaTeX's ``input``, and a file of sources beside it; returns both paths."""
    sources = path.with_suffix(".bib")
    write_text(path, latex(findings, sources.stem, view))
    write_text(sources, bibliography(), named=False)
    return [path, sources]


def bibliography() -> str:
    """Return every source that a paragraph may cite, in BibTeX."""
    version = metadata.version("dl-harness")
    return "\n\n".join(source.replace("VERSION", version) for source in _SOURCES.values()) + "\n"


def latex(findings: Findings, sources: str, view: View) -> str:
    """Write the method and the tables of each group of runs, and the table of each further section."""
    packages = "\\usepackage{booktabs,graphicx,amssymb}"
    parts = [f"% Written by harness report. Needs {packages}; the sources are in {sources}.bib."]
    groups = [(group, _tables_of(group, number)) for number, group in _shown(findings)]
    sections = {
        f"tab:harness-{section.prefix}-{number}": section
        for number, section in enumerate(findings.sections, 1)
    }
    every = [table for _, tables in groups for table in tables.values()]
    view.refuse_unknown([*every, *(section.table for section in sections.values())])
    for group, tables in groups:
        title, comparison = for_latex(group.comparison.group.title), group.comparison
        parts += [rf"\paragraph{{{title}}}", for_latex(headline(comparison)), method(comparison)]
        parts += _in_latex(tables, view)
    for label, section in sections.items():
        parts += [rf"\paragraph{{{for_latex(section.title)}}}", for_latex(section.sentence)]
        parts += _in_latex({label: section.table}, view)
    return "\n\n".join(parts) + "\n"


def _shown(findings: Findings) -> Iterator[tuple[int, GroupFindings]]:
    return enumerate(findings.groups[:SHOWN_GROUPS], 1)


def _tables_of(group: GroupFindings, number: int) -> dict[str, Table]:
    """Return the tables of a group by their labels."""
    label, table = f"tab:harness-{number}", group_table(group)
    differences = differences_table(group.comparison)
    title = f"{table.title} ({group.comparison.group.title})"
    return {label: table._replace(title=title)} | (
        {f"{label}-differences": differences} if differences else {}
    )


def _in_latex(tables: Mapping[str, Table], view: View) -> list[str]:
    shown = zip(tables, view.tables(tables.values()), strict=True)
    return [latex_table(table, label) for label, table in shown if table.rows]


def method(comparison: Comparison) -> str:
    """Describe how the runs of a comparison were made and compared, with citations."""
    return " ".join([*_trained(comparison), *_compared(comparison)])


def _trained(comparison: Comparison) -> list[str]:
    group = comparison.group
    record = group.record
    repeated = seeds_each(len(configuration.runs) for configuration in group.configurations)
    names = listed([configuration.name for configuration in group.configurations])
    counts_of = {"training" if split == "train" else split: n for split, n in record.dataset.samples.items()}
    samples = listed([f"{count:,} {split}" for split, count in counts_of.items()] or ["unknown"])
    size = record.task.description.batch_size
    batches = f"batches of {size:,}" if size else "full batches"
    steps = f" (at most {record.max_steps:,} steps)" if record.max_steps else ""
    runs = [run.record for configuration in group.configurations for run in configuration.runs]
    labels = listed(sorted({certificate_label(run.certificate) for run in runs}))
    return [
        for_latex(
            f"The task {record.task.name} was trained on {record.dataset.name} ({samples} samples) for "
            f"{counted(record.epochs_asked, 'epoch')}{steps} in {batches}, on {repeated}, with {names}. "
            f"{trained_text(group)}"
        ),
        for_latex(
            "All runs of a seed start from the same weights and see the same batches in the same order. "
            f"Agreement with a reference in float64: {labels}."
        ),
        for_latex(
            f"Machine: {record.machine.cpu}, {counted(record.configuration.threads, 'thread')}, "
            f"{record.configuration.precision}, on {record.device}."
        ),
        r"Runs were made and compared with dl-harness~\cite{dlharness}.",
    ]


def _compared(comparison: Comparison) -> list[str]:
    pairs, measure = comparison.pairs, comparison.measure
    known = [pair for pair in pairs if pair.quality.difference is not None]
    if not known:
        return []
    reference = for_latex(known[0].reference.name)
    basis = f"Test scores after the last epoch are compared with those of {reference} on the same seeds"
    sentences = [rf"{basis}; brackets are 95\,\% intervals, Student's over seeds~\cite{{student1908}}."]
    if any(pair.quality.population for pair in known):
        sentences.append(
            "Intervals for the population include the choice of the test samples: seeds and samples are "
            r"crossed random effects~\cite{searle1992}, with the degrees of freedom of "
            r"Satterthwaite~\cite{satterthwaite1946}. Verdicts rest on the wider interval."
        )
    margins = {margin_text(pair.quality.margin, measure) for pair in known}
    sentences.append(
        rf"Scores are equal where two one-sided tests at 5\,\%~\cite{{schuirmann1987}} reject a difference "
        f"of {for_latex(listed(sorted(margins)))} or more."
    )
    if comparison.group.is_by_quality:
        kind = "Settings" if comparison.group.is_of_settings else "Configurations"
        sentences.append(
            f"{kind} are ordered by their validation score, in which test data have no part; the intervals "
            r"of the differences hold jointly (Bonferroni~\cite{dunn1961})."
        )
    return sentences
