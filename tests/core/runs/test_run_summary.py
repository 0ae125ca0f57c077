"""The end of ``harness run``: a line for each run, a comparison of configurations, and remarks."""

from pathlib import Path

import pytest
from harness.core.documents.views import VIEWS
from support.made_runs import made_record, made_runs, made_setting, seeds_of
from support.outline import outline
from support.records import make_record, reconfigured

from harness.core.audit.findings import Clock
from harness.core.certify.certificate import Certificate
from harness.core.documents.document import Document
from harness.core.documents.render.terminal import terminal_text
from harness.core.machine.usage import Interference
from harness.core.runs.frames import runs_frame
from harness.core.runs.page import (
    record_document,
    runs_table,
    summary_document,
)
from harness.core.runs.record import (
    DatasetRecord,
    Failure,
    LostAttempt,
    Phases,
)
from harness.learning.runs.tables import runs_list

FOLDER = Path("results") / "runs"


def not_confirmed(others_share):
    return Clock(
        outcome="not confirmed",
        fault="missing time",
        calls=30,
        reported_seconds=1.5,
        observed_seconds=3.0,
        delay_seconds=0.1,
        others_share=others_share,
    )


def failed(backend="torch", message="the worker process exited with code 7", **changes):
    nothing = {"test_at_last": None, "blocks": [], "epochs": [], "status": "failed"}
    failure = Failure(message, last_lines=list("abcdefg"))
    return made_record(backend, failure=failure, **(nothing | changes))


def scoring(seconds):
    phases = Phases(training_seconds=1.2, evaluation_seconds=seconds)
    return [made_record(step=0.012, accuracy=0.942, phases=phases)]


GRID = [
    record
    for name in ("adam", "sgd")
    for rate in (0.1, 0.2)
    for record in seeds_of(made=made_setting, optimizer=name, learning_rate=rate, accuracy=0.5 + rate)
]
#: Records of runs, by what there is to say about them.
RUNS = {
    "one": scoring(0.0),
    "some scoring": scoring(0.3),
    "much scoring": scoring(3.6),
    "one of two failed": [made_record(), failed(seed=1)],
    "none succeeded": [failed(name, "no memory") for name in ("torch", "keras")],
    "two backends": [
        made_record(backend, seed, step=step)
        for seed in (0, 1)
        for backend, step in (("keras", 0.03), ("torch", 0.01))
    ],
    "what limits the result": [
        made_record(
            certificate=Certificate(certified=False, reason="case 'sgd': the loss differs"),
            interference=Interference(cpus=2, others=1.5, stolen=0.0),
            dataset=DatasetRecord("digits", "f" * 64, stands_in_for="cifar10", reason="no network"),
        )
    ],
    "clock": [made_record(clock=not_confirmed(0.4))],
    "two clocks": [
        made_record("torch", clock=not_confirmed(0.4)),
        made_record("jax", seed=1, clock=not_confirmed(0.6)),
    ],
    "a grid": GRID,
    "a grid on two backends": [*GRID, *(reconfigured(record, backend="jax") for record in GRID)],
}


@pytest.mark.parametrize("name", RUNS)
def test_the_summary(name, snapshot):
    *others, last = RUNS[name]
    text = terminal_text(summary_document(RUNS[name], FOLDER), 200)
    ending = f"{'Records' if others else 'Record'}: results/runs/{last.id}.json"
    assert ending in text
    assert text.replace(last.id, "ID") == snapshot


def test_commands_that_are_suggested_name_a_results_folder_other_than_the_default():
    text = terminal_text(summary_document(seeds_of(seeds=range(2)), Path("my results") / "runs"), 200)
    option = "--results 'my results'"
    assert text.endswith(f"harness show last {option}, harness compare {option}")


def test_nodes_that_were_lost_before_are_listed():
    attempt = LostAttempt("beta (3f2a1c09d4e7)", "it no longer answers", 3)
    assert "3f2a1c09d4e7" in outline(record_document(make_record(lost_attempts=[attempt])))


# Times of runs during which others used the machine are marked in every form.


BUSY = made_record(interference=Interference(cpus=2, others=1.7, stolen=0.0, seconds=60.0))
CALM = made_record(interference=Interference(cpus=2, others=0.01, stolen=0.0, seconds=60.0))


def _summary(record):
    return outline(summary_document([record], FOLDER)).replace("\N{NO-BREAK SPACE}", " ")


_FORMS = {
    "list results": (lambda record: VIEWS["run"].row(record).outcome.replace("\xa0", " "), 1),
    "show": (lambda record: outline(Document("run", "Runs", [runs_table([record])])), 6),
    "run": (_summary, 3),  # two times and the legend
    "page": (lambda record: "\n".join(map(str, runs_list(made_runs(record)).rows[0])), 2),
}


@pytest.mark.parametrize("form", _FORMS)
def test_every_time_is_marked(form):
    text, count = _FORMS[form]
    assert text(BUSY).count("(busy)") == count
    assert "(busy)" not in text(CALM)


def test_tables_have_a_column():
    assert runs_frame([BUSY, CALM, made_record()])["disturbed"].tolist() == [True, False, None]
