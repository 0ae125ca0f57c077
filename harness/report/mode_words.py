"""Sentences about the modes of a backend whose times are known on this machine."""

from collections.abc import Iterable

from harness.duel.mode_times import ModeTimes, times_of
from harness.duel.record import ConfigurationRecord
from harness.machine.description import Machine
from harness.report.numbers import percent
from harness.runs.record import Record
from harness.spec.task import Task


def chosen_sentence(times: ModeTimes) -> str:
    """Which mode ``best`` is, and how much longer the others take."""
    found = f"{times.backend}:best on {times.task} is {times.backend}:{times.fastest}"
    others = _others(times)
    return f"{found} ({others}; measured {times.day})" if others else found


def modes_row(times: ModeTimes) -> tuple[str, ...]:
    """Task, backend, fastest mode, the others, and how it was measured."""
    threads = f"{times.threads} thread{'s' * (times.threads > 1)}"
    where = f"{times.device}, {threads}, {times.precision}, {times.day}"
    return times.task, times.backend, times.fastest, _others(times), where


def faster_modes(ran: Iterable[tuple[Record | ConfigurationRecord, Task, Machine]]) -> list[str]:
    """For configurations, their task and machine: which other mode of theirs takes less time, each once."""
    sentences: dict[str, None] = {}
    for configuration, task, machine in ran:
        times = times_of(configuration, task, machine)
        if times is not None and times.times[configuration.configuration.mode] > 1.0 + _NOTEWORTHY:
            sentences[_faster(configuration.configuration.mode, times)] = None
    return list(sentences)


def _faster(mode: str, times: ModeTimes) -> str:
    longer = percent(times.times[mode] - 1)
    return (
        f"{times.backend}:{mode} is not the fastest mode on {times.task}: it takes {longer} longer than "
        f"{times.backend}:{times.fastest} (measured {times.day})."
    )


#: A short duel does not resolve smaller differences.
_NOTEWORTHY = 0.02


def _others(times: ModeTimes) -> str:
    slower = [
        f"{mode} {percent(ratio - 1)} longer"
        for mode, ratio in sorted(times.times.items(), key=lambda item: item[1])
        if mode != times.fastest
    ]
    return ", ".join([*slower, *(f"{mode} failed" for mode in times.failed)])
