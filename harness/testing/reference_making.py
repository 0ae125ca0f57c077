"""References are made from the agreement of at least two frameworks."""

from collections.abc import Sequence

from harness.errors import HarnessError
from harness.plugins import registry
from harness.plugins.installation import installed_version
from harness.spec.task import TaskDefinition
from harness.testing.cases import cases
from harness.testing.certify import Examiner
from harness.testing.parity import compare
from harness.testing.reference import Reference, ReferenceCase, case_sha256


def make_reference(definition: TaskDefinition, examiners: Sequence[Examiner]) -> Reference:
    """A reference from the agreement of at least two frameworks.

    Raises:
        HarnessError: the configurations disagree; says in which case and how.
    """
    all_cases = cases(definition)
    configurations = [examiner.configuration for examiner in examiners]
    first, *others = [[examiner.observe(case) for case in all_cases] for examiner in examiners]
    for configuration, other in zip(configurations[1:], others, strict=True):
        for case, expected, observed in zip(all_cases, first, other, strict=True):
            finding = compare(case.name, observed, expected)
            if not finding.passed:
                raise HarnessError(
                    f"{configuration.label} and {configurations[0].label} disagree on {definition.name}, "
                    f"case {case.name!r}: {finding.explanation}"
                )
    return Reference(
        task=definition.name,
        version=all_cases[0].task.version,
        made_with={
            configuration.label: ", ".join(
                map(installed_version, registry.backend(configuration.backend).requires)
            )
            for configuration in configurations
        },
        cases={
            case.name: ReferenceCase(case_sha256(case), observed)
            for case, observed in zip(all_cases, first, strict=True)
        },
    )
