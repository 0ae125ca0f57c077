"""When two ratios of times agree, and the repetition of duels and gates by that rule.

A ratio that another machine has measured is a claim about two configurations. Both are timed here, and the
two intervals are compared by one rule, :func:`compare_ratios`.
"""

import math
import shlex
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Literal, NamedTuple

from harness.core.documents.numbers import time_ratio
from harness.core.stats.estimate import Estimate
from harness.sharing.reproduce.recorded_command import RecordedCommand
from harness.sharing.reproduce.repetition import Agreement, Repetition, Stored, machine_facts, worst_of
from harness.sharing.reproduce.runs import (
    data_text,
    lacking_backend,
    lacking_code,
    lacking_data,
    lacking_device,
)
from harness.timing.duel.record import DuelRecord, DuelResult
from harness.timing.engine.asked import parsed
from harness.timing.engine.record import ConfigurationRecord
from harness.timing.gate.record import BenchmarkRecord, GateRecord

#: Which configuration is shown to be slower, or that both are the same; ``undecided`` claims nothing.
Direction = Literal["slower", "faster", "same", "undecided"]


class Claim(NamedTuple):
    """A ratio of times with its interval, and what it was shown to mean."""

    direction: Direction
    ratio: Estimate | None


def compare_ratios(theirs: Claim, mine: Claim, margin: float) -> Agreement:
    """Judge whether a ratio measured here confirms the one of a record.

    Where either is undecided, nothing is claimed or shown. A claim *does not hold* if one is shown to be
    slower and the other faster. Two ratios agree in size if their intervals overlap, or lie within
    ``margin``, such as 0.02, of each other: then the claim *holds*. Otherwise it *holds in direction* if both
    are shown to be slower, or both faster; else it *does not hold*.
    """
    figures = f"{time_ratio(theirs.ratio)} there and {time_ratio(mine.ratio)} here"
    undecided = [where for where, claim in (("there", theirs), ("here", mine)) if _is_open(claim)]
    if undecided:
        reason = f"{figures}; undecided {' and '.join(undecided)}"
        return Agreement(verdict="undecided", reasons=[reason])
    is_opposite = {theirs.direction, mine.direction} == {"slower", "faster"}
    if not is_opposite and _overlap(theirs.ratio, mine.ratio, margin):
        return Agreement(verdict="holds", reasons=[figures])
    if theirs.direction == mine.direction != "same":
        return Agreement(
            verdict="holds in direction", reasons=[f"{figures}: {mine.direction} in both, by another factor"]
        )
    return Agreement(
        verdict="does not hold", reasons=[f"{figures}: {theirs.direction} there, {mine.direction} here"]
    )


def _is_open(claim: Claim) -> bool:
    return claim.direction == "undecided" or _interval(claim.ratio) is None


def _interval(ratio: Estimate | None) -> tuple[float, float] | None:
    """Return the interval of a ratio in logarithms; None without one."""
    if ratio is None or not ratio.low or not ratio.high:
        return None
    return math.log(ratio.low), math.log(ratio.high)


def _overlap(one: Estimate | None, other: Estimate | None, margin: float) -> bool:
    """Check that two intervals overlap, or lie within ``margin`` of each other."""
    ours, theirs = _interval(one), _interval(other)
    if ours is None or theirs is None:
        return False
    return max(ours[0], theirs[0]) - min(ours[1], theirs[1]) <= math.log1p(margin)


def _lacking(configurations: Sequence[ConfigurationRecord], *, of_task: bool) -> Iterator[str]:
    for each in configurations:
        if of_task:
            yield from lacking_backend(each.configuration.backend, each.configuration.mode)
        yield from lacking_device(each.device)


def _facts(configurations: Sequence[ConfigurationRecord]) -> dict[str, str]:
    """Return the versions in each configuration, and how it ran; of equal facts one."""
    facts: dict[str, dict[str, None]] = {}
    for each in configurations:
        named = {**each.framework, "threads": str(each.configuration.threads), "device": each.device}
        for name, value in named.items():
            facts.setdefault(name, {})[value] = None
    return {name: ", ".join(values) for name, values in facts.items()}


