"""Which cases of a check a run needs: those that show its network, and the rules of its training."""

from collections.abc import Iterable

from harness.spec.backend import Precision
from harness.spec.task import Task, TaskDefinition
from harness.testing.cases import Case, cases
from harness.testing.certify import DROPOUT
from harness.testing.diagnosis import Feature, features, features_of_task
from harness.testing.dropout import uses_dropout
from harness.testing.long_calls import LONG_CALLS, long_calls_case
from harness.testing.parity import losses_name

#: With a feature, the others that a case shows too: a crop that is flipped shows either.
_ALSO_SHOWN = {Feature.CROP_AND_FLIP: {Feature.CROP, Feature.FLIP}}


def rules_of(task: Task) -> frozenset[str]:
    """The names of the rules of training that a task uses, dropout among them."""
    names = {feature.name for feature in _rules(features_of_task(task))}
    return frozenset(names | ({DROPOUT} if uses_dropout(task) else set()))


def cases_of_run(
    definition: TaskDefinition, task: Task, precision: Precision, *, long_calls: bool
) -> frozenset[str]:
    """The names of the cases that a run of ``task``, which the definition has made, is certified by.

    The first case shows the network: its gradients, its state, and its outputs in evaluation. Of the others
    the fewest are taken that have all the rules of the run. ``long_calls`` adds the case of that name.

    Raises:
        HarnessError: ``define`` makes no valid task of the default options.
    """
    first, *others = cases(definition)
    names = {first.name, losses_name(precision)} - {losses_name("float64")}
    names |= {case.name for case in others if Feature.FLAT in features(case)}
    names |= _covering(_rules(features_of_task(task)) - features(first), others)
    if long_calls and long_calls_case(definition) is not None:
        names.add(LONG_CALLS)
    return frozenset(names | ({DROPOUT} if uses_dropout(task) else set()))


def _rules(found: set[Feature]) -> set[Feature]:
    """Nesterov's momentum is another rule than plain momentum: neither shows the other."""
    return found - {Feature.MOMENTUM} if Feature.NESTEROV in found else found


def _covering(needed: set[Feature], among: Iterable[Case]) -> set[str]:
    """The names of cases that show all features that any case shows; of equal ones that with the fewest."""
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


def _shown(case: Case) -> set[Feature]:
    found = _rules(features(case))
    return found.union(*(_ALSO_SHOWN.get(feature, set()) for feature in found))
