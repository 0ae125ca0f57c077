"""``harness doctor --noise``: what two identical processes differ by here, and what slowdown shows."""

import click
import msgspec
from tabulate import tabulate

from harness.cli.standard_error import console
from harness.duel.noise import Noise, measure_noise
from harness.duel.workloads import Workload
from harness.errors import HarnessError, UsageError
from harness.machine.description import default_threads
from harness.machine.peak import memory_bytes_per_second, peak_flops_per_second
from harness.plugins import registry
from harness.plugins.definition import define_task
from harness.plugins.installation import installation, select_backend
from harness.plugins.options import parse_options
from harness.runs.data_choice import choose_dataset
from harness.spec.backend import Plan

_BUDGETS_MINUTES = (1, 2, 5)
_PREFERRED = ("torch", "keras", "jax")


def print_noise(backend: str | None, task: str, pairs: int) -> None:
    """Measure and print: pairs of identical processes in the quiet and in the plain environment.

    Raises:
        UsageError: no backend is installed, or the one named is not.
        HarnessError: the backend does not work here.
    """
    side, dataset = _side(backend, task)
    found: list[Noise] = []
    try:
        with console(quiet=False).status("") as status:
            for quiet in (True, False):
                made = measure_noise(side, dataset, quiet=quiet, pairs=pairs, tell=status.update)
                found.append(made)
    except (HarnessError, KeyboardInterrupt):
        if found:  # the half that was had is not lost
            click.echo(_noise_table(found))
        raise
    threads = side.plan.threads
    click.echo(
        f"Noise of this machine: {side.label} on {task} ({dataset}), {threads} threads, against itself\n"
    )
    click.echo(_noise_table(found))
    click.echo(
        f"\nNumPy reaches {peak_flops_per_second(threads) / 1e9:.0f} GFLOP/s (single precision, {threads} "
        f"threads); a copy reads and writes {memory_bytes_per_second() / 1e9:.1f} GB/s."
    )
    if pairs < _MANY_PAIRS:
        click.echo(f"A spread from {pairs} pairs is rough; --pairs {_MANY_PAIRS} makes it surer.")


_MANY_PAIRS = 12


def _side(name: str | None, task_name: str) -> tuple[Workload, str]:
    if name is None:
        installed = [known for known in _PREFERRED if installation(known).state == "installed"]
        if not installed:
            raise UsageError('no framework is installed to measure with; pip install "dl-harness[torch]"')
        name = installed[0]
    backend, mode = select_backend(name)
    definition = registry.task(task_name)
    dataset = choose_dataset(definition, None, lambda _what, _done, _total: None)
    settings = parse_options(definition, [])
    task = define_task(definition, settings)
    plan = Plan(task=task, mode=mode, device="cpu", threads=default_threads(), seed=0)
    options = msgspec.structs.asdict(settings)
    return Workload(
        label=f"{backend.name}:{mode}", backend=backend.name, plan=plan, options=options
    ), dataset.name


def _noise_table(found: list[Noise]) -> str:
    rows: list[tuple[str, ...]] = [
        ("spread between two processes", *(_share(one.spread) for one in found)),
        ("steady step (ms)", *(f"{one.step_seconds * 1e3:.3g}" for one in found)),
        ("drift of the step", *(f"{one.drift:.1%} in {one.seconds:.0f} s" for one in found)),
        ("drift of the control (NumPy product)", *(f"{one.control_drift:.1%}" for one in found)),
        ("blocks disturbed by others", *(f"{one.disturbed_share:.0%}" for one in found)),
        ("a pair takes (s)", *(f"{one.pair_seconds:.0f}" for one in found)),
    ]
    rows += [
        (f"slowdown found in {minutes} min", *(_detectable(one, minutes) for one in found))
        for minutes in _BUDGETS_MINUTES
    ]
    headers = ["", *(f"{one.environment} ({one.pairs} pairs)" for one in found)]
    return tabulate(rows, headers, tablefmt="simple", disable_numparse=True)


def _share(value: float | None) -> str:
    return "–" if value is None else f"{value:.1%}"


def _detectable(noise: Noise, minutes: int) -> str:
    slowdown = noise.detectable_slowdown(60.0 * minutes)
    if noise.spread is None:
        return "–"
    return "too short to tell" if slowdown is None else f"{slowdown:.1%}"
