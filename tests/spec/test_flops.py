"""FLOPs of a training step, counted by hand."""

from harness.layers import Dense
from harness.network import Network
from harness.spec.task import Adversarial, Classification, Sgd, Task, training_flops_per_sample


def _task(objective, **networks):
    return Task(
        name="tiny",
        version=1,
        networks=networks,
        objective=objective,
        optimizer=Sgd(0.1),
        batch_size=8,
        epochs=1,
    )


def test_a_step_is_one_product_forward_and_two_back():
    # 3 inputs to 5 outputs: 15 multiply-adds forward, for the weights' gradients, and for the inputs'.
    task = _task(Classification(), model=Network((3,), (Dense(5),)))
    assert training_flops_per_sample(task) == 2 * (15 + 15 + 15)


def test_an_adversarial_step_trains_both_networks():
    networks = {"generator": Network((2,), (Dense(4),)), "discriminator": Network((4,), (Dense(1),))}
    discriminator = 2 * (4 + 4 + 4)  # of one picture, real or generated
    through = 2 * (4 + 4)  # forward, and back to its inputs alone
    generator = 2 * (8 + 8 + 8)
    found = training_flops_per_sample(_task(Adversarial(latent_size=2), **networks))
    assert found == 2 * discriminator + through + generator
