"""``harness duel --executor ray``: a whole duel on one node of a Ray cluster."""

import sys
from collections.abc import Callable
from pathlib import Path

from harness.cli.duel_display import ModeDisplay
from harness.cli.signals import interrupt_on_termination
from harness.cluster.agent import Orders
from harness.cluster.connection import connected
from harness.cluster.nodes import RayNodes
from harness.cluster.one_node import DuelRecorder, on_one_node, write_duels
from harness.cluster.plugin_files import plugin_files
from harness.duel.record import DuelRecord
from harness.duel.workloads import DuelRequest


def duel_on_cluster(
    request_for: Callable[[int], DuelRequest], folder: Path, *, address: str | None, quiet: bool
) -> tuple[DuelRecord, Path]:
    """Carry out a duel on one node; returns its record and the path where it is written.

    ``request_for`` makes the request for a node with this default number of threads. Modes to be found are
    found on the node.

    Raises:
        UsageError: no cluster is reachable, or no node has the backends.
        HarnessError: the node was lost, or the record cannot be written.
    """
    display = ModeDisplay(quiet=quiet)
    recorder = DuelRecorder(folder, display)
    try:
        with connected(address) as cluster:
            interrupt_on_termination()  # Ray handles signals in its own way, too
            request = request_for(cluster.threads)
            with _nodes(request) as nodes:
                try:
                    record, duels = on_one_node(
                        nodes,
                        "duel",
                        request,
                        datasets=[request.dataset.name],
                        observer=recorder,
                        python=sys.executable,
                    )
                except KeyboardInterrupt as interrupt:
                    return recorder.interrupted(interrupt), recorder.path
    finally:
        display.stop()
    write_duels(folder, duels)
    recorder.save(record)
    return record, recorder.path


def _nodes(request: DuelRequest) -> RayNodes:
    workloads = request.workloads
    tasks = {workload.task.name for workload in workloads}
    orders = Orders(command=sys.argv[1:], cpus=1, plugins=plugin_files(tasks))
    return RayNodes(
        orders,
        backends=[workload.configuration.backend for workload in workloads],
        datasets=[request.dataset.name],
    )
