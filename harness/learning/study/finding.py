"""The result of a study on one configuration: the effects of its variants, the reference first."""

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Literal

from harness.core.stats.estimate import Estimate
from harness.core.training.measures import Measure
from harness.learning.runs.grouping import RunGroup
from harness.learning.runs.overfit import Overfitting, overfitting
from harness.learning.runs.rows import ConfigurationRuns
from harness.learning.runs.run_curves import Run
from harness.learning.study.quantities import Quantity
from harness.learning.study.record import Study, Variant
from harness.spec.study import StudyVariant

#: The verdict on a variant against the reference. ``equal``: every decisive difference is certainly within
#: its margin; ``mixed``: one decisive quantity is certainly better, another one certainly worse; ``few``:
#: fewer seeds than an interval needs.
Verdict = Literal["better", "worse", "mixed", "equal", "undecided", "few"]


@dataclass(frozen=True, slots=True)
class Effect:
    """A variant on one configuration: levels, and changes from the reference on the same seeds, by quantity.

    A change is a difference, or a quotient where the quantity is a ratio. The intervals of decisive changes
    hold for all variants and decisive quantities together, because one of several is chosen by them.
    """

    variant: Variant
    described: StudyVariant
    seeds: int
    levels: Mapping[str, Estimate | None]
    changes: Mapping[str, Estimate | None]
    verdict: Verdict | None
    """None for the reference itself."""


@dataclass(frozen=True)
class StudyFinding:
    """A study on one configuration: the effects of its variants, the reference first."""

    study: Study
    group: RunGroup
    configuration: ConfigurationRuns
    """The runs of the reference."""
    quantities: Mapping[str, Quantity]
    effects: list[Effect]
    treated: list[tuple[Variant, RunGroup, ConfigurationRuns]]
    """The runs of each variant, the reference first; early stopping has none of its own."""
    results: Path | None = None
    """The results folder, for images beside the records."""

    @property
    def measure(self) -> Measure:
        """The measure of the task's quality."""
        return self.group.measure

    @property
    def reference(self) -> Effect:
        """The variant that the others are compared with."""
        return self.effects[0]

    @property
    def runs(self) -> list[Run]:
        """Every run that is compared."""
        return [run for _, _, treated in self.treated for run in treated.runs]

    @cached_property
    def curves(self) -> dict[str, Overfitting]:
        """The curves of each variant, by its name; without variants that scored no epoch."""
        read = {variant.name: overfitting(group, runs) for variant, group, runs in self.treated}
        return {name: curve for name, curve in read.items() if curve is not None}

    @property
    def reference_curve(self) -> Overfitting | None:
        """The curves of the reference; None if it scored no epoch."""
        return self.curves.get(self.reference.variant.name)

    @property
    def group_title(self) -> str:
        """The title of the group, without the options that the study itself sets."""
        names = {name for variant in self.study.variants for name in variant.options} | {"evaluation"}
        kept = tuple(each for each in self.group.distinctions if each.name not in names)
        return dataclasses.replace(self.group, distinctions=kept).title

    @property
    def disturbed(self) -> bool:
        """True if other programs used the machine during a run, so that times are unreliable."""
        return any(run.record.disturbed for run in self.runs)

    def of_verdict(self, *verdicts: Verdict) -> list[Effect]:
        """Return the effects with these verdicts, without the reference."""
        return [effect for effect in self.effects[1:] if effect.verdict in verdicts]

    @property
    def recommended(self) -> Effect | None:
        """The best of the variants that are certainly better than the reference; None without one.

        It is the one with the largest certain gain in the first decisive quantity that decides between any.
        """
        better = [effect for effect in self.of_verdict("better") if not effect.described.data]
        for name in self.study.kind.decisive:
            sign = self.quantities[name].measure.sign
            gains = [
                (sign * change.value, effect)
                for effect in better
                if (change := effect.changes.get(name)) is not None and change.excludes(0.0)
            ]
            if gains:
                return max(gains, key=lambda gain: gain[0])[1]
        return None
