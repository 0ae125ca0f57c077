"""What the remedies of studies do, in plain words."""

from collections.abc import Mapping

#: By the name in :data:`harness.analysis.study.REMEDIES`; early stopping is no run of its own.
REMEDY_WORDS: Mapping[str, str] = {
    "dropout": (
        "Switches off a random half of the units in each training step, so that the network cannot rely "
        "on any single one."
    ),
    "l2": (
        "Adds the squared size of the weights to the loss. Large weights become expensive, and the "
        "network changes more gently between samples."
    ),
    "l1": (
        "Adds the absolute size of the weights to the loss, which pushes weights that are not needed to zero."
    ),
    "augmentation": (
        "Mirrors and shifts the training pictures at random, so that the network rarely sees exactly the "
        "same picture twice."
    ),
    "half the width": (
        "Halves every hidden layer. A smaller network has less room to memorise, but may also learn less."
    ),
    "early stopping": (
        "Takes the weights of the epoch with the lowest validation loss instead of the last ones. It "
        "needs no other training."
    ),
    "half the data": (
        "Trains on half of the samples. This is not a remedy: it shows what more data would change."
    ),
    "a quarter of the data": "Trains on a quarter of the samples. This is not a remedy either.",
    "class weights": "Counts each sample of a rare class more in the loss.",
    "oversampling": "Draws the samples of rare classes more often.",
    "all data": (
        "Trains on the data before any class was thinned. This is not a remedy: it shows what is lost."
    ),
}
