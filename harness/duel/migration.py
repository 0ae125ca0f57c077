"""Records of duels in schema 1, migrated to schema 2.

Schema 1 called a configuration a side, kept the three numbers of a ratio apart, and stored reasons and
differences as sentences. The sentences are mapped as a whole or replaced by what the record holds next to
them.
"""

from typing import Any

from harness.runs.schemas import Migration, rename_fields

Fields = dict[str, Any]

_REASONS = {
    "": None,
    "the control differs between the sides' turns: the machine was not the same": "control moved",
    "over all blocks, pauses included, the difference is the other way round": "contradicted",
}
_STOP_REASONS = {
    "": None,
    "every verdict is in and precise enough": "decided",
    "the budget is spent": "budget spent",
}


def migrate_configuration(side: Fields) -> Fields:
    """A configuration's record, which gates have too."""
    return rename_fields(side, {"settings": "variables"})


def migrate_pair(pair: Fields) -> Fields:
    """A pair's record, which gates have too."""
    return pair | {"blocks": [rename_fields(block, {"side": "configuration"}) for block in pair["blocks"]]}


def from_schema_1(duel: Fields) -> Fields:
    """A duel of schema 1 in schema 2."""
    made = len(duel.get("pairs", []))
    migrated = rename_fields(
        duel,
        {
            "sides": "configurations",
            "comparisons": "results",
            "environment": "process_environment",
            "inherited_settings": "inherited_variables",
            "missing_knobs": "missing_controls",
        },
    )
    stopped = duel.get("stopped_because", "")
    return migrated | {
        "configurations": [migrate_configuration(side) for side in duel["sides"]],
        "differences": [_difference(text, duel["sides"]) for text in duel.get("differences", [])],
        "pairs": [migrate_pair(pair) for pair in duel.get("pairs", [])],
        "results": [_result(comparison, made) for comparison in duel.get("comparisons", [])],
        "stopped_because": _STOP_REASONS.get(stopped, "most pairs"),
    }


MIGRATIONS: dict[int, Migration] = {1: from_schema_1}


def _result(comparison: Fields, made: int) -> Fields:
    value, pairs = comparison["ratio"], comparison["pairs"]
    interval = {name: comparison[name] for name in ("low", "high")}
    undecided = comparison["verdict"] == "cannot tell yet"
    names = {"side": "configuration", "against": "reference", "turned_round": "contradicted"}
    return rename_fields(comparison, names) | {
        "verdict": "undecided" if undecided else comparison["verdict"],
        "reason": _REASONS.get(comparison.get("reason", ""), "pairs lost"),
        "lost": made - pairs,
        "ratio": None if value is None else {"value": value, **interval, "n": pairs},
    }


def _difference(text: str, sides: list[Fields]) -> Fields:
    """``threads: 1 (a:torch:eager), 2 (b:torch:eager)``: the name, with the sides' own values."""
    name = text.partition(": ")[0]
    kind, _, key = name.partition(" ")
    groups = {"option": "options", "variable": "settings"}
    if kind in groups and key:
        values = [side[groups[kind]].get(key) for side in sides]
    else:
        values = [side.get(name) for side in sides]
    return {"name": name, "values": [None if value is None else str(value) for value in values]}
