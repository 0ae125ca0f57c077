"""Runs of a study's remedies that have no plain runs under the same conditions to be compared with."""

import itertools
from collections.abc import Sequence

from harness.analysis.grouping import RunGroup
from harness.analysis.kept_apart import NoPlainRuns
from harness.analysis.study import Study


def unpaired_remedies(study: Study, groups: Sequence[RunGroup]) -> list[NoPlainRuns]:
    """For each remedy and configuration without plain runs, how the nearest plain runs differ."""
    reference, *remedies = study.variants
    plain = [
        (group.conditions.without_description, configuration.identity)
        for group in groups
        if study.holds(group.conditions, reference)
        for configuration in group.configurations
    ]
    unpaired = []
    for remedy, group in itertools.product(remedies, groups):
        # A variant without assignments is the plain task, whose runs need not belong to the study.
        if not remedy.assignments or not study.holds(group.conditions, remedy):
            continue
        ours = group.conditions.without_description
        for configuration in group.configurations:
            theirs = [conditions for conditions, identity in plain if identity == configuration.identity]
            if ours not in theirs:
                nearest = min(map(ours.differences, theirs), key=len, default=[])
                unpaired.append(
                    NoPlainRuns(
                        task=group.conditions.task,
                        title=group.title,
                        configuration=configuration.name,
                        runs=len(configuration.runs),
                        remedy=remedy.name,
                        reference=reference.name,
                        differences=tuple(nearest),
                    )
                )
    return unpaired
