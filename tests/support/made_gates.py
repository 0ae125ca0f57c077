"""Made-up gates for the tests of what reads them: pairs of processes with given ratios, without any run."""

import datetime
import hashlib
import math

import msgspec
import numpy as np

from harness.core.certify.certificate import Certificate
from harness.core.documents.kinds import encode_document
from harness.core.plugins.configuration import Configuration
from harness.core.runs.record import DatasetRecord
from harness.timing.engine.evidence import evidence_p_value
from harness.timing.engine.intervals import bootstrap_interval
from harness.timing.engine.ratios import log_ratio
from harness.timing.engine.record import BlockRecord, ConfigurationRecord, PairRecord, ProcessRecord
from harness.timing.environments.record import EnvironmentRecord
from harness.timing.environments.suite import Benchmark, Limits
from harness.timing.gate.metric_table import metrics
from harness.timing.gate.reasons import MORE_EVIDENCE, Reason
from harness.timing.gate.record import BenchmarkRecord, GateRecord, MetricResult, QualityResult
from support.records import MACHINE

START = datetime.datetime(2026, 1, 1, 12, tzinfo=datetime.UTC)
BASE = EnvironmentRecord(python="/ci/base/bin/python", harness="0.1.0", commit="b" * 40)
HEAD = EnvironmentRecord(python="/ci/head/bin/python", harness="0.1.0", commit="c" * 40)
LIMITS = {"step": 0.05, "first step": 0.5, "memory": 0.1}
#: What a metric with each verdict states.
REASONS = {
    "PASS": [],
    "FAIL": [Reason(kind="proven worse", text="head is proven worse than base", command="duel")],
    "INCONCLUSIVE": [
        Reason(
            kind="undecided",
            text="neither a loss nor being within the limit is proven",
            hint=MORE_EVIDENCE,
            command="doctor",
        )
    ],
    "INVALID": [
        Reason(
            kind="not trusted",
            text="the control computation shows that the machine was not equally fast for both",
            hint=MORE_EVIDENCE,
            command="doctor",
        )
    ],
}
ACCEPTED = {"step": "max_slowdown", "first step": "max_first_step_slowdown", "memory": "max_memory_growth"}
#: The verdicts from best to worst.
VERDICTS = ["PASS", "INCONCLUSIVE", "INVALID", "FAIL"]


def made_pair(chance, step=1.0, first_step=1.0, memory=1.0, noise=0.01, turns=4) -> PairRecord:
    """Head's step, first step and memory are the given multiples of base's, times the noise of both."""
    factors = [math.exp(chance.normal(0, noise / math.sqrt(2))) for _ in range(2)]
    seconds = [0.01 * factors[0], 0.01 * step * factors[1]]
    blocks = [
        BlockRecord(side, turn, 10, 10 * seconds[side], 0.001, 0.0, disturbed=False)
        for turn in range(turns)
        for side in ((0, 1) if turn % 2 == 0 else (1, 0))
    ]
    processes = [
        ProcessRecord(
            import_seconds=1.5,
            build_seconds=0.1,
            first_step_seconds=0.2 * (first_step if side else 1.0) * math.exp(chance.normal(0, 5 * noise)),
            warm_up_seconds=[0.1, 0.1],
            settled=True,
            measured={
                "peak_memory_bytes": 2**28 * (memory if side else 1.0) * math.exp(chance.normal(0, 1e-3))
            },
        )
        for side in range(2)
    ]
    return PairRecord(processes, blocks, 3.0)


def made_configuration(label, python) -> ConfigurationRecord:
    return ConfigurationRecord(
        label=label,
        configuration=Configuration("torch", "eager", "cpu", 2, python=python),
        framework={"engine": "torch", "torch": "2.9.0"},
        device="cpu",
        batch_size=64,
        options={},
        variables={},
        certificate=Certificate(certified=True),
        training_flops_per_sample=1000,
    )


def _logs(metric, pairs):
    if metric == "step":
        return [log_ratio(pair, 1, [64, 64]) for pair in pairs]
    both = [pair.processes for pair in pairs]
    if metric == "memory":
        return [metrics()["memory"].log_ratio(pair, 1, 0) for pair in pairs]
    return [math.log(head.first_step_seconds / base.first_step_seconds) for base, head in both]


def made_metric(metric, look, confirmation, verdict) -> MetricResult:
    pairs = confirmation or look
    logs = np.array(_logs(metric, pairs))
    ratio = bootstrap_interval(logs).exp()
    base = {"step": 0.01, "first step": 0.2, "memory": 2.0**28}[metric]
    return MetricResult(
        metric=metric,
        verdict=verdict,
        reasons=[
            msgspec.structs.replace(reason, accept=f"raise {ACCEPTED[metric]}" if verdict == "FAIL" else "")
            for reason in REASONS[verdict]
        ],
        stage="confirmation" if confirmation else "look",
        limit=LIMITS[metric],
        base=base,
        head=base * ratio.value,
        ratio=ratio,
        p_value=evidence_p_value(logs, math.log1p(LIMITS[metric])) if confirmation else None,
        pairs=len(pairs),
    )


