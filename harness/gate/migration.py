"""Records of gates in older schemas, brought to the newest one.

Schema 1 had three verdicts, the flags ``unsound`` and ``against`` next to INCONCLUSIVE, reasons as sentences
and ``ratio``, ``low`` and ``high`` side by side. It also had gates against a stored
baseline, which later versions do not make; they are read and marked as such.
"""

from typing import Any

from harness.duel.migration import migrate_configuration, migrate_pair
from harness.runs.schemas import Migration, rename_fields

Fields = dict[str, Any]


def from_schema_1(gate: Fields) -> Fields:
    """A gate of schema 1 in schema 2."""
    benchmarks = [_benchmark(benchmark) for benchmark in gate.get("benchmarks", [])]
    invalid = any(benchmark["verdict"] == "INVALID" for benchmark in benchmarks)
    undecided = gate.get("verdict", "INCONCLUSIVE") == "INCONCLUSIVE"
    ended = gate.get("status", "running") == "ok" and bool(benchmarks)
    verdict = "INVALID" if undecided and (invalid or not ended) else gate.get("verdict", "INVALID")
    stored_baseline = gate.get("against") == "stored baseline"
    return gate | {"benchmarks": benchmarks, "verdict": verdict, "stored_baseline": stored_baseline}


MIGRATIONS: dict[int, Migration] = {1: from_schema_1}


def _benchmark(benchmark: Fields) -> Fields:
    metrics, quality = benchmark.get("metrics", []), benchmark.get("quality")
    migrated = rename_fields(benchmark, {"sides": "configurations"})
    migrated |= {
        "configurations": [migrate_configuration(side) for side in benchmark.get("sides", [])],
        "look": [migrate_pair(pair) for pair in benchmark.get("look", [])],
        "confirmation": [migrate_pair(pair) for pair in benchmark.get("confirmation", [])],
        "metrics": [_metric(result) for result in metrics],
        "quality": None if quality is None else _judged(quality),
        "verdict": _verdict(benchmark),
        "reasons": [],
    }
    if benchmark.get("reason") != _reason_of_results(benchmark):
        migrated["reasons"] = _reasons(benchmark)
    return migrated


def _reason_of_results(benchmark: Fields) -> str:
    """The sentence that schema 1 made of metrics and quality, which have their own reasons."""
    judged = [(f"{result['metric']}: ", result) for result in benchmark.get("metrics", [])]
    if benchmark.get("quality") is not None:
        judged.append(("quality: ", benchmark["quality"]))
    verdict = benchmark.get("verdict")
    same = [f"{name}{result.get('reason', '')}" for name, result in judged if result["verdict"] == verdict]
    return "; ".join(same)


def _metric(result: Fields) -> Fields:
    value = result["ratio"]
    ratio = {name: result[name] for name in ("low", "high")} | {"value": value, "n": result["pairs"]}
    return _judged(result) | {"ratio": None if value is None else ratio}


def _judged(result: Fields) -> Fields:
    return result | {"verdict": _verdict(result), "reasons": _reasons(result)}


def _verdict(judged: Fields) -> str:
    verdict = str(judged.get("verdict", "INCONCLUSIVE"))
    return "INVALID" if verdict == "INCONCLUSIVE" and judged.get("unsound") else verdict


def _reasons(judged: Fields) -> list[Fields]:
    """The sentence as a reason of its own kind; ``against`` marks what is never folded into PASS."""
    text, against = judged.get("reason", ""), bool(judged.get("against"))
    if not text and not against:
        return []
    return [{"kind": "recorded", "text": text, "beyond_limit": against}]
