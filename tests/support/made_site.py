"""Made-up results for the tests of sites: runs, and gates of a branch of 15 commits with planted faults."""

import msgspec

from harness.timing.gate.record import QualityResult
from support.made_gates import BASE, HEAD, OTHER_LOSS, commit, made_benchmark, made_gate, save
from support.made_records import made_record
from support.records import save_runs

COMMITS = 15
#: The first commits with each fault: a slower step and its repair, more memory, other values, a faster step.
SLOWER, FIXED, LEAK, OTHER, FASTER = 4, 9, 6, 8, 11
RELEASE = "f" * 40


def planted_gates(noise=0.01):
    """Gates of every commit against one release: ``train`` and ``load``."""
    gates = []
    for number in range(COMMITS):
        slow = SLOWER <= number < FIXED
        leaks, differs = number >= LEAK, number == OTHER
        verdicts = {"step": "FAIL"} if slow else {}
        train = made_benchmark(
            "train",
            step=1.15 if slow else 1.0,
            noise=noise,
            confirmed=8,
            seed=number,
            verdicts=verdicts,
        )
        load = made_benchmark(
            "load",
            step=0.8 if number >= FASTER else 1.0,
            memory=1.3 if leaks else 1.0,
            noise=noise,
            confirmed=8,
            seed=100 + number,
            verdicts={"memory": "FAIL"} if leaks else {},
        )
        if differs:
            quality = QualityResult(verdict="FAIL", reasons=[OTHER_LOSS], worst=4e-2)
            load = msgspec.structs.replace(load, quality=quality, verdict="FAIL")
        released = msgspec.structs.replace(BASE, commit=RELEASE)
        head = msgspec.structs.replace(HEAD, commit=commit(number))
        gates.append(made_gate(train, load, number=number, base=released, head=head))
    return gates


def plant(folder):
    """Write the runs of two backends and the gates into ``folder/results``; return the gates."""
    gates = planted_gates()
    save(folder, *gates)
    runs = [made_record(backend, seed) for backend in ("torch", "jax") for seed in range(3)]
    save_runs(folder / "results", *runs)
    return gates