class DuelRepetition(Repetition[DuelRecord]):
    """Duels: the recorded command again, with the configurations, threads and data that the record has."""

    commands = ("duel",)

    def lacking(self, stored: Stored[DuelRecord]) -> Iterator[str]:
        """See :meth:`Repetition.lacking`."""
        record = stored.record
        command = RecordedCommand(record.command, self.commands)
        yield from _lacking(record.configurations, of_task=record.task is not None)
        yield from lacking_code([parsed(text).name for text in command.values("texts")])
        yield from _lacking_interpreters(record)
        if record.dataset is not None:
            yield from lacking_data(record.dataset)

    def facts(self, stored: Stored[DuelRecord]) -> Mapping[str, str]:
        """See :meth:`Repetition.facts`."""
        record = stored.record
        data = {} if record.dataset is None else {"data": data_text(record.dataset)}
        task = {} if record.task is None else {"task description": record.task.sha256[:12]}
        return {**_facts(record.configurations), **machine_facts(record.machine), **data, **task}

    def arguments(self, record: DuelRecord, command: RecordedCommand) -> None:
        """See :meth:`Repetition.arguments`: modes and threads whose default may differ here are named."""
        command.set("threads", str(record.configurations[0].configuration.threads))
        command.drop("budget")
        if record.task is None or record.dataset is None:
            return
        if command.values("task") and record.dataset.file is None:
            command.set("dataset", record.dataset.name)
        if command.values("task"):
            command.set("texts", *(_written(each, record) for each in record.configurations))

    def agreement(self, theirs: Stored[DuelRecord], mine: Stored[DuelRecord]) -> Agreement:
        """See :meth:`Repetition.agreement`."""
        if mine.record.status != "ok":
            return Agreement(
                verdict="undecided", reasons=[f"it could not be timed here: {mine.record.failure}"]
            )
        if len(mine.record.results) != len(theirs.record.results):
            return Agreement(verdict="undecided", reasons=["other configurations were timed here"])
        return worst_of(
            _named(
                f"{one.configuration} beside {one.reference}",
                compare_ratios(_claim(one), _claim(other), theirs.record.margin),
                other,
            )
            for one, other in zip(theirs.record.results, mine.record.results, strict=True)
        )


def _claim(result: DuelResult) -> Claim:
    return Claim(result.verdict, result.ratio)


def _named(name: str, agreement: Agreement, mine: DuelResult) -> Agreement:
    wanted = mine.pairs_wanted if agreement.verdict == "undecided" else None
    more = f" (about {wanted} more pairs are needed)" if wanted else ""
    return Agreement(
        verdict=agreement.verdict, reasons=[f"{name}: {reason}{more}" for reason in agreement.reasons]
    )


def _own_python(record: DuelRecord) -> list[str]:
    """Return the interpreters of the configurations where they are not all the same."""
    every = [str(Path(each.configuration.python).expanduser()) for each in record.configurations]
    return every if len(set(every)) > 1 else []


def _lacking_interpreters(record: DuelRecord) -> Iterator[str]:
    for python in dict.fromkeys(_own_python(record)):
        if not Path(python).exists():
            yield f"interpreter {python} does not exist"


def _written(each: ConfigurationRecord, record: DuelRecord) -> str:
    """Write a configuration as on the command line, so that nothing is left to a default.

    Each setting is one quoted word: no text of a record adds a setting that nobody was shown.
    """
    asked, first = each.configuration, record.configurations[0]
    own = str(Path(asked.python).expanduser())
    python = [f"python={own}"] if _own_python(record) and own != sys.executable else []
    variables = [f"env.{name}={value}" for name, value in asked.variables]
    size = [f"batch_size={each.batch_size}"] if each.batch_size != first.batch_size else []
    private = [
        f"{name}={value}"
        for name, value in each.options.items()
        if name.startswith("dp_") and first.options.get(name) != value
    ]
    settings = [
        f"threads={asked.threads}",
        f"precision={asked.precision}",
        f"device={asked.device}",
    ]
    return f"{asked.label} {shlex.join([*settings, *python, *variables, *size, *private])}"


