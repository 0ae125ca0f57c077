"""``harness run --executor ray``: the runs of a matrix on the nodes of a Ray cluster."""

import sys
from pathlib import Path
from typing import Any

import msgspec

from harness.cli.cluster_display import ClusterDisplay
from harness.cli.data_progress import shown_progress
from harness.cli.duel_display import ModeDisplay
from harness.cli.run_sequence import reuse_text
from harness.cli.signals import interrupt_on_termination
from harness.cluster.agent import Orders
from harness.cluster.connection import connected
from harness.cluster.dispatch import Dispatcher
from harness.cluster.nodes import RayNodes
from harness.cluster.one_node import DuelRecorder, on_one_node, write_duels
from harness.cluster.plugin_files import plugin_files
from harness.duel.fastest_mode import asks_for_fastest
from harness.duel.record import DUELS
from harness.report.matrix_words import matrix_sentence
from harness.runs.matrix import MatrixOptions, RunMatrix
from harness.runs.record import Record
from harness.runs.request import RunRequest
from harness.runs.sequence import certified_work
from harness.runs.sharing import SharedRuns
from harness.runs.store import Store
from harness.tracking.tracker import Tracker


def run_on_cluster(
    options: MatrixOptions, store: Store, trackers: list[Tracker], given: dict[str, Any]
) -> list[Record]:
    """Execute what is left of a matrix on a cluster; returns the records of the matrix.

    Raises:
        UsageError: no cluster is reachable, its nodes are unsuitable, or the options do not fit.
        HarnessError: no node is left, or a record cannot be written.
    """
    RunMatrix(options)  # what cannot be run is refused before the connection, which takes seconds
    with connected(given["address"]) as cluster:
        interrupt_on_termination()  # Ray handles signals in its own way, too
        options = msgspec.structs.replace(options, threads=options.threads or [cluster.threads])
        matrix = RunMatrix(options)
        with shown_progress(quiet=given["quiet"]) as progress:
            requests = matrix.requests(progress)
        requests = _in_fastest_modes(requests, store.folder.parent, given)
        plan = matrix_sentence(matrix.axes(), len(requests))
        shared = SharedRuns(
            requests, store, certify=given["certify"], fresh=given["fresh"], machine=cluster.machine
        )
        return _execute(shared, store, plan, trackers, given)


def _execute(
    shared: SharedRuns, store: Store, plan: str, trackers: list[Tracker], given: dict[str, Any]
) -> list[Record]:
    left = [run.request for run in shared.left]
    display = ClusterDisplay(left, quiet=given["quiet"])
    with shared, display, _nodes(left, certify=given["certify"]) as nodes:
        display.say(plan)
        if shared.reused:
            display.say(f"{reuse_text(shared)} (harness run --fresh repeats them)")
        display.track(trackers, store.folder)
        display.stand_ins(request.dataset for request in left)
        return Dispatcher(shared, nodes, store, display).execute_all()


def _in_fastest_modes(requests: list[RunRequest], results: Path, given: dict[str, Any]) -> list[RunRequest]:
    """The requests with ``best`` resolved on a node: the modes of a node count for all of them."""
    if not asks_for_fastest(requests):
        return requests
    display = ModeDisplay(quiet=given["quiet"])
    folder = results / DUELS.folder
    try:
        with _nodes(requests, certify=False) as nodes:
            resolved, duels = on_one_node(
                nodes,
                "modes",
                requests,
                datasets=[request.dataset.name for request in requests],
                observer=DuelRecorder(folder, display),
                certify=given["certify"],
            )
    finally:
        display.stop()
    write_duels(folder, duels)
    return list(resolved)


def _nodes(requests: list[RunRequest], *, certify: bool) -> RayNodes:
    works = {certified_work(request): request for request in requests} if certify else {}
    orders = Orders(
        command=sys.argv[1:],
        cpus=1,
        plugins=plugin_files({request.plan.task.name for request in requests}),
        certified=list(works.values()),
    )
    return RayNodes(
        orders,
        backends=[request.backend for request in requests],
        datasets=[request.dataset.name for request in requests],
    )
