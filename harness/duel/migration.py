"""Records of duels in schema 1, migrated to schema 2.

Schema 1 called a configuration a side, kept the three numbers of a ratio apart, and stored reasons and
differences as sentences. The sentences are mapped as a whole, apart from counts, or replaced by what the
record holds next to them; a record with another sentence is refused.
"""

import re
from collections.abc import Mapping
from typing import Any, TypeVar

import msgspec

from harness.duel.record import Reason, StopReason
from harness.runs.schemas import Migration, rename_fields

Fields = dict[str, Any]
_V = TypeVar("_V")

#: The sentences that schema 1 had, as patterns, and their values since.
_REASONS: dict[str, Reason | None] = {
    "": None,
    r"\d+ of \d+ pairs were lost to disturbances": "pairs lost",
    "the control differs between the sides' turns: the machine was not the same": "control moved",
    "over all blocks, pauses included, the difference is the other way round": "contradicted",
}
_STOP_REASONS: dict[str, StopReason | None] = {
    "": None,
    "every verdict is in( and precise enough)?": "decided",
    r"\d+ pairs were made, as many as a duel makes": "most pairs",
    r"\d+ pairs were made and more would use up the error allowed": "most pairs",
    "the budget is spent": "budget spent",
}


def migrate_configuration(side: Fields) -> Fields:
    """A configuration's record, which gates have too."""
    return rename_fields(side, {"settings": "variables"})


def migrate_pair(pair: Fields) -> Fields:
    """A pair's record, which gates have too."""
    return pair | {"blocks": [rename_fields(block, {"side": "configuration"}) for block in pair["blocks"]]}


def from_schema_1(duel: Fields) -> Fields:
    """A duel of schema 1 in schema 2.

    Raises:
        msgspec.ValidationError: a reason is no sentence of schema 1.
    """
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
        "stopped_because": _value("stopped_because", stopped, _STOP_REASONS),
    }


MIGRATIONS: dict[int, Migration] = {1: from_schema_1}


def _result(comparison: Fields, made: int) -> Fields:
    value, pairs = comparison["ratio"], comparison["pairs"]
    interval = {name: comparison[name] for name in ("low", "high")}
    undecided = comparison["verdict"] == "cannot tell yet"
    names = {"side": "configuration", "against": "reference", "turned_round": "contradicted"}
    return rename_fields(comparison, names) | {
        "verdict": "undecided" if undecided else comparison["verdict"],
        "reason": _value("reason", comparison.get("reason", ""), _REASONS),
        "lost": made - pairs,
        "ratio": None if value is None else {"value": value, **interval, "n": pairs},
    }


def _value(field: str, sentence: str, values: Mapping[str, _V]) -> _V:
    """The value of a sentence of schema 1."""
    for pattern, value in values.items():
        if re.fullmatch(pattern, sentence):
            return value
    raise msgspec.ValidationError(f"{sentence!r} is no {field} of schema 1")


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
