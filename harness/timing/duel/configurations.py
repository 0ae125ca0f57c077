"""The workloads of a duel, from its configurations as they were asked for and the options of all."""

from collections.abc import Sequence

import click
import msgspec

from harness.core.plugins.definition import define_task, resized
from harness.core.plugins.options import parse_options
from harness.core.plugins.registry import runs_our_code
from harness.core.plugins.selection import ALL, select_backend
from harness.core.shell.own_model import is_model
from harness.core.worker import protocol
from harness.core.worker.interpreter import installed_harness
from harness.errors import UsageError
from harness.spec.task import TaskDefinition
from harness.timing.engine.asked import Asked, parsed
from harness.timing.engine.sessions import ConfigurationFailed, defined_by
from harness.timing.engine.steps.options import WorkOptions
from harness.timing.engine.workloads import Workload

#: The fewest and the most configurations of a duel.
FEWEST, MOST = 2, 4


def check_number_of_configurations(
    _ctx: click.Context, _parameter: click.Parameter, texts: tuple[str, ...]
) -> tuple[str, ...]:
    """Refuse too few or too many configurations, before missing options are reported.

    The number of configurations in ``torch:*`` is known once the plugins are loaded.
    """
    one_may_do = any(_stands_for_several(asked) or is_model(asked.name) for asked in map(parsed, texts))
    if not FEWEST <= len(texts) <= MOST and not one_may_do:
        raise UsageError(
            f"a duel takes {FEWEST} to {MOST} configurations, such as: harness duel torch keras --task cnn"
        )
    return texts


def workloads_of(
    every: Sequence[Asked],
    definition: TaskDefinition,
    batch_size: int | None,
    options: WorkOptions,
    epochs: int | None = None,
) -> list[Workload]:
    """Return the workload of each configuration."""
    single = [each for asked in every for each in _expanded(asked)]
    if not FEWEST <= len(single) <= MOST:
        raise UsageError(
            f"a duel takes {FEWEST} to {MOST} configurations, and these are {len(single)}: "
            f"{', '.join(asked.name for asked in single)}"
        )
    return [_workload(asked, definition, batch_size, options, epochs) for asked in single]


def _stands_for_several(asked: Asked) -> bool:
    return asked.name.endswith(f":{ALL}")


def _expanded(asked: Asked) -> list[Asked]:
    if not _stands_for_several(asked):
        return [asked]
    backend = select_backend(asked.name).backend
    return [msgspec.structs.replace(asked, name=f"{backend.name}:{mode}") for mode in backend.modes]


def _workload(
    asked: Asked,
    definition: TaskDefinition,
    batch_size: int | None,
    options: WorkOptions,
    epochs: int | None,
) -> Workload:
    question = protocol.Define(asked.name, definition.name, [*options.assignments, *asked.private])
    if runs_our_code(asked.interpreter, asked.variables):
        given = parse_options(definition, question.assignments)
        task, values = define_task(definition, given), msgspec.structs.asdict(given)
        mode = select_backend(asked.name).mode(task)
    else:
        defined = _defined_elsewhere(asked, question)
        task, values, mode = defined.task, defined.options, defined.mode
    backend = asked.name.partition(":")[0]
    configuration = asked.configuration(backend, mode, options.device, options.threads, options.precision)
    return Workload(
        label=configuration.label,
        configuration=configuration,
        task=resized(task, asked.batch_size or batch_size, epochs),
        options=values,
        seed=options.task_seed(),
    )


def _defined_elsewhere(asked: Asked, question: protocol.Define) -> protocol.Defined:
    python, variables = asked.interpreter, asked.variables
    installed_harness(asked.name, python, variables)
    try:
        defined = defined_by(question.backend, python, variables, question)
    except ConfigurationFailed as error:
        raise UsageError(f"{asked.name} ({python}): {error.reason}") from error
    if defined.installed:
        raise UsageError(f"{asked.name} ({python}): {defined.installed}")
    return defined