def made_benchmark(name="cnn", *, verdicts=None, confirmed=0, seed=0, **changes) -> BenchmarkRecord:
    """A benchmark whose ``step``, ``first_step`` and ``memory`` ratios are as given, 1.0 by default.

    ``verdicts`` are of the metrics that do not pass; ``confirmed`` is the number of fresh pairs.
    """
    verdicts = verdicts or {}
    ratios = {key: changes.pop(key) for key in ("step", "first_step", "memory", "noise") if key in changes}
    chance = np.random.default_rng(seed)
    look = [made_pair(chance, **ratios) for _ in range(3)]
    confirmation = [made_pair(chance, **ratios) for _ in range(confirmed)]
    metrics = [made_metric(metric, look, confirmation, verdicts.get(metric, "PASS")) for metric in LIMITS]
    worst = max(("PASS", *verdicts.values()), key=VERDICTS.index)
    record = BenchmarkRecord(
        name=name,
        backend="torch",
        mode="eager",
        task="cnn",
        options={"width": 0.5},
        asked=Benchmark(name=name, backend="torch", task="cnn", batch_size=64, options={"width": 0.5}),
        dataset=DatasetRecord("digits", "f" * 64, "made up", {"train": 90, "validation": 10, "test": 20}),
        threads=2,
        limits=Limits(),
        turns=4,
        configurations=[made_configuration("base", BASE.python), made_configuration("head", HEAD.python)],
        look=look,
        confirmation=confirmation,
        quality=QualityResult(verdict="PASS", worst=0.0),
        metrics=metrics,
        verdict=worst,
        seconds=60.0,
    )
    return msgspec.structs.replace(record, **changes)


def made_gate(*benchmarks, number=0, base=BASE, head=HEAD, **changes) -> GateRecord:
    worst = max(("PASS", *(benchmark.verdict for benchmark in benchmarks)), key=VERDICTS.index)
    began = START + datetime.timedelta(days=number)
    record = GateRecord(
        id=f"{began:%Y%m%d-%H%M%S}-000-gate-{number:04x}",
        status="ok",
        started_at=began.isoformat(),
        command=["gate", "--base", "main", "--suite", "gate.toml"],
        machine=MACHINE,
        suite="gate.toml",
        base=base,
        head=head,
        false_alarms=0.01,
        benchmarks=list(benchmarks),
        verdict=worst if benchmarks else "INVALID",
        seconds=60.0 * len(benchmarks),
    )
    return msgspec.structs.replace(record, **changes)


OTHER_LOSS = Reason(
    kind="losses differ",
    text="in float64 the loss of step 1 is 2.23 in head, 2.3 in base (relative deviation 3.0e-02)",
    accept="set max_accuracy_loss",
    command="check",
)


def failed(message, label="head") -> Reason:
    return Reason(kind="failed", text=f"{label} failed: {message}", command=f"run {label}")


def mixed_gate(**changes) -> GateRecord:
    """One benchmark of each kind: passed, slower, memory undecided, different losses, crashed."""
    return made_gate(
        made_benchmark("cnn"),
        made_benchmark(
            "rnn-compiled", step=1.08, confirmed=8, verdicts={"step": "FAIL"}, seed=1, mode="compile"
        ),
        made_benchmark("mlp", memory=1.1, confirmed=8, verdicts={"memory": "INCONCLUSIVE"}, seed=2),
        made_benchmark(
            "gan",
            seed=3,
            verdict="FAIL",
            quality=QualityResult(verdict="FAIL", reasons=[OTHER_LOSS], worst=3e-2),
        ),
        made_benchmark(
            "forecast",
            asked=Benchmark(name="forecast", backend="torch", task="cnn", options={"width": 0.5}),
            verdict="FAIL",
            reasons=[failed("exited with code 9 [the last words]")],
            look=[],
            metrics=[],
            quality=None,
            configurations=[],
        ),
        **changes,
    )


def commit(number):
    """A hash as git's, which differs from the others in its first digits."""
    return hashlib.sha1(b"%d" % number).hexdigest()  # noqa: S324


def fixed_gates(levels, noise=0.01, name="cnn", start=0, base="f" * 40):
    """Gates of the main branch, each commit compared with one release; ``levels`` are step ratios to it."""
    of_pairs = noise * math.sqrt(8)  # gives a mean of 8 pairs the noise asked for
    released = msgspec.structs.replace(BASE, commit=base)
    gates = []
    for number, level in enumerate(levels, start):
        benchmark = made_benchmark(name, step=level, noise=of_pairs, confirmed=8, seed=number)
        head = msgspec.structs.replace(HEAD, commit=commit(number))
        gates.append(made_gate(benchmark, number=number, base=released, head=head))
    return gates


def save(folder, *gates):
    """Write gates where ``harness gate`` does; their paths."""
    (folder / "results" / "gates").mkdir(parents=True, exist_ok=True)
    paths = [folder / "results" / "gates" / f"{gate.id}.json" for gate in gates]
    for path, gate in zip(paths, gates, strict=True):
        path.write_bytes(encode_document(gate))
    return paths
