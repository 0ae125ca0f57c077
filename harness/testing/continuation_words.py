"""What it means that a second program does not continue from a training state as the first did."""

from harness.spec.task import Adam, Optimizer, RmsProp, Sgd, Task
from harness.testing.continuation import Continuation
from harness.testing.dropout import uses_dropout
from harness.testing.parity import TOLERANCE, array_differences, listed, loss_difference

_SHOWN = 3


def worst_difference(observed: Continuation) -> float:
    """The largest relative difference of a loss or of a final weight."""
    weights = array_differences(observed.observed_weights, observed.expected_weights)
    return max([*_of_steps(observed), *weights.values()])


def _of_steps(observed: Continuation) -> list[float]:
    pairs = zip(observed.observed, observed.expected, strict=True)
    return [loss_difference(one, other) for one, other in pairs]


def state_fault(observed: Continuation, task: Task) -> str:
    """The fault of ``training_state`` or ``load_training_state`` that this shows; empty for none."""
    if observed.changed:
        return f"training_state() returns memory that later steps change: {_names(observed.changed)}; copy it"
    if observed.overwritten:
        return (
            "load_training_state() keeps the memory that it is given, and later steps change it: "
            f"{_names(observed.overwritten)}; copy it"
        )
    if worst_difference(observed) <= TOLERANCE:
        return ""
    return (
        "a second program that loads the weights and the training state does not continue as the first: "
        f"{_cause(observed, task)}"
    )


def _cause(observed: Continuation, task: Task) -> str:
    if observed.not_taken:
        what = "does nothing" if observed.ignored else f"does not take over {_names(observed.not_taken)}"
        return f"load_training_state() {what}, as training_state() shows right after it"
    first = loss_difference(observed.observed[0][:1], observed.expected[0][:1])
    if first > TOLERANCE:
        missing = "what dropout draws from (a generator, a count of steps) is not in it, or is not restored"
        return (
            f"the first loss, before any update, is off by a relative {first:.1e}: "
            f"{missing if uses_dropout(task) else 'look at load() in a program that has trained'}"
        )
    step = next((step for step, value in enumerate(_of_steps(observed), 1) if value > TOLERANCE), None)
    if step is None:
        weights = array_differences(observed.observed_weights, observed.expected_weights)
        bad = {name: value for name, value in weights.items() if value > TOLERANCE}
        return f"the losses are the same, the weights after the last step are not: {listed(bad)}"
    return f"the first loss is the same, that of step {step} is not: {_missing(observed, task.optimizer)}"


def _missing(observed: Continuation, optimizer: Optimizer) -> str:
    """What of an optimizer's state was lost, if its updates are wrong."""
    factor = observed.update_factor
    match optimizer:
        case Adam() if factor is not None and abs(factor - 1) > TOLERANCE:
            return (
                f"the first update is {factor:.4g} times the right one: the optimizer's step count is not in "
                "the state, or is not restored"
            )
        case Adam():
            return "the optimizer's moments are not in the state, or are not restored"
        case RmsProp():
            return "the optimizer's mean square is not in the state, or is not restored"
        case Sgd(momentum=0.0):
            return "something that an update depends on is not in the state"
        case Sgd():
            return "the optimizer's momentum is not in the state, or is not restored"


def _names(names: list[str]) -> str:
    more = f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else ""
    return ", ".join(names[:_SHOWN]) + more
