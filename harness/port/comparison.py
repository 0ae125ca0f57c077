"""The comparison of two models, from their parameters to twenty training steps, and its verdict."""

from collections.abc import Callable, Sequence

import msgspec
import numpy as np

from harness.core.models.messages import Description
from harness.core.models.reading import SideSpec, random_inputs
from harness.core.models.remote_side import RemoteSide
from harness.core.stats.deviations import largest
from harness.errors import UsageError
from harness.port import drawn
from harness.port.cause_kinds import merged
from harness.port.causes import optimizers
from harness.port.causes.dropouts import dropouts
from harness.port.causes.state import are_momenta, initial_values, running_state
from harness.port.causes.training import (
    GRADIENT_TOLERANCE,
    loss_causes,
    two_biases,
    untied,
    worst_parameter,
)
from harness.port.evaluation import (
    TOLERANCE,
    Evaluated,
    compared,
    compared_cases,
    evaluated,
    output_gap,
    paired_outputs,
    worst_output,
)
from harness.port.pairing.assignments import Masks, assigned, zeroed
from harness.port.pairing.lacking import Lacking
from harness.port.pairing.matching import Matching, match
from harness.port.pairing.names import refuse_unknown, unused_names
from harness.port.pairing.siblings import best_order
from harness.port.pairing.strays import free_pairs, squeezed
from harness.port.pairing.transfer import lacking_in_a, second_biases, transferred
from harness.port.record import (
    Cause,
    Compared,
    Findings,
    ParameterPair,
    Parameters,
    PortOptions,
    SideRecord,
    Verdict,
)
from harness.port.recurrences import level
from harness.port.sides import Sides
from harness.port.steps import TrainingSteps
from harness.port.values import difference, is_copy
from harness.port.walk.walk import walked
from harness.tracing import semantics as kinds
from harness.tracing.calls import InputShape, Stored, Trace
from harness.tracing.side import Gradients

_SINGLE = 1
#: Inputs are also multiplied by this factor, which shows functions that limit large numbers, such as relu6.
_FACTOR = 10.0
#: The default number of training steps. A large model makes fewer, and is compared on a smaller batch: a step
#: in float64 takes seconds, and a trace takes gigabytes.
_STEPS, _LARGE, _SMALL_BATCH, _FEW_STEPS = 20, 3_000_000, 2, 5
#: Names that a line lists.
_NAMED = 3
#: Takes the next phase.
Phase = Callable[[str], None]


def check_models(
    a: SideSpec,
    b: SideSpec,
    inputs: Sequence[InputShape],
    options: PortOptions,
    phase: Phase = lambda *_: None,
) -> Findings:
    """Compare the models ``a`` and ``b``; ``phase`` is called with each phase."""
    with Sides(a, b, options.threads, options.timeout_seconds) as sides:
        phase("making the models")
        given = {sides.a: a.arguments, sides.b: b.arguments}
        built_a, built_b = sides.both(lambda side: side.build(given[side], inputs))
        records = [
            SideRecord(spec.target, built.framework, built.versions, built.own_optimizer, built.own_loss)
            for spec, built in ((a, built_a), (b, built_b))
        ]

        def rebuilt() -> tuple[Description, Description]:
            """Make both models anew, with the random numbers that follow, and describe them."""

            def rebuild(side: RemoteSide) -> Description:
                side.build(given[side], inputs)
                return side.describe()

            return sides.both(rebuild)

        return _Check(sides, records, inputs, options, phase, rebuilt).findings()


