"""The hash of a task depends on its meaning, not on how it was written."""

import msgspec

from harness.layers import Dense
from harness.network import Network
from harness.spec.description import description_sha256
from harness.spec.task import Classification, Penalty, Sgd, Task


def _task(optimizer, **more):
    networks = {"model": Network((4,), (Dense(3),))}
    return Task(
        name="t",
        version=1,
        networks=networks,
        objective=Classification(),
        optimizer=optimizer,
        batch_size=8,
        epochs=1,
        **more,
    )


def test_a_default_that_is_given_is_the_same_as_one_left_out():
    plain = description_sha256(_task(Sgd(0.1)))
    # Made at run time: a literal could be the very object that is the default.
    assert description_sha256(_task(Sgd(0.1, float("0.0"), nesterov=False))) == plain
    assert description_sha256(_task(Sgd(0.1), penalty=Penalty(float("0.0")), weight_decay=0.0)) == plain


def test_an_integer_is_the_same_as_its_float():
    assert description_sha256(_task(Sgd(1))) == description_sha256(_task(Sgd(1.0)))


def test_a_stored_task_keeps_its_hash():
    task = _task(Sgd(0.1, 0.9))
    again = msgspec.json.decode(msgspec.json.encode(task), type=Task)
    assert description_sha256(again) == description_sha256(task)


def test_different_tasks_have_different_hashes():
    hashes = {
        description_sha256(task)
        for task in (
            _task(Sgd(0.1)),
            _task(Sgd(0.2)),
            _task(Sgd(0.1, 0.9)),
            _task(Sgd(0.1), penalty=Penalty(l2=0.1)),
            msgspec.structs.replace(_task(Sgd(0.1)), batch_size=None),
        )
    }
    assert len(hashes) == 5
