"""The state of a data set as ``harness list`` and ``harness data`` print it."""

from harness.errors import DataError, PluginError
from harness.runs.request import ask_source
from harness.spec.data import DataSource

READY = "ready"


def dataset_state(name: str) -> str:
    """``ready``, the command that makes it so, or why its source is broken."""

    def state(source: DataSource) -> str:
        if source.is_ready():
            return READY
        ways = ways_to_get(source)
        missing = "not downloaded" if source.downloads else "not available"
        return f"{missing} (run: {ways[0]})" if ways else missing

    try:
        return ask_source(name, state)
    except (PluginError, DataError) as error:
        return f"broken: {error}"


def ways_to_get(source: DataSource) -> list[str]:
    """The commands that make the data set ready."""
    ways = []
    if source.downloads:
        ways.append(f"harness data fetch {source.name}")
    if source.importable:
        ways.append(f"harness data import {source.name} PATH")
    return ways
