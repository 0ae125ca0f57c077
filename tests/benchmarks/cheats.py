"""Tries cheating backends against every command, and prints which command finds which.

    python tests/benchmarks/cheats.py trials.jsonl --commands check,kit,run --cheats honest,thread
    python tests/benchmarks/cheats.py trials.jsonl --table

A trial takes 2 to 90 s and is appended to the file as a line.
"""

import sys
import tempfile
import time
from pathlib import Path

from common import PLUGINS, TESTS, parser, store, stored, table

sys.path[:0] = [str(TESTS), str(PLUGINS)]

from cheats import CHEATS  # noqa: E402
from support.cheat_trials import COMMANDS, Trials  # noqa: E402


def make_trials(file: Path, cheats: list[str], commands: list[str]) -> None:
    """Make each trial and append its result to the file."""
    for cheat in cheats:
        for command in commands:
            with tempfile.TemporaryDirectory() as folder:
                start = time.monotonic()
                trial = Trials(Path(folder)).make(command, cheat, CHEATS[cheat].options)
            result = {
                "cheat": cheat,
                "command": command,
                "found": trial.found,
                "gained": trial.gained,
                "words": " ".join(trial.words.split())[:300],
                "seconds": round(time.monotonic() - start, 1),
            }
            store(file, result)


def summary(file: Path) -> str:
    """A Markdown table of the commands that were tried: ✓ found, ✗ not found, ○ not faster, – not tried."""
    trials = {(trial["cheat"], trial["command"]): trial for trial in stored(file)}
    commands = [command for command in COMMANDS if any(command == tried for _, tried in trials)]
    marks = [
        (does, *(_mark(trials.get((cheat, command))) for command in commands))
        for cheat, (does, *_) in CHEATS.items()
    ]
    return table(("cheat", *commands), marks)


def _mark(trial: dict | None) -> str:
    if trial is None:
        return "–"
    if trial["found"]:
        return "✓"
    return "○" if trial.get("gained") is False else "✗"


def main() -> None:
    """Make trials, or print the table of those in the file."""
    options = parser(__doc__)
    options.add_argument("file", type=Path, help="file of the trials")
    options.add_argument("--table", action="store_true", help="print the table of the trials in the file")
    options.add_argument("--cheats", default=",".join(CHEATS))
    options.add_argument("--commands", default=",".join(COMMANDS))
    given = options.parse_args()
    if given.table:
        print(summary(given.file))
    else:
        make_trials(given.file, given.cheats.split(","), given.commands.split(","))


if __name__ == "__main__":
    main()
