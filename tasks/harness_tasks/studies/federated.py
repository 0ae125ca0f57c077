"""``harness study federated``: training on data that stays with its owners."""

from harness.spec import QuickForm, StudyKind, StudyVariant

_SGD = ("optimizer=sgd", "learning_rate=0.1", "momentum=0.9")
_EVEN, _SKEWED = (*_SGD, "clients=10"), (*_SGD, "clients=10", "dirichlet=0.1")

FEDERATED = StudyKind(
    name="federated",
    question="What does training cost if the data stay with ten clients?",
    summary="central training against federated averaging, with even and skewed data, 1 and 5 local epochs",
    noun="scheme",
    tasks=("mlp", "cnn", "tabular", "resnet", "rnn"),
    variants=(
        StudyVariant("central", _SGD, "All data in one place: stochastic gradient descent with momentum."),
        StudyVariant(
            "even",
            _EVEN,
            "Ten clients with a random tenth of the data each. In each round every client trains one epoch, "
            "and the mean of their weights is the next start (McMahan et al. 2017).",
        ),
        StudyVariant(
            "even 5 epochs",
            (*_EVEN, "local_epochs=5"),
            "Every client trains five epochs between two averages: more work for each message.",
        ),
        StudyVariant(
            "skewed",
            _SKEWED,
            "Ten clients that have few classes each, in shares from a Dirichlet distribution of "
            "concentration 0.1 (Hsu et al. 2019).",
        ),
        StudyVariant(
            "skewed 5 epochs",
            (*_SKEWED, "local_epochs=5"),
            "Clients with few classes each, and five epochs between two averages.",
        ),
    ),
    quantities=("score", "client drift", "communication", "time"),
    sections=("effects", "curves", "variants"),
    title="What federated averaging does",
    meaning=(
        (
            "Some data may not leave the phone or the hospital where they are. Then the network travels: it "
            "is sent to every client, trained there, sent back, and the weights that come back are averaged."
        ),
        (
            "Where all clients have data of the same kind, their averages are nearly what central training "
            "gives. Where each has few classes, each pulls the network towards these, and the average loses "
            "what they disagree about. The client drift measures that."
        ),
        (
            "More local epochs make a round worth more, and messages fewer for the same work, but let "
            "clients part further. Here all clients take part in every round, in one process: times are "
            "those of the sum of their work, without a network. Weights that are sent can still tell of the "
            "data: averaging alone is no proof of privacy."
        ),
    ),
    terms={
        "round": "All clients train from the same weights, and theirs are averaged. It counts as an epoch.",
        "client drift": (
            "The root of the mean squared distance of the clients' weights from their average, relative to "
            "the distance by which the average moved, in the last round. 0: all clients agree."
        ),
        "communication": "Weights and state in float32, sent to every client and back in all rounds.",
    },
    ask_next=(
        "How many rounds do clients need to reach central training? Repeat the study with `--epochs 20`.",
        (
            "What changes with more local epochs: the score, the drift, or the communication for the same "
            "score?"
        ),
    ),
    exercise=(
        "A network has 100,000 weights in float32. How many MiB are sent in 30 rounds with 10 clients? "
        "Check it against the column communication with the number of parameters on this page."
    ),
    solution=("100,000 weights × 4 bytes × 10 clients × 2 ways × 30 rounds = 240 MB = 229 MiB."),
    quick=QuickForm(epochs=0.3),
)
