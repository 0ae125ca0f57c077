"""The cases of a certificate that a run needs: those that show its network and the rules of its training."""

from collections.abc import Iterable

from harness.core.certify.aspects import FLAT, Aspect, aspects, aspects_of_task
from harness.core.certify.cases import PRIVATE_CASE, Case, cases
from harness.core.certify.certify import CLIENTS, DROPOUT, NOISE
from harness.core.certify.dropout import uses_dropout
from harness.core.certify.long_calls import LONG_CALLS, long_calls_case
from harness.core.certify.parity import losses_name
from harness.spec.backend import Precision
from harness.spec.task import Task, TaskDefinition


def rules_of(task: Task) -> frozenset[str]:
    """Return the names of the rules of training that a task uses, dropout among them."""
    names = _proved(aspects_of_task(task))
    return frozenset(names | ({DROPOUT} if uses_dropout(task) else set()))


def cases_of_run(
    definition: TaskDefinition, task: Task, precision: Precision, *, long_calls: bool
) -> frozenset[str]:
    """Return the names of the cases that certify a run of ``task``, which the definition has made.

    The first case shows the network: its gradients, its state, and its outputs in evaluation. Of the other
    cases the fewest are taken that together have all the rules of the run. ``long_calls`` adds the case of
    that name.
    """
    first, *others = cases(definition)
    names = {first.name, losses_name(precision)} - {losses_name("float64")}
    names |= {case.name for case in others if FLAT in aspects(case)}
    shown = {aspect.name for aspect in aspects(first)}
    names |= _covering(_proved(aspects_of_task(task)) - shown, others)
    if long_calls and long_calls_case(definition) is not None:
        names.add(LONG_CALLS)
    own = {
        DROPOUT: uses_dropout(task),
        NOISE: task.privacy is not None and PRIVATE_CASE in names,
        CLIENTS: task.federated is not None,
    }
    return frozenset(names | {name for name, drawn in own.items() if drawn})


def _proved(found: set[Aspect]) -> set[str]:
    """Name the aspects, without those that another aspect replaces.

    Nesterov's momentum, for example, is another rule than plain momentum: neither proves the other.
    """
    return {aspect.name for aspect in found} - {aspect.replaces for aspect in found}


def _covering(needed: set[str], among: Iterable[Case]) -> set[str]:
    """Name the cases that together show all aspects ``needed``; of equal cases, prefer the fewest aspects."""
    shown = {case.name: _shown(case) for case in among}
    chosen: set[str] = set()
    left = set(needed)
    while shown:
        name = max(shown, key=lambda name: (len(shown[name] & left), -len(shown[name] - needed)))
        if not shown[name] & left:
            break
        left -= shown.pop(name)
        chosen.add(name)
    return chosen


def _shown(case: Case) -> set[str]:
    found = aspects(case)
    return _proved(found).union(*(aspect.shows for aspect in found))
