"""``harness doctor --noise``: how much identical processes differ, and which slowdowns are detectable."""

from collections.abc import Mapping, Sequence
from typing import Any

import click
import msgspec

from harness.core.documents.document import Table
from harness.core.documents.numbers import NOTHING, percent
from harness.core.documents.render.terminal import terminal_table, terminal_width
from harness.core.machine.calibration import memory_bytes_per_second, peak_flops_per_second
from harness.core.plugins import registry
from harness.core.plugins.definition import define_task
from harness.core.plugins.options import parse_options
from harness.core.runs.matrix import preset_backends
from harness.core.runs.request import choose_dataset
from harness.core.shell import options
from harness.core.shell.console import console
from harness.core.shell.features import Measurement
from harness.core.shell.printing import echo
from harness.errors import HarnessError
from harness.timing.duel.noise import Noise, measure_noise
from harness.timing.engine.workloads import Workload

_OPTIONS = options.together(
    click.option(
        "--noise",
        is_flag=True,
        help="Instead, measure how much two identical processes differ, and which slowdown a duel can "
        "detect. The options below apply to this measurement.",
    ),
    click.option(
        "--backend",
        metavar="NAME[:MODE]",
        help="Backend. Default: the first of torch, keras and jax that is installed.",
    ),
    options.task(default="cnn"),
    options.number("--pairs", least=2, most=100, default=5, text="Pairs of processes in each environment."),
)
_BUDGETS_MINUTES = (1, 2, 5)
_MANY_PAIRS = 12


def print_noise(backend: str | None, task: str, pairs: int) -> None:
    """Measure pairs of identical processes in the quiet and in the plain environment, and print both.

    Raises:
        UsageError: none of torch, keras and jax is installed, or the named backend is not.
        HarnessError: the backend does not run here.
    """
    workload, dataset = _workload(backend, task)
    measured: list[Noise] = []
    try:
        with console(quiet=False).status("") as status:
            for quiet in (True, False):

                def progress(number: int, name: str = "quiet" if quiet else "plain") -> None:
                    status.update(f"{name} process environment, pair {number} of {pairs}")

                measured.append(measure_noise(workload, dataset, quiet=quiet, pairs=pairs, progress=progress))
    except (HarnessError, KeyboardInterrupt):
        if measured:
            echo(_text(measured))
        raise
    threads = workload.configuration.threads
    echo(f"Noise of this machine: {workload.label} on {task} ({dataset}), {threads} threads\n")
    echo(_text(measured))
    echo(
        f"\nA NumPy matrix product reaches {peak_flops_per_second(threads) / 1e9:.0f} GFLOP/s (float32, "
        f"{threads} threads); a memory copy reads and writes {memory_bytes_per_second() / 1e9:.1f} GB/s."
    )
    if pairs < _MANY_PAIRS:
        echo(f"A spread from {pairs} pairs is approximate; --pairs {_MANY_PAIRS} is more precise.")


def _workload(name: str | None, task_name: str) -> tuple[Workload, str]:
    definition = registry.task(task_name)
    dataset = choose_dataset(definition, None, lambda _what, _done, _total: None)
    values = parse_options(definition, [])
    task = define_task(definition, values)
    names = [name or preset_backends()[0]]
    (configuration,) = options.configurations(names, task, "cpu", None, "float32")
    workload = Workload(
        label=configuration.label,
        configuration=configuration,
        task=task,
        options=msgspec.structs.asdict(values),
    )
    return workload, dataset.name


def _text(measured: Sequence[Noise]) -> str:
    rows = [
        ("spread between two processes", *(_share(noise.spread) for noise in measured)),
        ("steady step (ms)", *(f"{noise.step_seconds * 1e3:.3g}" for noise in measured)),
        ("drift of the step", *(f"{_share(noise.drift)} in {noise.seconds:.0f} s" for noise in measured)),
        ("drift of the control (NumPy product)", *(_share(noise.control_drift) for noise in measured)),
        ("blocks disturbed by other programs", *(percent(noise.disturbed_share) for noise in measured)),
        ("time of a pair (s)", *(f"{noise.pair_seconds:.0f}" for noise in measured)),
    ]
    rows += [
        (f"slowdown detected within {minutes} min", *(_detectable(noise, minutes) for noise in measured))
        for minutes in _BUDGETS_MINUTES
    ]
    headers = ["", *(f"{noise.process_environment} ({noise.pairs} pairs)" for noise in measured)]
    return terminal_table(Table(headers, rows), terminal_width())


def _share(value: float | None) -> str:
    return NOTHING if value is None else f"{100 * value:.1f} %"


def _detectable(noise: Noise, minutes: int) -> str:
    if noise.spread is None:
        return NOTHING
    slowdown = noise.detectable_slowdown(60.0 * minutes)
    return "too short to detect any" if slowdown is None else _share(slowdown)


def _run(given: Mapping[str, Any]) -> None:
    print_noise(given["backend"], given["task"], given["pairs"])


NOISE = Measurement("noise", _OPTIONS, _run)
