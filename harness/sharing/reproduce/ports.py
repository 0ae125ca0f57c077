"""Repetition of comparisons of two models: the recorded command again, and findings compared."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from harness.core.documents.numbers import counted
from harness.sharing.reproduce.recorded_command import RecordedCommand
from harness.sharing.reproduce.repetition import Agreement, Repetition, Stored, machine_facts
from harness.sharing.reproduce.runs import lacking_code

if TYPE_CHECKING:
    from harness.port.record import PortRecord


class PortRepetition(Repetition["PortRecord"]):
    """Comparisons of two models."""

    commands = ("port",)

    def lacking(self, stored: "Stored[PortRecord]") -> Iterator[str]:
        """See :meth:`Repetition.lacking`."""
        findings = stored.record.findings
        command = RecordedCommand(stored.record.command, self.commands)
        yield from lacking_code([findings.a.target, findings.b.target])
        for file in command.values("map_file"):
            if not Path(file).is_file():
                yield f"map {file} does not exist"

    def facts(self, stored: "Stored[PortRecord]") -> Mapping[str, str]:
        """See :meth:`Repetition.facts`."""
        record = stored.record
        versions = {**record.findings.a.versions, **record.findings.b.versions}
        return {**versions, **machine_facts(record.machine), "threads": str(record.options.threads)}

    def arguments(self, record: "PortRecord", command: RecordedCommand) -> None:
        """See :meth:`Repetition.arguments`."""
        command.set("threads", str(record.options.threads))
        # A data set says nothing but the shapes, which the record has.
        for name in ("dataset", "target", "image_size", "set_data", "dtypes", "maxima"):
            command.drop(name)
        command.set("shapes", *[",".join(map(str, each.shape)) for each in record.inputs])
        command.set("dtypes", *["int" if each.integer else "float" for each in record.inputs])
        command.set("maxima", *[str(each.maximum) for each in record.inputs if each.integer])

    def agreement(self, theirs: "Stored[PortRecord]", mine: "Stored[PortRecord]") -> Agreement:
        """See :meth:`Repetition.agreement`: the verdict, and the kinds and places of the causes."""
        there, here = theirs.record.findings, mine.record.findings
        figures = f"{there.verdict} there and {here.verdict} here"
        if "undecided" in {there.verdict, here.verdict}:
            return Agreement(verdict="undecided", reasons=[figures])
        if there.verdict != here.verdict:
            return Agreement(verdict="does not hold", reasons=[figures])
        ours, other = (
            sorted((cause.kind, cause.path_a, cause.path_b) for cause in each.causes)
            for each in (there, here)
        )
        if ours == other:
            causes = f", with the same {counted(len(ours), 'cause')}" if ours else ""
            return Agreement(verdict="holds", reasons=[f"“{there.verdict}” in both{causes}"])
        named = [", ".join(dict.fromkeys(kind for kind, *_ in each)) or "none" for each in (ours, other)]
        reason = f"“{there.verdict}” in both; causes: {named[0]} there and {named[1]} here"
        return Agreement(verdict="holds in direction", reasons=[reason])


REPETITION = PortRepetition()
