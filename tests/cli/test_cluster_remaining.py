"""The time left of runs on several nodes."""

from harness.cli.cluster_display import ClusterRemaining


def test_the_time_left_is_shared_by_the_nodes():
    now = [0.0]
    remaining = ClusterRemaining(["cnn"] * 4, lambda: now[0])
    assert remaining.seconds() is None
    remaining.nodes = 2
    remaining.begin("alpha", "cnn")
    remaining.begin("beta", "cnn")
    now[0] = 10.0
    remaining.advance("alpha", 0.5)
    assert remaining.seconds() == (10 + 10 + 2 * 20) / 2
    now[0] = 20.0
    remaining.end("alpha")
    assert remaining.seconds() == (0 + 2 * 20) / 2


def test_a_run_that_begins_again_counts_in_full_and_a_lost_node_no_longer():
    now = [0.0]
    remaining = ClusterRemaining(["cnn"] * 2, lambda: now[0])
    remaining.nodes = 2
    remaining.begin("alpha", "cnn")
    remaining.begin("beta", "cnn")
    now[0] = 20.0
    remaining.end("alpha")
    remaining.again("beta", "cnn")
    remaining.nodes = 1
    assert remaining.seconds() == 20
