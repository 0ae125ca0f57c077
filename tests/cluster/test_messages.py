"""What an agent streams while it works."""

from concurrent.futures import ThreadPoolExecutor

import pytest
from support.records import make_record

from harness.cluster.messages import Ended, Forward, ForwardedStore, streamed
from harness.core.runs.events import Phase, Started, Trained
from harness.errors import UsageError


def messages(work):
    with ThreadPoolExecutor(1) as thread:
        return list(streamed(work, thread))


def test_events_arrive_in_order_before_the_result():
    events = [Phase("building"), Phase("scoring")]

    def work(send):
        for event in events:
            Forward(send)(event)
        return 3

    assert messages(work) == [*events, Ended(3)]


def test_a_record_is_sent_as_it_was_at_the_call():
    def work(send):
        record = make_record()
        Forward(send)(Started(record))
        ForwardedStore(send).save(record)
        record.status = "failed"

    assert [message.record.status for message in messages(work)[:2]] == ["ok", "ok"]


def test_frequent_events_are_thinned_out_and_others_are_not():
    def work(send):
        notify = Forward(send)
        for step in range(100):
            notify(Trained(step, 100, 1, 0.5, 0.1))
            notify(Phase("scoring"))

    sent = [type(message) for message in messages(work)[:-1]]
    assert sent.count(Phase) == 100
    assert sent.count(Trained) < 10


def test_an_error_of_the_user_ends_the_work_and_a_bug_is_raised():
    def refused(send):
        raise UsageError("no such mode")

    def buggy(send):
        return {}["missing"]

    assert messages(refused) == [Ended(None, "no such mode", 2)]
    with pytest.raises(KeyError):
        messages(buggy)
