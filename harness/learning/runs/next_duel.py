"""The ``harness duel`` that would decide which configurations are faster, as a complete command."""

import math
import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from harness.core.documents.circumstances import given_again, option_words, shell_line
from harness.core.documents.results import results_option
from harness.core.machine.worker_variables import relevant_variables
from harness.core.plugins.options import value_text
from harness.core.runs.record import Record
from harness.learning.runs.trained import defaults_of, settings_of
from harness.timing.duel.ending import MOST_SECONDS
from harness.timing.engine.record import MOST_PAIRS

if TYPE_CHECKING:
    from harness.learning.runs.comparison import Comparison, PairComparison
    from harness.learning.runs.configuration_summary import ConfigurationSummary


#: Stand before the command: without a duel, and after one that did not decide.
_FIRST = "For a verdict on speed:"
_AGAIN = "No duel has decided yet; this one may:"
#: Configurations that a duel takes.
_MOST = 4
_OPEN = {"undecided", "unreliable"}
#: The time of a duel, as a multiple of what its pairs are expected to take.
_ROOM = 1.25


def next_duel(comparison: "Comparison", results: Path | None = None) -> str:
    """Return the command; empty where no verdict on speed is missing, or where it would not reach one.

    The newest duel says how many pairs a verdict takes.

    Its result goes to the folder ``results``, where the next comparison finds it.
    """
    unsettled = [pair for pair in comparison.pairs if pair.speed_verdict in _OPEN and not _is_hopeless(pair)]
    if not unsettled:
        return ""
    unsettled = unsettled[: _MOST - 1]
    summaries = [unsettled[0].reference, *(pair.other for pair in unsettled)]
    names = [_record(summary).configuration.label for summary in summaries]
    if len(set(names)) < len(names):  # versions of one framework: each needs its own interpreter
        return ""
    record = _record(summaries[0])
    variables = relevant_variables(record.inherited_variables)
    # Those of this shell reach the duel without being named.
    words = [
        f"{name}={shell_line([value])}" for name, value in variables.items() if os.environ.get(name) != value
    ]
    duel = ["harness", "duel", *names, "--task", record.task.name, *_options(record), *_budget(unsettled)]
    words.append(shell_line(duel))
    return " ".join(words) + ("" if results is None else results_option(results))


def duel_lead(comparison: "Comparison") -> str:
    """Return the words that introduce the command of :func:`next_duel`."""
    tried = any(pair.last_duel for pair in comparison.pairs if pair.speed_verdict in _OPEN)
    return _AGAIN if tried else _FIRST


def _is_hopeless(pair: "PairComparison") -> bool:
    """Check that the newest duel showed that another one does not decide."""
    needed = pair.last_duel.pairs_needed if pair.last_duel else None
    return needed is not None and needed > MOST_PAIRS


def _budget(pairs: "Sequence[PairComparison]") -> list[str]:
    """Return the option for a duel that needs more time than one without it takes."""
    seconds = _ROOM * max((pair.last_duel.seconds_needed for pair in pairs if pair.last_duel), default=0.0)
    return ["--budget", f"{math.ceil(seconds / 60)}m"] if seconds > MOST_SECONDS else []


def _record(summary: "ConfigurationSummary") -> Record:
    return summary.configuration.record


def _options(record: Record) -> Iterator[str]:
    """Yield options for what the runs had in common and a duel would choose itself."""
    own = settings_of(record)
    defaults, configuration = defaults_of(record), record.configuration
    asked = record.task.description.batch_size
    return option_words(
        {
            "set": [
                f"{name}={value_text(value)}" for name, value in record.task.options.items() if name in own
            ],
            "batch-size": asked if defaults is None or "batch_size" in own else None,
            **({} if defaults and record.dataset.name == defaults.dataset else record.dataset.options()),
            "device": configuration.device if configuration.device != "auto" else None,
            "precision": configuration.precision if configuration.precision != "float32" else None,
            "threads": configuration.threads,
            "plugin": given_again(record, "plugin"),
        }
    )
