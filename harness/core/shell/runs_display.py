"""The display of runs and of the certificates before them, on this machine or on nodes."""

import math
import time
from collections.abc import Iterable, Sequence
from typing import Self

from rich.progress import Progress, SpinnerColumn, TaskID, TextColumn
from rich.table import Column

from harness.core.certify.page import certificate_label
from harness.core.documents.numbers import counted, score_value, significant
from harness.core.runs.events import (
    CertificationEvent,
    Certified,
    Examined,
    Finished,
    Phase,
    RunEvent,
    RunObserver,
    Scored,
    Trained,
)
from harness.core.runs.record import DatasetRecord, Record
from harness.core.runs.request import RunRequest
from harness.core.runs.sharing import SharedRuns
from harness.core.runs.words import failure_text, test_score
from harness.core.shell.console import console, print_line
from harness.core.shell.executors import ReadyNode
from harness.core.training.measures import measure_of_task
from harness.spec.task import Adversarial, Task

#: The spinner and the space after it.
_SPINNER_WIDTH = 2
#: Without a terminal, the least time between two lines about work under way.
_QUIET_SECONDS = 10.0
#: A certificate that takes longer was not in the cache: its time is worth a line.
_CACHED_SECONDS = 1.0


class RunsDisplay:
    """Shows runs: a live part on a terminal, and permanent lines.

    A display observes a sequence of runs, and with ``on_nodes`` the runs of several nodes: see
    :class:`harness.core.shell.executors.NodesObserver`. This machine is a node without a name; with ``jobs``
    it has as many nodes, whose names are numbers.
    """

    def __init__(
        self,
        requests: Sequence[RunRequest],
        *,
        quiet: bool,
        on_nodes: bool = False,
        jobs: int | None = None,
    ) -> None:
        several = on_nodes or jobs is not None
        self._jobs = None if on_nodes else jobs
        #: Runs that share a node have places there, each a node by its own name.
        self._noun = "place" if on_nodes and jobs is not None else "node"
        self._console = console(quiet=quiet)
        self._printed = time.monotonic() if several else -math.inf
        self._runs = len(requests)
        self._begun = self._ended = 0
        self._live = self._console.is_terminal and not quiet
        self._progress = Progress(
            SpinnerColumn(),
            TextColumn("{task.description}", markup=False, table_column=Column(overflow="fold")),
            console=self._console,
            disable=not self._live,
            transient=True,
        )
        first = self._progress.add_task("waiting for nodes" if on_nodes else "", total=None)
        #: Lines of the live part: a line for each node, and of several nodes a line for all.
        self._rows: dict[str, TaskID] = {} if several else {"": first}
        self._whole = first

    def __enter__(self) -> Self:
        self._progress.start()
        return self

    def __exit__(self, *_error: object) -> None:
        self._progress.stop()

    def say(self, text: str) -> None:
        """Print a permanent line."""
        self._printed = time.monotonic()
        print_line(self._console, text)

    def announce(self, plan: str | None, shared: SharedRuns) -> None:
        """Print the plan and the number of recorded runs of ``shared``.

        Without a ``plan`` the runs are a part of a larger plan, and recorded runs are not mentioned.
        """
        if plan:
            self.say(plan)
        if shared.reused and plan is not None:
            self.say(f"{reuse_text(shared)} (harness run --fresh repeats them)")
        for text in stand_in_texts(run.request.dataset for run in shared.left):
            self.say(text)

    def joined(self, node: ReadyNode) -> None:
        """See :class:`harness.core.shell.executors.NodesObserver`."""
        if node.name not in self._rows:
            self._rows[node.name] = self._progress.add_task("", total=None)
        for reason in node.lacking.values():
            self.say(f"node {node.name}: {reason}; such runs go to other nodes")

    def lost(self, node: str, reason: str, *, again: RunRequest | None) -> None:
        """See :class:`harness.core.shell.executors.NodesObserver`."""
        if (row := self._rows.pop(node, None)) is not None:
            self._progress.remove_task(row)
        self._begun -= again is not None
        self.say(f"node {node} is lost: {reason}" + (f"; {_name(again)} begins again" if again else ""))

    def begin(self, node: str, request: RunRequest) -> RunObserver:
        """See :class:`harness.core.runs.sequence.SequenceObserver`."""
        name = self._next_name(request)
        if self._jobs and node not in self._rows:
            self._rows[node] = self._progress.add_task("", total=None)
        if node and not self._live and not self._jobs:
            self.say(f"{name}: begins on {node}")
        self.update(node, name, "beginning" if node else "starting a worker")
        return RunLine(self, node, name, request.task)

    def recorded_elsewhere(self, request: RunRequest, record: Record) -> None:
        """See :class:`harness.core.runs.sequence.SequenceObserver`."""
        self._ended += 1
        self.say(f"{self._next_name(request)}: {record.status}, by another process")

    def waiting(self, runs: int) -> None:
        """See :class:`harness.core.runs.sequence.SequenceObserver`."""
        text = f"waiting for {runs} run{'s' * (runs > 1)}"
        if "" in self._rows:
            self.update("", f"{text} of other processes")
        else:
            self._progress.update(self._whole, description=text)

    def certificate(self, node: str, event: CertificationEvent) -> None:
        """See :class:`harness.core.shell.executors.NodesObserver`."""
        match event:
            case Examined(configuration, task, cases, of):
                done = f"comparing with the reference in float64, {cases} of {of} cases"
                self.update(node, f"certifying {configuration.label} on {task}", done)
            case Certified(configuration, task, certificate, seconds):
                if seconds > _CACHED_SECONDS and (node or self._live):
                    outcome = f"{certificate_label(certificate)} in {seconds:.0f} s"
                    self.say(f"{configuration.label} on {task}: {self._on(outcome, node)}")

    def update(self, node: str, name: str, *details: str) -> None:
        """Show work under way. ``name`` is never cut; details that are empty or do not fit are left out."""
        shown = [detail for detail in details if detail]
        if node:
            self._show(node, f"{node}: {name}", shown)
            self._show_whole()
            return
        if self._live:
            self._show(node, name, shown)
        elif self._is_due():
            self.say(": ".join(filter(None, [name, ", ".join(shown)])))

    def end(self, node: str, outcome: str) -> None:
        """Print the outcome of the run of a node, which has ended."""
        if node:
            self.update(node, "idle")
        self._ended += 1
        self.say(self._on(outcome, node))
        if node:
            self._show_whole()

    def _on(self, outcome: str, node: str) -> str:
        return f"{outcome}, on {node}" if node and not self._jobs else outcome

    def _next_name(self, request: RunRequest) -> str:
        """Return the name of a run with its number among all runs."""
        self._begun += 1
        return (f"[{self._begun}/{self._runs}] " if self._runs > 1 else "") + _name(request)

    def _show(self, node: str, name: str, details: Sequence[str]) -> None:
        """Replace the line of a node, unless it is lost."""
        if (row := self._rows.get(node)) is not None:
            width = self._console.width - _SPINNER_WIDTH
            self._progress.update(row, description=fitted(name, details, width))

    def _show_whole(self) -> None:
        """Show how many runs have ended; without a terminal every ten seconds."""
        nodes = len(self._rows)
        at = f"{self._jobs} at once" if self._jobs else counted(nodes, self._noun)
        text = f"{self._ended} of {self._runs} runs ended, {at}"
        if self._live:
            self._progress.update(self._whole, description=text)
        elif self._is_due() and self._ended < self._runs:
            self.say(text)

    def _is_due(self) -> bool:
        """Check that, without a terminal, a line about work under way may be printed."""
        return not self._live and time.monotonic() - self._printed >= _QUIET_SECONDS


