"""The record of a step of the user's own that is timed alone. Times are in seconds."""

import msgspec

from harness.core.documents.contents import Needs
from harness.core.documents.kinds import Envelope, RecordKind
from harness.timing.engine.record import ConfigurationRecord, PairRecord, StepRecord, refuse_incomplete
from harness.timing.engine.steps.findings import FirstValues
from harness.timing.engine.steps.profiles import Profiles

SCHEMA = 2


class TimeRecord(Envelope, msgspec.Struct, kw_only=True):
    """A step of the user's own, timed. Times are in seconds."""

    schema: int = SCHEMA
    failure: str = ""
    step: StepRecord
    inherited_variables: dict[str, str] = {}
    missing_controls: list[str] = []
    turns: int = 0
    """Blocks of each process."""
    configurations: list[ConfigurationRecord] = []
    """The configuration that was timed; empty before it ran."""
    pairs: list[PairRecord] = []
    """The blocks of each process, in the form of a duel's."""
    single_calls: list[list[float]] = []
    """Seconds of each call that was timed alone, for each process, after its blocks."""
    first_values: list[FirstValues] = []
    """The values that the first calls returned."""
    profiles: Profiles | None = None
    """Profiles of a step, if the user asked."""
    is_deterministic: bool | None = None
    """Two processes returned equal values; None where nothing was returned."""
    seconds: float = 0.0

    def __post_init__(self) -> None:
        """Raise ValueError if the parts of a damaged file do not fit together."""
        refuse_incomplete(self.pairs, len(self.configurations))


TIMES = RecordKind(
    name="time",
    folder="times",
    type=TimeRecord,
    schema=SCHEMA,
    mark="single_calls",
    row="harness.timing.time.page:row",
    document="harness.timing.time.page:time_document",
    needs=lambda record: Needs(record.step.targets),
    noun=("timing of a step", "timings of steps"),
)
