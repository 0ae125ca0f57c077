"""Comparisons on several machines: each machine's own ratios side by side, and never a mixture of times."""

import msgspec
import pytest
from support.made_duels import stored_duel
from support.made_runs import made_record
from support.records import MACHINE

from harness.analysis.across_machines import duels_across_machines
from harness.analysis.findings import find
from harness.analysis.run_curves import Run
from harness.machine.description import Host
from harness.report.runs.tables import machines_table
from harness.runs.record import Block

STEPS = {"alpha": {"torch": 0.010, "jax": 0.020}, "beta": {"torch": 0.030, "jax": 0.015}}


def _machine(name, identity="1a"):
    return msgspec.structs.replace(MACHINE, host=Host(name, identity))


def _runs(hosts, seeds=5):
    return [
        Run.of(
            made_record(
                backend,
                seed,
                machine=machine,
                blocks=[
                    Block(1, 1, 64, 0.5),
                    *(Block(1, 10, 64, 10 * step * (1 + seed / 100)) for _ in range(30)),
                ],
            )
        )
        for host, machine in hosts.items()
        for backend, step in STEPS[host].items()
        for seed in range(seeds)
    ]


def test_equal_machines_are_kept_apart_and_their_ratios_stand_side_by_side():
    findings = find(_runs({"alpha": _machine("alpha"), "beta": _machine("beta")}))
    assert len(findings.groups) == 2  # though cpu, cores and memory are equal
    assert {group.comparison.group.title.rpartition(", ")[2] for group in findings.groups} == {
        "alpha (1a)",
        "beta (1a)",
    }
    (across,) = findings.machines
    assert (across.reference, across.configurations) == ("torch:eager", ["jax:eager"])
    ratios = {machine.host: machine.ratios["jax:eager"].ratio.value for machine in across.machines}
    assert ratios == pytest.approx({"alpha (1a)": 2.0, "beta (1a)": 0.5})  # the same reference on both
    table = machines_table(across)
    assert table.headers == ["configuration", "alpha", "beta"]
    assert table.rows[0][1].text.startswith("2.0× slower")
    assert table.rows[0][2].text.startswith("2.0× faster")


def test_hosts_of_one_name_are_distinguished_by_their_id():
    hosts = {"alpha": _machine("node", "1a"), "beta": _machine("node", "2b")}
    (across,) = find(_runs(hosts)).machines
    assert machines_table(across).headers == ["configuration", "node (1a)", "node (2b)"]


def test_unreliable_ratios_are_named_so():
    (across,) = find(_runs({"alpha": _machine("alpha"), "beta": _machine("beta")}, seeds=1)).machines
    assert all(cell.text.endswith(", unreliable") for cell in machines_table(across).rows[0][1:])


def test_one_machine_has_no_such_table():
    assert find(_runs({"alpha": _machine("alpha")})).machines == []


def test_duels_of_several_machines_stand_side_by_side():
    one, other = (stored_duel(id=name, machine=_machine(name)) for name in ("alpha", "beta"))
    longer = msgspec.structs.replace(other, task=msgspec.structs.replace(other.task, sha256="0" * 64))
    assert duels_across_machines([one, one, longer]) == []
    (across,) = duels_across_machines([one, other])
    assert machines_table(across).headers == ["configuration", "alpha", "beta"]
    assert across.machines[0].ratios == across.machines[1].ratios
    assert across.configurations == ["b:torch:eager"]