def reuse_text(shared: SharedRuns) -> str:
    """Return ``8 of 12 runs are already recorded``."""
    return f"{shared.reused} of {shared.total} runs are already recorded"


def stand_in_texts(datasets: Iterable[DatasetRecord]) -> list[str]:
    """Return a sentence for each data set that replaces another, with the reason."""
    return [
        f"Data set {dataset.stands_in_for} is not available, {dataset.name} is used instead: {dataset.reason}"
        for dataset in {each.name: each for each in datasets if each.stands_in_for}.values()
    ]


def fitted(name: str, details: Sequence[str], width: int) -> str:
    """Return ``name: detail, detail`` with the details, in their order, that fit the width."""
    text = name
    for detail in details:
        longer = f"{text}{': ' if text == name else ', '}{detail}"
        if len(longer) <= width:
            text = longer
    return text


def _name(request: RunRequest) -> str:
    variant = f" ({request.variant})" if request.variant else ""
    return f"{request.task.name} {request.configuration.label} seed {request.seed}{variant}"


class RunLine:
    """One run on the display: a :class:`harness.core.runs.events.RunObserver`."""

    def __init__(self, display: RunsDisplay, node: str, name: str, task: Task) -> None:
        self._display = display
        self._node = node
        self._name = name
        self._epochs = task.epochs
        self._measure = measure_of_task(task)
        self._loss = "generator loss" if isinstance(task.objective, Adversarial) else "loss"
        self._score = ""
        self._epoch = ""

    def __call__(self, event: RunEvent) -> None:
        """Show an event. The start of a run needs no line: phases show it."""
        match event:
            case Phase(name):
                self._display.update(self._node, self._name, ", ".join(filter(None, (self._epoch, name))))
            case Trained():
                self._trained(event)
            case Scored(epoch):
                score = score_value(self._measure, epoch.validation)
                self._score = f"validation {self._measure.name} {score}"
            case Finished(record):
                self._display.end(self._node, f"{self._name}: {_outcome(record)}")

    def _trained(self, event: Trained) -> None:
        self._epoch = f"epoch {event.epoch}/{self._epochs}"
        loss = f"{self._loss} {significant(event.loss)}"
        speed = f"{1 / event.step_seconds:.1f} steps/s" if event.step_seconds else ""
        self._display.update(self._node, self._name, self._epoch, loss, self._score, speed)


def _outcome(record: Record) -> str:
    if record.failure is None:
        return f"test {test_score(record)}"
    if record.status == "unsupported":
        return record.status  # the result states the reason
    return failure_text(record.status, record.failure)
