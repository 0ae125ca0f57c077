"""The runs of a study that are already recorded, by this or any other command."""

import os
from collections.abc import Iterable, Iterator

from harness.analysis.conditions import Conditions, same_machine, variables_text
from harness.analysis.study import Study
from harness.analysis.study_planning import PlannedStudy, StudyOptions, StudyRun
from harness.machine.description import Machine, describe_machine
from harness.machine.worker_variables import inherited_variables
from harness.plugins.installation import has_versions
from harness.plugins.versions import identifying_versions
from harness.runs.record import Record
from harness.runs.store import RUNS, Store


def study_records(study: Study, store: Store) -> Iterator[Record]:
    """The study's runs among all records, of every machine, device and version."""
    descriptions = {variant.description for variant in study.variants}
    records = (record for record in RUNS.read_each(store.paths()) if isinstance(record, Record))
    return (record for record in records if record.task.sha256 in descriptions)


def missing_runs(planned: PlannedStudy, records: Iterable[Record], options: StudyOptions) -> list[StudyRun]:
    """The runs that no record replaces: one made under the same conditions as these runs would be."""
    machine = describe_machine()
    usable = [record for record in records if _usable(record, machine, options)]
    known = finished(planned.study, usable)
    return [
        run
        for run in planned.runs
        if (run.variant, f"{run.request.backend}:{run.request.plan.mode}", run.request.plan.seed) not in known
    ]


def finished(study: Study, records: Iterable[Record]) -> set[tuple[int, str, int]]:
    """Variant, configuration as on the command line, and seed of each ``ok`` run of the study."""
    return {
        (index, record.label, record.seed)
        for record in records
        for index, variant in enumerate(study.variants)
        if record.status == "ok" and study.holds(Conditions.of(record), variant)
    }


def _usable(record: Record, machine: Machine, options: StudyOptions) -> bool:
    """Whether this call would make the run alike: machine, variables, device, certificate, versions."""
    # A process sees only the GPU that it is given, as the first: the record's cuda:0 may be any.
    numbered = ":" in record.device_asked
    device = record.device_asked if numbered else (record.device or "").partition(" ")[0]
    variables = variables_text(inherited_variables(os.environ, record.worker_variables))
    return (
        same_machine(record.machine, machine)
        and variables_text(record.inherited_variables) == variables
        and options.device in {record.device_asked, device}
        and options.certify == (record.certificate is not None)
        and has_versions(record.backend, identifying_versions(record.backend, record.framework))
    )