class GateRepetition(Repetition[GateRecord]):
    """Gates and upgrades: the recorded command again, with base at the recorded commit."""

    commands = ("gate", "upgrade")

    def lacking(self, stored: Stored[GateRecord]) -> Iterator[str]:
        """See :meth:`Repetition.lacking`."""
        record = stored.record
        command = RecordedCommand(record.command, self.commands)
        if not record.benchmarks:
            yield "the gate has no benchmark that could be repeated"
        for file in command.values("suite"):
            if not Path(file).is_file():
                yield f"suite {file} does not exist"
        if (commit := record.base.commit) and command.values("base"):
            yield from _lacking_commit(commit)
        for option in ("base_python", "head_python"):
            for python in command.values(option):
                if not Path(python).exists():
                    yield f"interpreter {python} does not exist"
        for benchmark in record.benchmarks:
            if not benchmark.is_step:
                yield from lacking_backend(benchmark.backend, benchmark.mode)
                yield from lacking_data(benchmark.dataset)

    def facts(self, stored: Stored[GateRecord]) -> Mapping[str, str]:
        """See :meth:`Repetition.facts`."""
        record = stored.record
        git = record.machine.git
        commits = {
            "base": record.base.commit or "",
            "commit of the folder": "" if git is None else f"{git.commit}{' and changes' * bool(git.dirty)}",
        }
        versions = _facts([each for benchmark in record.benchmarks for each in benchmark.configurations])
        return {**commits, **versions, **machine_facts(record.machine)}

    def arguments(self, record: GateRecord, command: RecordedCommand) -> None:
        """See :meth:`Repetition.arguments`."""
        if record.base.commit and command.values("base"):
            command.set("base", record.base.commit)
        command.drop("budget")

    def agreement(self, theirs: Stored[GateRecord], mine: Stored[GateRecord]) -> Agreement:
        """See :meth:`Repetition.agreement`: the verdict of each benchmark, and its step time by the rule."""
        here = {benchmark.name: benchmark for benchmark in mine.record.benchmarks}
        return worst_of(
            _compare_benchmarks(benchmark, here.get(benchmark.name)) for benchmark in theirs.record.benchmarks
        )


def _lacking_commit(commit: str) -> Iterator[str]:
    known = subprocess.run(
        ["git", "cat-file", "-e", f"{commit}^{{commit}}"],  # noqa: S607  of the user
        capture_output=True,
        check=False,
    )
    if known.returncode:
        yield f"commit {commit[:12]} is not in a repository here; run this in a clone of it"


def _outcome_text(benchmark: BenchmarkRecord) -> str:
    """Write the verdict on a benchmark, with the metrics that fail; others fail by quality."""
    failed = sorted(each.metric for each in benchmark.metrics if each.verdict == "FAIL")
    by = f" ({', '.join(failed) or 'quality'})" if benchmark.verdict == "FAIL" else ""
    return f"{benchmark.verdict}{by}"


def _compare_benchmarks(theirs: BenchmarkRecord, mine: BenchmarkRecord | None) -> Agreement:
    if mine is None:
        return Agreement(verdict="different", reasons=[f"{theirs.name} is not in the suite here"])
    there, here = _outcome_text(theirs), _outcome_text(mine)
    verdicts = f"{theirs.name}: {there} there and {here} here"
    if not {theirs.verdict, mine.verdict} <= {"PASS", "FAIL"}:
        return Agreement(verdict="undecided", reasons=[verdicts])
    if there != here:
        return Agreement(verdict="does not hold", reasons=[verdicts])
    ours, other = (
        next((each.ratio for each in side.metrics if each.metric == "step" and each.is_usable), None)
        for side in (theirs, mine)
    )
    if ours is None or other is None:
        return Agreement(verdict="holds", reasons=[verdicts])
    reason = f"{verdicts}; step {time_ratio(ours)} there and {time_ratio(other)} here"
    if _overlap(ours, other, theirs.limits.max_slowdown or 0.0):
        return Agreement(verdict="holds", reasons=[reason])
    is_alike = (ours.value > 1) == (other.value > 1)
    return Agreement(verdict="holds in direction" if is_alike else "does not hold", reasons=[reason])


DUELS = DuelRepetition()
GATES = GateRepetition()
