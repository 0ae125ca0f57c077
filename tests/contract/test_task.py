"""The hash of a task, which depends on its meaning, and FLOPs of a training step, counted by hand."""

import msgspec
from support.tasks import small_task

from harness.layers import Dense
from harness.network import Network
from harness.spec.description import description_sha256
from harness.spec.task import Adversarial, Penalty, Sgd, Task, training_flops_per_sample


def _task(optimizer=Sgd(0.1), **more):  # noqa: B008  frozen
    return small_task((4,), Dense(3), optimizer=optimizer, **more)


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


# FLOPs of a training step, counted by hand.


def test_a_step_is_one_product_forward_and_two_back():
    # 3 inputs to 5 outputs: 15 multiply-adds forward, for the weights' gradients, and for the inputs'.
    assert training_flops_per_sample(small_task((3,), Dense(5))) == 2 * (15 + 15 + 15)


def test_an_adversarial_step_trains_both_networks():
    networks = {"generator": Network((2,), (Dense(4),)), "discriminator": Network((4,), (Dense(1),))}
    discriminator = 2 * (4 + 4 + 4)  # of one picture, real or generated
    through = 2 * (4 + 4)  # forward, and back to its inputs alone
    generator = 2 * (8 + 8 + 8)
    found = training_flops_per_sample(
        msgspec.structs.replace(_task(), objective=Adversarial(latent_size=2), networks=networks)
    )
    assert found == 2 * discriminator + through + generator
