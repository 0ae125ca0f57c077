"""The runs of a study that are recorded, by this or any other command."""

from collections.abc import Iterator

from harness.analysis.study import Study
from harness.runs.record import Record
from harness.runs.store import RUNS, Store


def study_records(study: Study, store: Store) -> Iterator[Record]:
    """The study's runs among all records, of every machine, device and version."""
    descriptions = {variant.description for variant in study.variants}
    records = (record for record in RUNS.read_each(store.paths()) if isinstance(record, Record))
    return (record for record in records if record.task.sha256 in descriptions)
