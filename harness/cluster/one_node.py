"""Work that one machine does as a whole, such as a duel, placed on a node of a cluster."""

from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

from harness.cluster.agent import NodeState
from harness.cluster.dispatch import Lost, Nodes
from harness.cluster.messages import Ended, WorkEvent
from harness.core.machine.files import replace_result
from harness.core.shell.executors import PlacedWork
from harness.errors import HarnessError, UsageError

_POLL_SECONDS = 0.5


def on_one_node(
    nodes: Nodes, work: PlacedWork, folder: Path, notify: Callable[[Any], None], host: str | None = None
) -> Any:
    """Have the first node that is ready and lacks none of the backends do ``work``; return its result.

    With ``host``, only the node of this host does it.

    The records of the work are written to ``folder``, and its events are passed to ``notify``.
    """
    chosen: str | None = None
    lacking: dict[str, NodeState] = {}
    while True:
        for node, arrival in nodes.poll(_POLL_SECONDS):
            match arrival:
                case NodeState() if chosen is None and _suits(arrival, host):
                    chosen, name = node, arrival.name
                    nodes.work(node, work, work.datasets)
                case NodeState():
                    lacking[node] = arrival
                case Lost() if node == chosen:
                    raise HarnessError(
                        f"node {name} was lost ({arrival.reason}); run the same command again."
                    )
                case Lost():
                    lacking.pop(node, None)
                case WorkEvent(event) if node == chosen:
                    notify(event)
                case Ended() if node == chosen:
                    result, files = _result(arrival)
                    _write(folder, files)
                    return result
        if chosen is None and lacking and not nodes.awaited():
            raise _refusal(lacking.values(), host)


def _refusal(lacking: Iterable[NodeState], host: str | None) -> UsageError:
    """Return the error for work that none of the nodes can do."""
    reasons = [f"node {state.name}: {reason}" for state in lacking for reason in state.lacking.values()]
    return UsageError(next(iter(reasons), f"node {host} has left the cluster"))


def _suits(node: NodeState, host: str | None) -> bool:
    return not node.lacking and host in {None, node.machine.host}


def _result(ended: Ended) -> Any:
    if ended.error is not None:
        raise (UsageError if ended.exit_code == UsageError.exit_code else HarnessError)(ended.error)
    return ended.result


def _write(folder: Path, files: dict[str, bytes]) -> None:
    """Write the records that a node has sent."""
    for name, content in files.items():
        path = folder / Path(name).name
        try:
            folder.mkdir(parents=True, exist_ok=True)
            replace_result(path, content)
        except OSError as error:
            raise HarnessError(f"cannot write the record {path}: {error.strerror}") from error
