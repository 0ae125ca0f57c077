"""Short texts about a run, for tables and lines of progress."""

from harness.core.certify.page import IN_FLOAT32, certificate_label
from harness.core.documents.kinds import Status
from harness.core.documents.numbers import NOTHING, score_value
from harness.core.plugins.installation import identifying_versions
from harness.core.runs.record import Evaluation, Failure, Making, Record
from harness.core.training.measures import measure_of_task


def certificate_cell(record: Record) -> str:
    """Return ``yes``, ``without dropout``, ``in float32`` or ``no``, for a column headed *certified*.

    The work of a run that failed is not certified, whatever its certificate says.
    """
    label = certificate_label(None if record.status == "failed" else record.certificate)
    short = {"certified": "yes", "not certified": "no", IN_FLOAT32: "in float32"}
    return short.get(label, label.removeprefix("certified "))


def failure_text(status: Status, failure: Failure) -> str:
    """Return ``failed: no memory``; the message of an interrupted run states its status."""
    return failure.message if status == "interrupted" else f"{status}: {failure.message}"


def test_score(record: Record) -> str:
    """Return the name and value of a run's test score after the last epoch: ``accuracy 48.6 %``."""
    measure = measure_of_task(record.task.description)
    return f"{measure.name} {score_value(measure, record.test_at_last)}"


def framework_text(backend: str, framework: dict[str, str]) -> str:
    """Return the versions that distinguish configurations of one backend, a line each."""
    versions = identifying_versions(backend, framework)
    lines = [f"{name} {version}" for name, version in versions.items()]
    return "\n".join(lines) or framework.get("engine", NOTHING)


def making_text(making: Making | None) -> str:
    """Return how the process of a run was made, and what shared the machine with it."""
    if making is None:
        return "fresh, alone: times are judged"
    at_once = f"{making.jobs} at once: " if making.jobs > 1 else ""
    repeated = {
        None: "",
        "equal": "\nrepeated in a fresh process: equal, bit for bit",
        "not repeatable": "\nrepeated in fresh processes: these differ, too",
    }
    return f"{making.process}, {at_once}times are not judged{repeated[making.repeated]}"


def evaluation_text(evaluation: Evaluation) -> str:
    """Return ``every 5 epochs, 500 samples``: when runs are scored during training, and on how much data."""
    if evaluation.every_epochs is None:
        return "none"
    every = "every epoch" if evaluation.every_epochs == 1 else f"every {evaluation.every_epochs} epochs"
    return every if evaluation.samples is None else f"{every}, {evaluation.samples:,} samples"
