"""``harness doctor``: the machine, the installed frameworks, and what is missing or disturbs timing."""

import os
from collections.abc import Sequence
from typing import NamedTuple

import click
import msgspec

from harness.core.documents.document import Table
from harness.core.documents.numbers import NOTHING, percent
from harness.core.documents.render.terminal import (
    fitted_table,
    terminal_table,
    terminal_width,
)
from harness.core.machine import diagnosis
from harness.core.machine.calibration import memory_bytes_per_second, peak_flops_per_second
from harness.core.machine.description import (
    Machine,
    default_threads,
    describe_machine,
    missing_facilities,
)
from harness.core.machine.worker_variables import worker_variables
from harness.core.plugins import registry
from harness.core.plugins.definition import define_task
from harness.core.plugins.installation import installation
from harness.core.plugins.options import parse_options
from harness.core.runs.matrix import preset_backends
from harness.core.runs.request import choose_dataset
from harness.core.shell import options
from harness.core.shell.console import console
from harness.core.shell.printing import echo, print_error_line
from harness.core.worker.session import Conversation, Session
from harness.errors import HarnessError, RequestFailed, WorkerTimeout
from harness.timing.duel.noise import Noise, measure_noise
from harness.timing.engine.workloads import Workload

_IMPORT_LIMIT_SECONDS = 120.0
_NO_ANSWER = "no answer"


@click.command()
@click.option(
    "--noise",
    is_flag=True,
    help="Instead, measure how much two identical processes differ, and which slowdown a duel can "
    "detect. The options below apply to this measurement.",
)
@click.option(
    "--backend",
    metavar="NAME[:MODE]",
    help="Backend. Default: the first of torch, keras and jax that is installed.",
)
@options.task(default="cnn")
@options.number("--pairs", least=2, most=100, default=5, text="Pairs of processes in each environment.")
@options.plugin
@click.pass_context
def command(ctx: click.Context, /, noise: bool, backend: str | None, task: str, pairs: int) -> None:
    """Describe this machine, import every installed framework, and list what is missing or disturbs timing.

    Exit code: 0, or 1 if an installed framework does not work or did not answer.
    """
    if noise:
        print_noise(backend, task, pairs)
        return
    threads = default_threads()
    width = terminal_width()
    echo(_machine_table(describe_machine(), threads, width) + "\n")
    problems = diagnosis.findings()
    frameworks = [_examine(name, threads) for name in registry.names("backend")]
    rows = [(framework.name, framework.state, framework.detail) for framework in frameworks]
    echo(fitted_table(rows, width, ("backend", "state", "versions or remedy")) + "\n")
    if missing := missing_facilities():
        echo("Not available on this machine")
        echo(fitted_table(missing, width, ("missing", "needed for", "reason or remedy")) + "\n")
    problems += [problem for framework in frameworks for problem in framework.problems]
    echo(_problems_text(problems))
    ctx.exit(1 if any(framework.state in {"broken", _NO_ANSWER} for framework in frameworks) else 0)


class _Framework(NamedTuple):
    """A backend whose framework was imported in a process of its own."""

    name: str
    state: str
    detail: str
    problems: list[str]


def _examine(name: str, threads: int) -> _Framework:
    state, detail = installation(name)
    if state != "installed":
        return _Framework(name, state, detail, [])
    print_error_line(f"importing {name} …")
    try:
        with Session(worker_variables(threads, "auto", os.environ), _IMPORT_LIMIT_SECONDS) as session:
            try:
                described = Conversation(session, name, threads).describe()
            except (RequestFailed, WorkerTimeout):
                raise
            except HarnessError as error:
                raise HarnessError(session.with_last_lines(error)) from error
    except WorkerTimeout:
        detail = (
            f"no answer in {_IMPORT_LIMIT_SECONDS:.0f} s: the machine may be busy; run harness doctor again "
            "on an idle machine"
        )
        return _Framework(name, _NO_ANSWER, detail, [])
    except HarnessError as error:
        return _Framework(name, "broken", str(error), [f"{name} does not work: {error}"])
    versions = ", ".join(f"{key} {value}" for key, value in described.environment.items())
    debug = described.environment.get("debug_build") == "true"
    problems = [f"{name} is a debug build"] if debug else []
    return _Framework(name, "works", f"{versions} (import: {described.import_seconds:.1f} s)", problems)


def _machine_table(machine: Machine, threads: int, width: int) -> str:
    cores = (
        f"{machine.physical_cores} physical, {machine.logical_cpus} logical, "
        f"{machine.allowed_cpus} allowed to this process"
    )
    memory = f"{machine.memory_bytes / 2**30:.1f} GiB, {diagnosis.free_memory_bytes() / 2**30:.1f} GiB free"
    rows = [
        ("host", machine.host_text),
        ("CPU", machine.cpu),
        ("cores", cores),
        ("threads of a worker", str(threads)),
        ("memory", memory),
        ("system", f"{machine.os}, {machine.libc}"),
        ("Python", machine.python),
        ("harness", machine.harness),
    ]
    return fitted_table(rows, width, tablefmt="plain")


def _problems_text(problems: list[str]) -> str:
    if not problems:
        return "Nothing was found that disturbs measurements."
    return "\n".join(["What disturbs measurements or runs", *(f"  - {problem}" for problem in problems)])


# ``harness doctor --noise``: how much identical processes differ, and which slowdowns are detectable.

_BUDGETS_MINUTES = (1, 2, 5)
_MANY_PAIRS = 12


def print_noise(backend: str | None, task: str, pairs: int) -> None:
    """Measure pairs of identical processes in the quiet and in the plain process environment; print both.

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
    on_cpu = {"device": "cpu", "threads": None}
    (configuration,) = options.configurations(names, task, on_cpu, "float32")
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
