"""Comparisons on several machines: each machine's own ratios side by side, and never a mixture of times."""

import msgspec
import pytest
from support.made_duels import stored_duel
from support.made_records import backends
from support.made_runs import findings_of
from support.records import MACHINE

from harness.core.machine.description import Host
from harness.learning.runs.across_machines import duels_across_machines
from harness.learning.runs.tables import machines_table

STEPS = {"alpha": {"torch": 0.010, "jax": 0.020}, "beta": {"torch": 0.030, "jax": 0.015}}


def _machine(name, identity="1a"):
    return msgspec.structs.replace(MACHINE, host=Host(name, identity))


def _found(hosts, seeds=5):
    """What is found in runs on machines that are equal but for their hosts."""
    records = []
    for host, machine in hosts.items():
        steps = {
            name: {"step": lambda seed, own=step: own * (1 + seed / 100)}
            for name, step in STEPS[host].items()
        }
        records += backends(steps, range(seeds), machine=machine)
    return findings_of(*records)


BOTH = {"alpha": _machine("alpha"), "beta": _machine("beta")}


def test_equal_machines_are_kept_apart_and_their_ratios_stand_side_by_side():
    findings = _found(BOTH)
    titles = {group.comparison.group.title.rpartition(", ")[2] for group in findings.groups}
    assert titles == {"alpha (1a)", "beta (1a)"}
    (across,) = findings.machines
    assert (across.reference, across.configurations) == ("torch:eager", ["jax:eager"])
    ratios = {machine.host: machine.ratios["jax:eager"].value for machine in across.machines}
    assert ratios == pytest.approx({"alpha (1a)": 2.0, "beta (1a)": 0.5})  # the same reference on both
    assert _found({"alpha": _machine("alpha")}).machines == []


@pytest.mark.parametrize(
    ("hosts", "seeds", "headers", "ratios"),
    [
        (BOTH, 5, ["alpha", "beta"], ["2.0× slower [2.0, 2.0]", "2.0× faster [2.0, 2.0]"]),
        (BOTH, 1, ["alpha", "beta"], ["2.0× slower, unreliable", "2.0× faster, unreliable"]),
        (
            {"alpha": _machine("node", "1a"), "beta": _machine("node", "2b")},
            5,
            ["node (1a)", "node (2b)"],
            ["2.0× slower [2.0, 2.0]", "2.0× faster [2.0, 2.0]"],
        ),
    ],
)
def test_the_table_has_a_column_for_each_machine(hosts, seeds, headers, ratios):
    (across,) = _found(hosts, seeds).machines
    table = machines_table(across)
    assert table.headers == ["configuration", *headers]
    assert [cell.text for cell in table.rows[0][1:]] == ratios


def test_duels_of_several_machines_stand_side_by_side():
    one, other = (stored_duel(id=name, machine=_machine(name)) for name in ("alpha", "beta"))
    longer = msgspec.structs.replace(other, task=msgspec.structs.replace(other.task, sha256="0" * 64))
    assert duels_across_machines([one, one, longer]) == []
    (across,) = duels_across_machines([one, other])
    assert machines_table(across).headers == ["configuration", "alpha", "beta"]
    assert across.machines[0].ratios == across.machines[1].ratios
    assert across.configurations == ["b:torch:eager"]
