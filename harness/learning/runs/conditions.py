"""The conditions that runs must share to be compared, and the fields in which two conditions differ."""

from typing import NamedTuple

import msgspec

from harness.core.machine.worker_variables import variables_text
from harness.core.runs.record import Evaluation, Record


class Difference(NamedTuple):
    """A field in which two :class:`Conditions` differ, with its value in each."""

    name: str
    ours: object
    theirs: object


class Conditions(msgspec.Struct, frozen=True, kw_only=True):
    """Everything that must be equal for two runs to be compared; only the configuration may differ."""

    task: str
    version: int
    description: str
    """The sha256 of the task's description."""
    dataset: str
    fingerprint: str | None
    epochs: int
    max_steps: int | None
    evaluation: Evaluation = Evaluation()
    precision: str
    device: str | None
    threads: int
    machine: str
    host: str = ""
    """Which of several machines of the same model."""
    certified: bool
    variables: str = ""
    """The user's environment variables that are known to affect speed or results."""

    @classmethod
    def of(cls, record: Record) -> "Conditions":
        """Return the conditions of a record."""
        return cls(
            task=record.task.name,
            version=record.task.version,
            description=record.task.sha256,
            dataset=record.dataset.name,
            fingerprint=record.dataset.fingerprint,
            epochs=record.epochs_asked,
            max_steps=record.max_steps,
            evaluation=record.evaluation,
            precision=record.configuration.precision,
            device=record.device,
            threads=record.configuration.threads,
            machine=record.machine.model_text,
            certified=bool(record.certificate and record.certificate.certified),
            variables=variables_text(record.inherited_variables),
            host=record.machine.host or "",
        )

    def apart_from(self, *names: str) -> tuple[object, ...]:
        """Return the values of all fields but these, as a key."""
        return tuple(getattr(self, name) for name in self.__struct_fields__ if name not in names)

    def differences(self, other: "Conditions") -> list[Difference]:
        """Return the fields in which the two differ, without those that follow from another difference."""
        different = [name for name in self.__struct_fields__ if getattr(self, name) != getattr(other, name)]
        implied = set()
        if "dataset" in different:
            implied.add("fingerprint")
        if "version" in different or "epochs" in different:
            implied.add("description")
        return [
            Difference(name, getattr(self, name), getattr(other, name))
            for name in different
            if name not in implied
        ]
