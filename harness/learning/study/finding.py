"""The result of a study on one configuration: the effects of its variants, the reference first."""

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

from harness.core.stats.estimate import Estimate
from harness.core.training.measures import Measure
from harness.learning.runs.grouping import RunGroup
from harness.learning.runs.overfit import Overfitting, overfitting
from harness.learning.runs.rows import ConfigurationRuns
from harness.learning.runs.run_curves import Run
from harness.learning.study.judging import NO_NEED, Need, Side, Verdict, contrast, verdict_of
from harness.learning.study.quantities import Quantity
from harness.learning.study.record import Study, Variant
from harness.spec.study import StudyVariant


@dataclass(frozen=True, slots=True)
class Effect:
    """A variant on one configuration: levels, and changes from the reference on the same seeds, by quantity.

    A change is a difference, or a quotient where the quantity is a ratio. The intervals of decisive changes
    hold for all variants and decisive quantities together, because one of several is chosen by them. Where
    the kind asks for the best, decisive changes are those from the best of the other variants.
    """

    variant: Variant
    described: StudyVariant
    seeds: int
    levels: Mapping[str, Estimate | None]
    changes: Mapping[str, Estimate | None]
    verdict: Verdict | None
    """None for the reference of a kind that compares with the first variant."""
    need: Need = NO_NEED
    """What a verdict that is open needs; nothing for the leading variant, which waits for the others."""
    diverged: tuple[int, ...] = ()
    """The seeds whose training diverged."""
    signs: Mapping[str, int] = field(default_factory=dict)
    """By decisive quantity: -1 where the variant is certainly worse, 1 where it is certainly better."""

    def deciding(self, sign: int) -> str | None:
        """Return the first decisive quantity in which the variant certainly is better (1) or worse (-1)."""
        return next((name for name, found in self.signs.items() if found == sign), None)


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
    sides: Mapping[str, Side]
    """The values of each effect's variant, by its name."""
    confidence: float
    """The confidence of each interval of a decisive change."""
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
        """Return the effects with these verdicts."""
        return [effect for effect in self.effects if effect.verdict in verdicts]

    @property
    def asks_for_best(self) -> bool:
        """True if every variant is compared with the best of the others."""
        return self.study.kind.reference == "best"

    @property
    def asks_each(self) -> bool:
        """True if the question is answered for each variant by its level, and nothing is compared."""
        return self.quantities[self.study.kind.decisive[0]].answers is not None

    @property
    def may_be_best(self) -> list[Effect]:
        """The variants that cannot be distinguished from the best, the leading one first."""
        return [effect for effect in self.effects if effect.verdict in {"best", "equal", "undecided"}]

    @property
    def helpful(self) -> list[Effect]:
        """The variants that are certainly better than the reference; none that changes the data."""
        return [effect for effect in self.of_verdict("better") if not effect.described.data]

    @cached_property
    def recommended(self) -> Effect | None:
        """The variant that is certainly better than the reference and than every other helpful one."""
        return next((effect for effect in self.helpful if self._helps_most(effect)), None)

    def _helps_most(self, effect: Effect) -> bool:
        decisive = [self.quantities[name] for name in self.study.kind.decisive]
        others = [self.sides[each.variant.name] for each in self.helpful if each is not effect]
        ours = self.sides[effect.variant.name]
        found = ([contrast(each, ours, other, self.confidence) for each in decisive] for other in others)
        return all(verdict_of(contrasts) == "better" for contrasts in found)
