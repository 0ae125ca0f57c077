"""Tries cheating backends against every command, and prints which command finds which.

    python tests/benchmarks/cheats.py trials.jsonl --commands check,kit,run --cheats honest,thread
    python tests/benchmarks/cheats.py trials.jsonl --table

A trial takes 2 to 90 s and is appended to the file as a line.
"""

import argparse
import json
import sys
import tempfile
import time
from pathlib import Path

TESTS = Path(__file__).parents[1]
sys.path[:0] = [str(TESTS), str(TESTS / "support" / "plugins")]

from cheats import CHEATS  # noqa: E402
from support.cheat_trials import COMMANDS, Trials  # noqa: E402


def make_trials(file: Path, cheats: list[str], commands: list[str]) -> None:
    """Make each trial and append its result to the file."""
    for cheat in cheats:
        for command in commands:
            with tempfile.TemporaryDirectory() as folder, file.open("a") as results:
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
                print(json.dumps(result, ensure_ascii=False), file=results)


def table(file: Path) -> str:
    """A Markdown table of the commands that were tried: ✓ found, ✗ not found, ○ not faster, – not tried."""
    trials = {}
    for line in file.read_text().splitlines():
        trial = json.loads(line)
        trials[trial["cheat"], trial["command"]] = trial
    tried = {command for _, command in trials}
    commands = [command for command in COMMANDS if command in tried]
    lines = [f"| cheat | {' | '.join(commands)} |", "|---" * (len(commands) + 1) + "|"]
    for cheat, (does, *_) in CHEATS.items():
        marks = [_mark(trials.get((cheat, command))) for command in commands]
        lines.append(f"| {does} | {' | '.join(marks)} |")
    return "\n".join(lines)


def _mark(trial: dict | None) -> str:
    if trial is None:
        return "–"
    if trial["found"]:
        return "✓"
    return "○" if trial.get("gained") is False else "✗"


def main() -> None:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("file", type=Path)
    parser.add_argument("--table", action="store_true", help="print the table of the trials in the file")
    parser.add_argument("--cheats", default=",".join(CHEATS))
    parser.add_argument("--commands", default=",".join(COMMANDS))
    arguments = parser.parse_args()
    if arguments.table:
        print(table(arguments.file))
    else:
        make_trials(arguments.file, arguments.cheats.split(","), arguments.commands.split(","))


if __name__ == "__main__":
    main()
