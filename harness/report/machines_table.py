"""The ratios of several machines side by side, as a table."""

from collections import Counter

from harness.analysis.across_machines import AcrossMachines, MachineRatio, MachineRatios
from harness.report.doubt_words import UNRELIABLE
from harness.report.numbers import NOTHING, time_ratio
from harness.report.table import Cell, Table


def machines_table(across: AcrossMachines) -> Table:
    """A row for each configuration and a column for each machine; the legend describes the machines."""
    headers = _headers(across.machines)
    rows: list[list[Cell | str]] = [
        [name, *(_cell(machine.ratios.get(name)) for machine in across.machines)]
        for name in across.configurations
    ]
    described = (
        f"{header}: {machine.model}" for header, machine in zip(headers, across.machines, strict=True)
    )
    title = f"Step time relative to {across.reference} on each machine: {across.title}"
    legend = f"{'; '.join(described)}. Times of different machines are not compared."
    return Table(["configuration", *headers], rows, title, legend)


def _cell(ratio: MachineRatio | None) -> Cell:
    """The ratio; one of unreliable times is named so, as in the tables of each machine."""
    if ratio is None:
        return Cell(NOTHING)
    text = time_ratio(ratio.ratio)
    return Cell(f"{text}, {UNRELIABLE}", "unsure") if ratio.doubted else Cell(text)


def _headers(machines: list[MachineRatios]) -> list[str]:
    """The name of each host, with its id where two have the same name; of older records a number."""
    names = [machine.host.partition(" (")[0] for machine in machines]
    count = Counter(names)
    return [
        (name if count[name] == 1 else machine.host) if name else f"unknown host {number}"
        for number, (name, machine) in enumerate(zip(names, machines, strict=True), 1)
    ]
