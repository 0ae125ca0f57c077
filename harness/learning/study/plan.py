"""What a study will run: every variant that fits the task, on every seed and backend."""

import itertools
from collections.abc import Mapping, Sequence

import msgspec

from harness.core.documents.numbers import counted
from harness.core.machine.description import default_threads
from harness.core.plugins.configuration import Configuration
from harness.core.plugins.selection import select_backend
from harness.core.runs.record import Evaluation
from harness.core.runs.request import TRIAL_SEED, RunRequest, StopRule, choose_dataset, summary_of
from harness.core.training.splits import share_count, training_count
from harness.errors import UsageError
from harness.learning.study.kinds import extras_of, require_extras
from harness.learning.study.parts import parts_of
from harness.learning.study.record import Study, Trial, Variant
from harness.learning.study.variants import (
    FEWEST_VARIANTS,
    DefinedTask,
    Design,
    Omission,
    StudyOptions,
    centre,
    scored_every,
)
from harness.spec.data import DownloadProgress
from harness.spec.description import description_sha256
from harness.spec.study import StudyVariant


class StudyPlan(Design):
    """The runs of a study: trials of the variants that are tuned, then every variant on every seed.

    The constructor fetches the data set. ``warning`` says why there will be no page; None where there will.
    """

    def __init__(self, options: StudyOptions, progress: DownloadProgress) -> None:
        super().__init__(options)
        fitting = msgspec.structs.replace(self.kind, variants=tuple(self.variants))
        tune = ["tune"] if self.trials and options.sampler == "tpe" else []
        self.warning = require_extras([*tune, *extras_of(fitting)])
        self._works = {work for part in parts_of(self.kind) for work in part.works}
        selections = [select_backend(name) for name in options.backends]
        # The same modes for all variants, because they are compared with one another.
        plain = self.defined(self.variants[0]).task
        chosen = [(each.backend.name, mode) for each in selections for mode in each.modes(plain)]
        self.configurations = list(dict.fromkeys(chosen))
        federated = {self.defined(each).task.federated is not None for each in self.variants}
        if options.max_steps and federated == {True, False}:
            raise UsageError(
                "--max-steps counts rounds where there are clients, and batches elsewhere; use --epochs"
            )
        self._dataset = choose_dataset(self.definition, self.dataset, progress)
        self._leave_out_small()

    def _leave_out_small(self) -> None:
        """Leave out variants whose training data have no batch, where the data set says how many it has."""
        if (summary := summary_of(self._dataset.name)) is None:
            return
        count, small = training_count(summary.samples), list[Omission]()
        for variant in self.variants:
            task = self.defined(variant, centre(variant)).task
            samples = share_count(count, task.train_fraction)
            if samples < (task.batch_size or 1):
                few = counted(samples, "training sample")
                small.append(Omission(variant.name, f"its {few} are fewer than a batch of {task.batch_size}"))
        first = self.variants[0].name
        for omission in small:
            self.leave_out(omission.variant)
        if small and (len(self.variants) < FEWEST_VARIANTS or self.variants[0].name != first):
            raise UsageError(
                f"study {self.kind.name}: {small[0].variant}: {small[0].reason}; "
                "give a data set with more samples"
            )
        self.omissions += small

    def leave_out(self, name: str) -> None:
        """Compare the variant of this name no more."""
        self.variants = [each for each in self.variants if each.name != name]

    def trial(
        self, variant: StudyVariant, found: Sequence[str], label: str, stop: StopRule | None
    ) -> RunRequest:
        """Request a trial of the settings ``found``.

        It runs on the first configuration: certified ones compute the same.
        """
        defined = self.defined(variant, found)
        return self._request(
            variant, defined, self.configurations[0], TRIAL_SEED, f"{variant.name}, {label}", stop
        )

    def study(
        self,
        found: Mapping[str, Sequence[str]],
        trials: Sequence[Trial],
        reference: str = "",
        target: float | None = None,
    ) -> Study:
        """Make the study file; ``found`` has the settings of each variant that is tuned."""
        options = self.options
        variants = []
        for each in self.variants:
            assignments = [*each.assignments, *found.get(each.name, ())]
            task = self.defined(each, found.get(each.name, ())).task
            every = scored_every(each)
            variants.append(Variant(each.name, assignments, description_sha256(task), task.epochs, every))
        return Study(
            kind=self.kind,
            task=options.task,
            dataset=self._dataset.name,
            assignments=options.assignments,
            epochs=self.epochs,
            max_steps=options.max_steps,
            precision=options.precision,
            threads=options.threads or default_threads(),
            variants=variants,
            sampler=options.sampler,
            trials=[each for each in trials if each.variant in {variant.name for variant in variants}],
            reference=reference,
            target=target,
            quick=options.quick,
            tuned_on=":".join(self.configurations[0]) if self.trials else msgspec.UNSET,
        )

    def runs(self, found: Mapping[str, Sequence[str]], seeds: range | None = None) -> list[RunRequest]:
        """Return the runs that are compared, ordered by seed, then variant, then backend.

        Default of ``seeds``: all.
        """
        defined = [(each, self.defined(each, found.get(each.name, ()))) for each in self.variants]
        return [
            self._request(variant, task, configuration, seed, variant.name, None)
            for seed, (variant, task), configuration in itertools.product(
                range(self.seeds) if seeds is None else seeds, defined, self.configurations
            )
        ]

    def _request(
        self,
        variant: StudyVariant,
        defined: DefinedTask,
        configuration: tuple[str, str],
        seed: int,
        label: str,
        stop: StopRule | None,
    ) -> RunRequest:
        options = self.options
        threads = options.threads or default_threads()
        return RunRequest(
            configuration=Configuration(*configuration, options.device, threads, options.precision),
            task=defined.task,
            seed=seed,
            options=defined.values,
            dataset=self._dataset,
            max_steps=options.max_steps,
            evaluation=Evaluation(scored_every(variant)),
            command=options.command,
            variant=label,
            asks_for=tuple(sorted(self._works)) if stop is None else (),
            stop=stop,
        )