class _Check:
    def __init__(
        self,
        sides: Sides,
        records: list[SideRecord],
        shapes: Sequence[InputShape],
        options: PortOptions,
        phase: Phase,
        rebuilt: Callable[[], tuple[Description, Description]],
    ) -> None:
        self._rebuilt = rebuilt
        self._sides, self._records, self._shapes, self._options = sides, records, shapes, options
        self._phase = phase
        self._compared: list[Compared] = []
        self._causes: list[Cause] = []
        self._notes: list[str] = []
        self._not_compared: list[str] = []
        self._lacking_explains = False
        self._same_steps = 0

    def findings(self) -> Findings:
        """Make all comparisons in order, except those that an earlier difference makes pointless."""
        self._phase("matching parameters")
        self._describe()
        self._phase("comparing evaluation")
        self._compare_modes()
        if not all(each.equal for each in self._compared):
            self._not_compared.append("gradients, because outputs or running statistics differ")
        elif not self._untrained:
            self._phase("comparing gradients")
            self._differentiated(self._compare_gradients)
        if self._untrained:
            self._not_compared.append(f"gradients, because {self._untrained}")
        if not self._untrained:
            self._differentiated(self._compare_training)
        if self._untrained:
            self._lack_training(self._untrained)
        causes = merged([*self._causes, *self._initial_values])
        return Findings(
            a=self._records[0],
            b=self._records[1],
            verdict=self._verdict(causes),
            parameters=self._parameters,
            compared=self._compared,
            causes=causes,
            notes=self._notes,
            not_compared=self._not_compared,
            same_steps=self._same_steps,
        )

    def _verdict(self, causes: Sequence[Cause]) -> Verdict:
        serious = [cause for cause in causes if not cause.harmless]
        if (self._lacking.a or self._lacking.b) and not self._lacking_explains:
            # Differences may follow from parameters that B was not given, unless numbers prove each cause.
            names = {*self._lacking.a, *self._lacking.b}
            unproven = any(cause.after is None or not names.isdisjoint(cause.exchanged) for cause in serious)
            return "undecided" if unproven or not serious else "different"
        if serious:
            return "different"
        if self._notes:
            return "undecided"
        if not all(each.equal for each in self._compared):
            return "different"
        return "equal up to" if causes else "equal"

    def _describe(self) -> None:
        """Pair the parameters and give B those of A, moved off their initial values."""
        initial_a, initial_b = self._sides.both(RemoteSide.describe)
        self._updates = initial_a.updates, initial_b.updates
        numbers = [*initial_a.parameters.items(), *initial_b.parameters.items()]
        are_complex = dict.fromkeys(name for name, array in numbers if np.iscomplexobj(array))
        self._untrained = f"numbers are complex in {', '.join(are_complex)}" if are_complex else ""
        large = sum(array.size for array in initial_a.parameters.values()) > _LARGE
        self._steps = self._options.steps or (_FEW_STEPS if large else _STEPS)
        if large:
            smaller = min(self._options.batch, _SMALL_BATCH)
            self._options = msgspec.structs.replace(self._options, batch=smaller)
        inputs = random_inputs(self._shapes, self._options.batch)
        first_a, first_b = self._sides.both(lambda side: side.trace(inputs, training=False))
        drawing = self._drawing((first_a, first_b), inputs, training=False)
        self._notes += [f"{target} gives other outputs for the same inputs each time" for target in drawing]
        names = self._options.names
        refuse_unknown(names, {*initial_a.parameters}, {*initial_b.parameters})
        matching = match(first_a, first_b, names)
        self._matching = best_order(self._sides, matching, initial_a, initial_b, (first_a, first_b), inputs)
        self._not_compared += unused_names(names, self._matching)
        self._matching = self._with_drawn(initial_a, initial_b)
        self._values_a = drawn.moved(initial_a.parameters, initial_a.trained, first_a)
        found, tried = self._assigned((initial_a, initial_b), (first_a, first_b), inputs)
        by_step = bool(tried) and self._match_steps((initial_a, initial_b), (first_a, first_b), inputs)
        self._parameters = _paired(self._matching, initial_a, initial_b)
        self._parameters.tried = "" if by_step else tried
        self._initial_values = initial_values(initial_a.parameters, initial_b.parameters, self._matching)
        self._lacking = Lacking.of(self._matching, initial_a, initial_b).that_train(set(), set())
        self._second = second_a, second_b = self._without_second_biases((first_a, first_b), found)
        self._parameters.candidates = self._lacking.candidates()
        self._values_a |= zeroed({**initial_a.parameters, **self._values_a}, second_a)
        values_b, missing = transferred(
            self._matching, {**initial_a.parameters, **self._values_a}, initial_b.parameters
        )
        values_b = {**initial_b.parameters, **values_b}
        self._causes += lacking_in_a(missing)
        self._sides.a.load(self._values_a)
        self._sides.b.load(values_b | zeroed(values_b, second_b))

    def _match_steps(
        self,
        described: tuple[Description, Description],
        firsts: tuple[Trace, Trace],
        inputs: list[np.ndarray],
    ) -> bool:
        """Match fused recurrent layers by their steps, where a fault prevents a proof; False without any."""
        levelled = level(*firsts)
        if all(one is first for one, first in zip(levelled, firsts, strict=True)):
            return False
        by_step = match(*levelled, self._options.names)
        self._matching = best_order(self._sides, by_step, *described, firsts, inputs)
        self._matching = self._with_drawn(*described)
        return True

    def _with_drawn(self, a: Description, b: Description) -> Matching:
        """Return the matching with the arrays that neither side trains and both draw, and without tables.

        A table is the same whenever the models are made, and B does not get that of A.
        """
        free = self._matching.free
        paired = [{each.one.name for each in self._matching.arrays()}]
        paired.append({each.other.name for each in self._matching.arrays()})
        of_a, of_b = (
            [
                (Stored(name), squeezed(array.shape))
                for name, array in side.parameters.items()
                if name not in side.trained and name not in known
            ]
            for side, known in zip((a, b), paired, strict=True)
        )
        new = free_pairs(of_a, of_b, self._options.names, a.parameters, b.parameters)
        apart = [
            (one, other)
            for one, other in (*free, *new)
            if one.name not in a.trained
            and other.name not in b.trained
            and not is_copy(one.canonical(a.parameters[one.name]), other.canonical(b.parameters[other.name]))
        ]
        if not apart:
            return self._matching
        again_a, again_b = self._rebuilt()
        for side, first in ((self._sides.a, a), (self._sides.b, b)):
            side.load(first.parameters)
        fixed_a, fixed_b = (
            {name for name, array in held.items() if np.array_equal(again[name], array)}
            for held, again in (
                (a.parameters, again_a.parameters),
                (b.parameters, again_b.parameters),
            )
        )
        tables = [(one, other) for one, other in apart if one.name in fixed_a and other.name in fixed_b]
        drawn = [
            pair for pair in new if pair in apart and not (pair[0].name in fixed_a or pair[1].name in fixed_b)
        ]
        free = [*(pair for pair in free if pair not in tables), *drawn]
        return msgspec.structs.replace(self._matching, free=free)

    def _assigned(
        self,
        described: tuple[Description, Description],
        firsts: tuple[Trace, Trace],
        inputs: list[np.ndarray],
    ) -> tuple[tuple[Masks, Masks], str]:
        """Pair what the matching leaves open; return masks of second biases, and what was tried in vain."""
        output, loss = firsts[0].values[firsts[0].outputs[0]], self._options.loss
        targets = drawn.targets(output.array, loss)
        found, tried = assigned(
            self._sides,
            self._matching,
            described,
            self._values_a,
            lambda side: side.gradients(inputs, targets, loss, output=output.name, own=False),
            self._options.names,
        )
        for side, held in zip((self._sides.a, self._sides.b), described, strict=True):
            side.load(held.parameters)
        if found is None:
            return ({}, {}), tried
        self._matching = found.matching
        return (found.second_a, found.second_b), tried

    def _without_second_biases(
        self, traces: tuple[Trace, Trace], found: tuple[Masks, Masks]
    ) -> tuple[Masks, Masks]:
        """Return masks of second biases that the other side lacks, where only the sum of biases counts."""
        held = self._lacking.a, self._lacking.b
        masks = [
            {name: np.ones(own[name].shape, bool) for name in second_biases(trace) if name in own} | more
            for trace, own, more in zip(traces, held, found, strict=True)
        ]
        a, b = (
            {name: array for name, array in own.items() if name not in second}
            for own, second in zip(held, masks, strict=True)
        )
        self._lacking = self._lacking._replace(a=a, b=b)
        if any(masks):
            one, other = (", ".join(each) for each in masks)
            text_a, text_b = ("two biases a gate" if each else "one bias a gate" for each in masks)
            self._causes.append(
                Cause.at("two biases", one, other, text_a, text_b, mode="steps", harmless=True)
            )
        return masks[0], masks[1]

    def _compare_modes(self) -> None:
        """Compare outputs in both modes, in evaluation with several batch sizes; walk where they differ."""
        batch = self._options.batch
        cases = [
            self._evaluated(size, traced=size == batch) for size in dict.fromkeys((batch, _SINGLE, batch + 3))
        ]
        if not all(shape.integer for shape in self._shapes):
            large = self._evaluated(batch, traced=False, factor=_FACTOR)
            if large.is_finite:
                cases.append(large)
            else:
                self._not_compared.append(f"inputs × {_FACTOR:g}, with which numbers overflow")
        self._phase("comparing training mode")
        cases.append(evaluated(self._sides, self._shapes, batch, training=True, traced=True))
        trained = cases[-1]
        drawing = self._drawing_in_training(trained)
        if drawing and not self._notes:
            cases.pop()
            self._leave_out_training(drawing)
        self._compared += compared_cases(self._sides.a, cases, self._values_a)
        changed = {*trained.a.state_after}, {*trained.b.state_after}
        self._lacking = self._lacking.that_train(*changed)
        self._try_without_lacking(cases[0])
        for case, found in zip(cases, list(self._compared), strict=True):
            unexplained = not any(not cause.harmless for cause in self._causes)
            if not case.traced and self._compared[0].equal and not found.equal and unexplained:
                case = self._evaluated(len(case.inputs[0]), traced=True, factor=case.factor)  # noqa: PLW2901
            if case.traced:
                self._explain(case, found, walks=not (case.training and case.has_outputs_of(cases[0])))
        if any(isinstance(call.does, kinds.Dropout) for call in (*trained.a.calls, *trained.b.calls)):
            self._not_compared.append("the random numbers of dropout, which is off in all that is computed")
        first = trained.a.values[trained.a.outputs[0]]
        self._output, self._output_name = first.array, first.name
        self._untrained = self._untrained or _unlike_firsts(trained.a, trained.b)
        if not drawing:
            self._compare_state(trained)
        # The training below needs memory for several copies of all parameters.
        self._values_a = {}
        for side in (self._sides.a, self._sides.b):
            side.forget_parameters()

    def _drawing_in_training(self, trained: Evaluated) -> list[str]:
        """Name the models that draw random numbers in training, where the outputs of both differ."""
        if worst_output(trained.a, trained.b)[0] <= TOLERANCE:
            return []
        return self._drawing((trained.a, trained.b), trained.inputs, training=True)

    def _leave_out_training(self, drawing: Sequence[str]) -> None:
        """Note that training is not compared, because these models draw random numbers in it."""
        self._untrained = f"{' and '.join(drawing)} draws random numbers other than those of dropout"
        self._not_compared.append(f"training mode, because {self._untrained}")
        if len(drawing) == _SINGLE:  # the other one may lack them, or draw them in a layer of dropout
            self._notes.append(f"In training, {self._untrained}, and the other model draws none.")

    def _drawing(self, traces: tuple[Trace, Trace], inputs: list[np.ndarray], *, training: bool) -> list[str]:
        """Name the models whose outputs differ from those in ``traces`` when they are evaluated again."""
        again = self._sides.both(lambda side: side.outputs(inputs, training=training))
        return [
            record.target
            for record, first, second in zip(self._records, traces, again, strict=True)
            if worst_output(first, second)[0] > TOLERANCE
        ]

    def _evaluated(self, size: int, *, traced: bool, factor: float = 1.0) -> Evaluated:
        return evaluated(self._sides, self._shapes, size, training=False, traced=traced, factor=factor)

    def _try_without_lacking(self, case: Evaluated) -> None:
        """Check that both sides are equal once the parameters that one side lacks have known values."""
        before = self._compared[0].worst
        if self._compared[0].equal or not (self._lacking.a or self._lacking.b):
            return
        sides, lacking = self._sides, self._lacking
        for trial in lacking.trials(self._values_a):
            sides.a.load(trial.values_a)
            sides.b.load(trial.values_b)
            a, b = sides.both(lambda side: side.outputs(case.inputs, training=False))
            sides.a.load({name: self._values_a.get(name, array) for name, array in lacking.a.items()})
            sides.b.load(lacking.b)
            after, _ = worst_output(a, b)
            if after <= TOLERANCE:
                self._lacking_explains = True
                one, other = (", ".join(each) for each in (self._lacking.a, self._lacking.b))
                self._causes.append(Cause.at(trial.kind, one, other, trial.a, trial.b, before, after))
                return

    def _explain(self, case: Evaluated, found: Compared, *, walks: bool) -> None:
        self._causes += dropouts(case.a, case.b, training=case.training)
        if found.equal or self._lacking_explains or not walks:
            return
        self._phase(f"finding causes in {'training mode' if case.training else 'evaluation'}")
        self._causes += walked(self._sides, case, self._matching)
        for record, trace in () if case.training else zip(self._records, (case.a, case.b), strict=True):
            names = {call.function for call in trace.calls if isinstance(call.does, kinds.Opaque)}
            if names:
                self._notes.append(
                    f"{record.target} calls what cannot be described: {', '.join(sorted(names))}"
                )

    def _compare_state(self, trained: Evaluated) -> None:
        worst, found = running_state(trained.a, trained.b, self._matching)
        if trained.a.state_after or trained.b.state_after:
            self._compared.append(compared("running statistics", worst, GRADIENT_TOLERANCE))
        if self._compared[-1 if not trained.a.state_after else -2].equal or are_momenta(found):
            self._causes += found

    def _differentiated(self, compare: Callable[[], None]) -> None:
        """Call ``compare``, unless a model runs and has no gradients, such as a ``while_loop`` of JAX."""
        try:
            compare()
        except UsageError as error:
            if self._has_gradients():
                raise
            self._untrained = f"a model cannot be trained, {str(error).splitlines()[0].rstrip('.')}"

    def _has_gradients(self) -> bool:
        """Check that both models can be differentiated, with a loss of the harness."""
        inputs = random_inputs(self._shapes, self._options.batch)
        loss = self._options.loss
        targets, output = drawn.targets(self._output, loss), self._output_name
        try:
            self._sides.both(lambda side: side.gradients(inputs, targets, loss, output=output, own=False))
        except UsageError:
            return False
        return True

    def _compare_gradients(self) -> None:
        """Compare gradients of each side's own loss and, where the losses differ, of the named loss."""
        inputs = random_inputs(self._shapes, self._options.batch)
        targets = drawn.targets(self._output, self._options.loss)

        def differentiated(*, own: bool) -> tuple[Gradients, Gradients]:
            loss = self._options.loss
            return self._sides.both(
                lambda side: side.gradients(inputs, targets, loss, output=self._output_name, own=own)
            )

        own = any(record.own_loss for record in self._records)
        if own:
            a, b = differentiated(own=True)
            found = loss_causes(a, b)
            self._causes += found
            own = not found
            gap = difference(b.of_output, a.of_output)
            self._compared.append(compared("gradients of the losses", gap, GRADIENT_TOLERANCE))
        if not own:
            a, b = differentiated(own=False)
        worst = worst_parameter(self._matching, a.parameters, b.parameters)
        self._compared.append(
            compared("gradients of the parameters", worst.gap, GRADIENT_TOLERANCE, worst.where)
        )
        gaps = [output_gap(one, other) for one, other in zip(a.inputs, b.inputs, strict=False)]
        gap = largest(gaps)
        self._compared.append(compared("gradients of the inputs", gap, GRADIENT_TOLERANCE))
        if worst.gap > GRADIENT_TOLERANCE:
            cause = Cause.at("gradient", worst.where, worst.where, before=worst.gap, mode="gradients")
            self._causes += untied(self._matching, a.parameters, b.parameters) or [cause]

    def _compare_training(self) -> None:
        """Compare losses and parameters of some steps, with each side's own optimizer and loss, if any."""
        a, b = self._updates
        if a is not None and b is not None:
            if "unknown" in {rule.rule for rule in (*a.values(), *b.values())}:
                self._not_compared.append("the options of the optimizers, only what their steps do")
            self._causes += optimizers.causes_of(self._matching, a, b)
        self._causes += two_biases(self._matching)
        options = self._options
        self._phase("comparing training steps")
        batches = drawn.batches(self._shapes, options.batch, self._steps, self._output, options.loss)
        steps = TrainingSteps(
            self._sides,
            self._matching,
            self._updates,
            options.loss,
            self._output_name,
            self._second,
        ).compare(batches, self._causes)
        self._compared += steps.compared
        self._causes += steps.causes
        self._same_steps = steps.steps
        if steps.reason:
            self._lack_training(steps.reason)
        elif 0 < steps.steps < self._steps:
            self._not_compared.append(
                f"training after step {steps.steps}, because rounding grows in it without end"
            )

    def _lack_training(self, reason: str) -> None:
        """Note that training is not compared; with an own optimizer or loss the verdict is open then."""
        if any(record.own_optimizer or record.own_loss for record in self._records):
            self._notes.append(f"Training could not be compared: {reason}")
        else:
            self._not_compared.append(f"training steps: {reason}")


def _unlike_firsts(a: Trace, b: Trace) -> str:
    """Return why the first outputs of both sides cannot have one loss; empty if they can."""
    if (a.outputs[0], b.outputs[0]) not in paired_outputs(a, b):
        return "the outputs have other names"
    one, other = (trace.values[trace.outputs[0]].array for trace in (a, b))
    if one.shape != other.shape:
        return f"the outputs have their axes in another order, {one.shape} against {other.shape}"
    is_turned = output_gap(one, other) <= TOLERANCE < difference(one, other)
    return "the outputs have their axes in another order" if is_turned else ""


def _paired(matching: Matching, a: Description, b: Description) -> Parameters:
    def count(described: Description) -> int:
        return sum(described.parameters[name].size for name in described.trained)

    pairs = [
        ParameterPair(one.name, other.name, role, use.shapes[role] if use else a.parameters[one.name].shape)
        for one, other, role, use, _ in matching.arrays()
    ]
    return Parameters(
        count(a),
        count(b),
        pairs,
        [name for name in matching.unmatched_a if name in a.trained],
        [name for name in matching.unmatched_b if name in b.trained],
    )
