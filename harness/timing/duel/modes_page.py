"""The modes of a backend in words, by their known step times."""

from collections.abc import Iterable, Sequence

from harness.core.documents.numbers import counted, percent
from harness.core.documents.render.terminal import fitted_table, terminal_width
from harness.core.machine.description import Machine
from harness.core.runs.record import Record
from harness.spec.task import Task
from harness.timing.duel.mode_times import ModeTimes, all_kept, times_of
from harness.timing.engine.record import ConfigurationRecord


def chosen_sentence(times: ModeTimes) -> str:
    """Say which mode ``best`` is, and how much longer the others take."""
    found = f"{times.backend}:best on {times.task} is {times.backend}:{times.fastest}"
    others = _others(times)
    return f"{found} ({others}; measured {times.day})" if others else found


def modes_row(times: ModeTimes) -> tuple[str, ...]:
    """Return task, backend, fastest mode, the others, and the conditions of the measurement."""
    where = f"{times.device}, {counted(times.threads, 'thread')}, {times.precision}, {times.day}"
    return times.task, times.backend, times.fastest, _others(times), where


def faster_modes(
    ran: Iterable[tuple[Record | ConfigurationRecord, Task, Machine]], known: Sequence[ModeTimes]
) -> list[str]:
    """Say, once each, which other mode of a configuration takes less time.

    ``ran`` are configurations with their task and machine.
    """
    sentences: dict[str, None] = {}
    for configuration, task, machine in ran:
        times = times_of(known, configuration, task, machine)
        if times is not None and times.times[configuration.configuration.mode] > 1.0 + _NOTEWORTHY:
            mode = configuration.configuration.mode
            sentence = (
                f"{times.backend}:{mode} is not the fastest mode on {times.task}: it takes "
                f"{percent(times.times[mode] - 1)} longer than {times.backend}:{times.fastest} "
                f"(measured {times.day})."
            )
            sentences[sentence] = None
    return list(sentences)


#: A short duel does not resolve smaller differences.
_NOTEWORTHY = 0.02


def _others(times: ModeTimes) -> str:
    slower = [
        f"{mode} {percent(ratio - 1)} longer"
        for mode, ratio in sorted(times.times.items(), key=lambda item: item[1])
        if mode != times.fastest
    ]
    return ", ".join([*slower, *(f"{mode} failed" for mode in times.failed)])


_HEADERS = ("task", "backend", "fastest", "others", "measured with")


def listing() -> list[str]:
    """Return the table of the fastest modes that were measured on this machine, if any was."""
    rows = [modes_row(times) for times in all_kept()]
    title = "Fastest modes on this machine (BACKEND:best)"
    return [f"{title}\n{fitted_table(rows, terminal_width(), _HEADERS)}"] if rows else []
