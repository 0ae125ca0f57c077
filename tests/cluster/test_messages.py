"""What an agent streams while it works."""

from concurrent.futures import ThreadPoolExecutor

import pytest

from harness.cluster.messages import Call, Ended, Forwarded, streamed
from harness.errors import UsageError


def messages(work):
    with ThreadPoolExecutor(1) as thread:
        return list(streamed(work, thread))


def test_calls_arrive_in_order_before_the_result():
    def work(send):
        observer = Forwarded("run", send)
        observer.phase("building")
        observer.phase("scoring")
        return 3

    calls = [Call("run", "phase", ("building",), {}), Call("run", "phase", ("scoring",), {})]
    assert messages(work) == [*calls, Ended(3)]


def test_a_record_is_sent_as_it_was_at_the_call():
    def work(send):
        epochs = [1]
        Forwarded("observer", send).paired(epochs, seconds_left=2.0)
        epochs.append(2)

    assert messages(work)[0] == Call("observer", "paired", ([1],), {"seconds_left": 2.0})


def test_frequent_calls_are_thinned_out_and_others_are_not():
    def work(send):
        run = Forwarded("run", send)
        for step in range(100):
            run.trained(step, 100, 1, 0.5, 0.1)
            run.scored(step)

    methods = [message.method for message in messages(work)[:-1]]
    assert methods.count("scored") == 100
    assert methods.count("trained") < 10


def test_an_error_of_the_user_ends_the_work_and_a_bug_is_raised():
    def refused(send):
        raise UsageError("no such mode")

    def buggy(send):
        return {}["missing"]

    assert messages(refused) == [Ended(None, "no such mode", 2)]
    with pytest.raises(KeyError):
        messages(buggy)
