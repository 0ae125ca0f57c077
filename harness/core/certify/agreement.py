"""References are made from the agreement of at least two frameworks."""

from collections.abc import Callable, Sequence

from harness.core.certify.cases import Case, cases
from harness.core.certify.certify import ALL_STEPS, Examiner
from harness.core.certify.observation import Observation, TrialPrograms, observe
from harness.core.certify.parity import compare
from harness.core.certify.references import Reference, ReferenceCase, case_sha256
from harness.core.plugins import registry
from harness.core.plugins.installation import installed_version
from harness.core.reference.training import NUMPY, NumpyBackend
from harness.errors import Declined, HarnessError
from harness.spec.task import TaskDefinition


def make_reference(
    definition: TaskDefinition,
    examiners: Sequence[Examiner],
    report: Callable[[str], None] = lambda _what: None,
) -> Reference:
    """Make a reference from the agreement of at least two frameworks.

    ``report`` is called with the next configuration and case.
    """
    all_cases = cases(definition)
    configurations = [examiner.configuration for examiner in examiners]
    observed: list[list[Observation | None]] = [[] for _ in examiners]
    for case in all_cases:
        for place, examiner in enumerate(examiners):
            report(f"{configurations[place].label}, case {case.name!r}")
            observed[place].append(_observed_if_offered(examiner, case))
    agreed: dict[str, ReferenceCase] = {}
    for case, *found in zip(all_cases, *observed, strict=True):
        labelled = [(each.label, own) for each, own in zip(configurations, found, strict=True) if own]
        if len(labelled) < len(examiners):  # some have no gradients of single samples
            programs = TrialPrograms(NumpyBackend(), NumpyBackend.modes[0], 1)
            labelled.append((NUMPY, observe(programs, case)))
        (first, expected), *others = labelled
        for label, other in others:
            finding = compare(case.name, other, expected)
            if not finding.passed:
                raise HarnessError(
                    f"{label} and {first} disagree on {definition.name}, case {case.name!r}: "
                    f"{finding.explanation}"
                )
        agreed[case.name] = ReferenceCase(case_sha256(case), expected)
    return Reference(
        task=definition.name,
        version=all_cases[0].task.version,
        made_with={
            configuration.label: ", ".join(
                map(installed_version, registry.backend(configuration.backend).requires)
            )
            for configuration in configurations
        },
        cases=agreed,
    )


def _observed_if_offered(examiner: Examiner, case: Case) -> Observation | None:
    """Observe a configuration on a case; None for a case of DP-SGD that the configuration declines."""
    try:
        return examiner.examine(ALL_STEPS, case)
    except Declined:
        if case.task.privacy is None:
            raise
        return None
