"""Write ``results/README.md`` from the records of ``results/comparison``: ``python results/readme.py``."""

import json
from collections.abc import Iterator
from typing import Any

import pandas as pd
import tabulate
from make import FAULTS, FOLDER, OUTPUT, PORTS, SEEDS, STUDIES, STUDIES_FOLDER, TASKS

import harness
from harness.core.documents.numbers import NOTHING, estimate, percent, time_ratio
from harness.core.stats.estimate import Estimate
from harness.learning.runs.configuration_summary import ConfigurationSummary
from harness.learning.study.answer import headline

tabulate.MIN_PADDING = 0
ANSWERS = FOLDER / "answers.json"
FRAMEWORKS = {"torch": "PyTorch", "keras": "Keras", "jax": "JAX"}
TEXT = """# Results

One comparison, made by [`make.py`](make.py) at commit {commit} on {machine}.
`comparison/` holds its records, and `comparison/output/` what each command printed. Records of runs have the
scores of their best and last epoch, and no losses of single steps.

## Eight tasks in three frameworks

Test scores are means over {seeds} seeds with 95 % intervals, from the same initial weights and batches, and certified in
float64. Step times relative to PyTorch's are from duels on one thread, in each framework's default mode.
{busy}{later}

{tasks}

## Gates with planted faults, and ports

Base is the step in [`planted/step.py`](planted/step.py), head the same step with one fault.

{gates}

{ports}

## Studies

In their short form, which shows the question and is not to be cited; in PyTorch, 8 seeds. Their runs are not kept here.

{studies}

## Repeat it

```sh
python3 -m venv .venv && .venv/bin/pip install -e ".[all]" && . .venv/bin/activate
harness reproduce {duel}
harness reproduce {gate}
```

With `comparison/` moved away, `python results/make.py` makes all of it again, and `python results/readme.py` this page.
`trials/` holds the trials of [Calibration](../docs/explanation/calibration.md).
"""  # noqa: E501  the page is wrapped at 120


def tasks(duels: pd.DataFrame) -> Iterator[dict[str, str]]:
    """Yield for each task its scores in all frameworks, whether these are equal, and its duel."""
    for task in TASKS:
        (group,) = harness.compare(f"task={task}", results=FOLDER).findings.groups
        measure = group.comparison.measure
        scores = {backend_of(each): each.quality for each in group.comparison.summaries}
        verdicts = {backend_of(pair.other): pair.quality_verdict for pair in group.comparison.pairs}
        row = {"task": f"`{task}`", "test score": measure.name + " (%)" * (measure.unit == "points")}
        row |= {name: estimate(scores.get(backend), None) for backend, name in FRAMEWORKS.items()}
        named = [f"{FRAMEWORKS[backend]} {verdict}" for backend, verdict in verdicts.items()]
        row["quality"] = "equal" if {*verdicts.values()} == {"equal"} else ", ".join(named)
        of_task = duels[duels.task == task].set_index("backend")
        for backend in ("keras", "jax"):
            timed = backend in of_task.index
            row[f"time, {FRAMEWORKS[backend]}"] = ratio_text(of_task.loc[backend]) if timed else "not timed"
        yield row


def backend_of(summary: ConfigurationSummary) -> str:
    """Return the name of the backend of a configuration."""
    return summary.configuration.runs[0].record.configuration.backend


def ratio_text(row: pd.Series) -> str:
    """Return the ratio of a row with its interval, and that its verdict is open."""
    is_open = " (undecided)" * (row["verdict"] in {"undecided", "INCONCLUSIVE"})
    return f"{time_ratio(Estimate(*row[['ratio', 'ratio_low', 'ratio_high']], 0))}{is_open}"


def gates(of_all: pd.DataFrame) -> Iterator[dict[str, str]]:
    """Yield the verdict on each planted fault, with the changes of the metrics."""
    for fault, (_, of_gate) in zip(FAULTS, of_all.sort_values("started_at").groupby("id"), strict=True):
        changes = of_gate.set_index("metric")
        row = {"fault": fault, "verdict": of_gate.gate_verdict.iloc[0]}
        for metric in ("step", "first step", "memory"):
            timed = metric in changes.index  # other values end a gate before anything is timed
            row[metric] = ratio_text(changes.loc[metric]) if timed else NOTHING
        yield row


def first_line(step: str) -> str:
    """Return the first line that the command of *step* printed."""
    return (OUTPUT / f"{step}.txt").read_text().splitlines()[1]


def answers() -> dict[str, str]:
    """Return the answer of each study, from its records or, where these are not kept, as stored before."""
    if not STUDIES_FOLDER.is_dir():
        stored: dict[str, str] = json.loads(ANSWERS.read_text())
        return stored
    found = {}
    for kind in STUDIES:
        (finding,) = harness.study(kind, STUDIES_FOLDER).findings
        found[kind] = headline(finding)
    ANSWERS.write_text(json.dumps(found, indent=1, ensure_ascii=False) + "\n")
    return found


def table(rows: Iterator[dict[str, str]]) -> str:
    """Return rows as a table in Markdown."""
    return pd.DataFrame(list(rows)).to_markdown(index=False)


def example(pattern: str) -> str:
    """Return the first record of this pattern, as a path in the repository."""
    return str(min(FOLDER.glob(pattern)).relative_to(FOLDER.parents[1]))


def busy(duels: list[dict[str, Any]]) -> str:
    """State how much of a CPU other programs used in the blocks of the duels."""
    blocks = [block for duel in duels for pair in duel["pairs"] for block in pair["blocks"]]
    seconds = sum(block["seconds"] for block in blocks)
    used = sum(block["others_seconds"] for block in blocks)
    return f"The machine was shared: other programs used {percent(used / seconds)} of a CPU meanwhile."


def later(duels: list[dict[str, Any]], usual: str) -> str:
    """Name the duels that were made at another commit than all else; empty if there are none."""
    made = {each["task"]["name"]: each["machine"]["git"]["commit"] for each in duels}
    named = [f"`{task}` at {commit[:12]}" for task, commit in made.items() if commit != usual]
    if not named:
        return ""
    return (
        f" Made later: the duel of {' and that of '.join(named)}. In the others JAX still ran many "
        "steps in one compiled loop, which is faster on a CPU than a call for each step."
    )


def page() -> str:
    """Return the page."""
    records = [json.loads(path.read_text()) for path in sorted(FOLDER.glob("duels/*.json"))]
    newest, commit = records[-1], records[0]["machine"]["git"]["commit"]
    machine = newest["machine"]
    framework = {
        name: version for each in newest["configurations"] for name, version in each["framework"].items()
    }
    versions = ", ".join(f"{name} {framework[name]}" for name in ("torch", "keras", "tensorflow", "jax"))
    return TEXT.format(
        commit=commit[:12],
        machine=f"{machine['physical_cores']} cores of an {machine['cpu']}, with {versions}",
        seeds=SEEDS,
        busy=busy(records),
        later=later(records, commit),
        tasks=table(tasks(harness.load_duels(FOLDER))),
        gates=table(gates(harness.load_gates(FOLDER))),
        ports="\n".join(f"- {first_line(f'port-{name}')}" for name in PORTS),
        studies="\n".join(f"- {kind}: {text}." for kind, text in answers().items()),
        duel=example("duels/*-mlp-*.json"),
        gate=example("gates/*.json"),
    )


if __name__ == "__main__":
    (FOLDER.parent / "README.md").write_text(page())
