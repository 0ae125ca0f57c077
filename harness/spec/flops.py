"""What a training costs, from the description of the networks alone: FLOPs, and bytes that clients send."""

import math

from harness.spec.task import Adversarial, Task


def training_flops_per_sample(task: Task) -> int:
    """FLOPs of one sample in a training step; matrix products and convolutions only.

    A backward pass counts as two forward passes, one for the gradients of the weights and one for those of
    the inputs (Kaplan et al. 2020, section 2.1). An adversarial step trains the discriminator on a real and a
    generated sample (3 forward passes each), then takes the generator's gradient through the discriminator's
    inputs (a forward pass and the input half of a backward pass).
    """
    flops = {name: network.forward_flops() for name, network in task.networks.items()}
    if isinstance(task.objective, Adversarial):
        return 3 * flops["generator"] + (3 + 3 + 2) * flops["discriminator"]
    return 3 * sum(flops.values())


#: Of float32, in which weights are sent.
_BYTES_A_NUMBER = 4


def communicated_bytes(task: Task) -> int:
    """What a round of federated averaging sends: weights and state in float32, to every client and back."""
    if task.federated is None:
        return 0
    numbers = sum(math.prod(array.shape) for array in task.weights().values())
    return 2 * task.federated.clients * _BYTES_A_NUMBER * numbers
