"""Runs and findings of given records, for the tests of comparisons."""

from functools import partial

from harness.learning.runs.findings import find
from harness.learning.runs.run_curves import Run
from harness.learning.study.report_section import sections_of


def made_runs(*records):
    return [Run.of(record) for record in records]


def findings_of(*records, studies=(), **options):
    """Find what these records and studies show; ``options`` are those of :func:`find`."""
    return find(made_runs(*records), [partial(sections_of, studies)], **options)


def study_findings_of(*records, studies):
    """Return the findings of these studies in the records."""
    return [section.finding for section in findings_of(*records, studies=studies).sections]


def only_group(*records, **options):
    """Return the findings of the group of records that can all be compared."""
    (group,) = findings_of(*records, **options).groups
    return group


def compared(*records, **options):
    """Return the comparison of the only group of these records."""
    return only_group(*records, **options).comparison
