"""Options that every task declares, and the task that they define with its networks."""

from pathlib import Path
from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta, Struct, structs

from harness.layers import Dropout
from harness.network import Network
from harness.spec import (
    Adam,
    Augmentation,
    BinaryClassification,
    Classification,
    ConstantRate,
    CosineDecay,
    Federated,
    Imbalance,
    LinearDecay,
    Objective,
    Optimizer,
    OwnCode,
    Penalty,
    Privacy,
    Regression,
    RmsProp,
    Schedule,
    Sgd,
    Start,
    StepDecay,
    Task,
)

OptimizerName = Annotated[
    Literal["sgd", "adam", "rmsprop", "gd"],
    Meta(description="the optimizer; gd takes all training data at once"),
]
ScheduleName = Annotated[
    Literal["constant", "step", "cosine", "linear"],
    Meta(description="how the learning rate changes; step: a tenth after 1/2 and after 3/4 of the training"),
]
#: Places of the steps as shares of the training: those of He et al. (2016) for CIFAR-10.
_MILESTONES = (0.5, 0.75)
_FINAL_FACTOR = 0.1
LearningRate = Annotated[float, Meta(gt=0, description="step size of the optimizer")]
#: Options of the tasks whose training data are images.
Flip = Annotated[bool, Meta(description="mirror half of the training images left to right")]
Crop = Annotated[
    int, Meta(ge=0, le=16, description="zeros added around a training image, before a window is cut out")
]
#: Options of the tasks whose layers are the harness's own, which are :class:`Sized`.
Width = Annotated[float, Meta(gt=0, le=64, description="factor on the width of every hidden layer")]
DropoutRate = Annotated[float, Meta(ge=0, lt=1, description="rate of dropout before the last layer")]
#: The folder of the tasks' reference files.
REFERENCES = Path(__file__).parent / "references"


def given(kind: type[Struct], **fields: Any) -> dict[str, Any]:
    """Return fields that differ from their defaults: given fields enter the JSON and the hash of a task."""
    defaults = {field.name: field.default for field in msgspec.structs.fields(kind)}
    return {name: value for name, value in fields.items() if value != defaults[name]}


class TrainingOptions(Struct, frozen=True, kw_only=True):
    """How a network is trained."""

    learning_rate: LearningRate = 0.01
    optimizer: OptimizerName = "sgd"
    momentum: Annotated[float, Meta(ge=0, lt=1, description="momentum of sgd")] = 0.0
    nesterov: Annotated[bool, Meta(description="Nesterov's form of the momentum of sgd")] = False
    beta_1: Annotated[float, Meta(ge=0, lt=1, description="decay of adam's mean of the gradients")] = 0.9
    l1: Annotated[float, Meta(ge=0, description="factor of the sum of |kernel| in the loss")] = 0.0
    l2: Annotated[float, Meta(ge=0, description="factor of the sum of kernel² in the loss")] = 0.0
    weight_decay: Annotated[
        float, Meta(ge=0, description="decoupled: each step shrinks kernels by learning_rate times this")
    ] = 0.0
    schedule: ScheduleName = "constant"
    warmup_steps: Annotated[
        int, Meta(ge=0, description="steps in which the learning rate rises to its value")
    ] = 0
    clip_norm: Annotated[
        float, Meta(ge=0, description="largest norm of all gradients together; 0: not clipped")
    ] = 0.0
    train_fraction: Annotated[
        float, Meta(gt=0, le=1, description="share of the training data that is used; 1: all")
    ] = 1.0

    def make_optimizer(self) -> Optimizer:
        """Return the optimizer that these options describe."""
        defaults = type(self)()
        if self.optimizer != "sgd" and (self.momentum not in {0.0, defaults.momentum} or self.nesterov):
            raise ValueError(f"momentum and nesterov belong to optimizer=sgd, not to {self.optimizer}")
        if self.nesterov and not self.momentum:
            raise ValueError("nesterov=true needs a momentum above 0, for example momentum=0.9")
        if self.optimizer != "adam" and self.beta_1 != defaults.beta_1:
            raise ValueError(f"beta_1 belongs to optimizer=adam, not to {self.optimizer}")
        match self.optimizer:
            case "sgd" | "gd":
                return Sgd(self.learning_rate, self.momentum, self.nesterov)
            case "adam":
                return Adam(self.learning_rate, self.beta_1)
            case "rmsprop":
                return RmsProp(self.learning_rate)

    def make_schedule(self) -> Schedule:
        """Return the schedule of these options; cosine and linear end at a tenth of the learning rate."""
        match self.schedule:
            case "constant":
                return ConstantRate(self.warmup_steps)
            case "step":
                return StepDecay(_MILESTONES, warmup_steps=self.warmup_steps)
            case "cosine":
                return CosineDecay(_FINAL_FACTOR, self.warmup_steps)
            case "linear":
                return LinearDecay(_FINAL_FACTOR, self.warmup_steps)

    def make_objective(self) -> Objective:
        """Return the objective that these options describe."""
        return Classification()

    def make_parts(self) -> dict[str, Any]:
        """Return the fields of the task for which only some tasks have options."""
        return {}

    def make_task(
        self,
        *,
        name: str,
        networks: dict[str, Network],
        batch_size: int,
        epochs: int,
        version: int = 1,
        objective: Objective | None = None,
        decay_embeddings: bool = False,
        samples_per_epoch: int | None = None,
    ) -> Task:
        """Return the task that trains ``networks`` by these options, by default for their objective."""
        if self.learning_rate * self.weight_decay >= 1:
            raise ValueError(
                "learning_rate times weight_decay must be below 1: a step shrinks each kernel by this share"
            )
        flip, crop = getattr(self, "flip", False), getattr(self, "crop", 0)  # of tasks on images alone
        optional = given(
            Task,
            weight_decay=self.weight_decay,
            augmentation=Augmentation(flip, crop),
            train_fraction=self.train_fraction,
            schedule=self.make_schedule(),
            clip_norm=self.clip_norm,
            decay_embeddings=decay_embeddings,
            samples_per_epoch=samples_per_epoch,
            **self.make_parts(),
        )
        return Task(
            name=name,
            version=version,
            networks=networks,
            objective=objective or self.make_objective(),
            optimizer=self.make_optimizer(),
            penalty=Penalty(self.l1, self.l2),
            batch_size=None if self.optimizer == "gd" else batch_size,
            epochs=epochs,
            **optional,
        )


#: By each part of the user's own code, the options that it replaces.
_REPLACED = {
    "loss": ("loss", "label_smoothing", "rebalance"),
    "optimizer": (
        "optimizer",
        "learning_rate",
        "momentum",
        "nesterov",
        "beta_1",
        "weight_decay",
        "clip_norm",
    ),
    "augment": ("flip", "crop"),
}


def with_own_code(task: Task, options: TrainingOptions, code: OwnCode, start: Start | None) -> Task:
    """Return the task with parts of its training in the user's own code, and weights to start from."""
    defaults = type(options)()
    for part in code.given:
        known = [name for name in _REPLACED[part] if hasattr(options, name)]
        if changed := [name for name in known if getattr(options, name) != getattr(defaults, name)]:
            raise ValueError(f"{changed[0]} has no effect beside your own {part} (--{part}); leave it out")
    optimizer = Sgd(1.0) if code.optimizer else task.optimizer
    own = given(Task, own_code=code if code.given else None, start=start)
    return structs.replace(task, optimizer=optimizer, **own)


class Sized:
    """The base, without fields, of options that declare ``width`` and ``dropout`` beside another base."""

    __slots__ = ()
    width: float
    dropout: float

    def wide(self, units: int) -> int:
        """Return the width of a hidden layer that has ``units`` at width 1."""
        return max(1, round(units * self.width))

    def dropout_layers(self) -> tuple[Dropout, ...]:
        """Return the dropout before the last layer; empty at rate 0."""
        return (Dropout(self.dropout),) if self.dropout else ()


class FederatedOptions(TrainingOptions, frozen=True, kw_only=True):
    """How a network is trained, and among how many clients its training samples are divided."""

    clients: Annotated[
        int, Meta(ge=0, description="federated averaging over so many clients, a round an epoch; 0: none")
    ] = 0
    local_epochs: Annotated[
        int, Meta(ge=1, description="passes of each client over its samples in a round")
    ] = 1

    def make_parts(self) -> dict[str, Any]:
        """See :class:`TrainingOptions`."""
        if not self.clients and (self.local_epochs != 1 or self.concentration()):
            raise ValueError("local_epochs and dirichlet need clients, such as clients=10")
        federated = Federated(self.clients, self.local_epochs, self.concentration()) if self.clients else None
        return {"federated": federated}

    def concentration(self) -> float:
        """Return the concentration of the clients' shares of a class; only classifiers have such shares."""
        return 0.0


class ImbalanceOptions(FederatedOptions, frozen=True, kw_only=True):
    """How a classifier is trained, how its classes are made imbalanced, and how its samples are protected."""

    dirichlet: Annotated[
        float,
        Meta(ge=0, description="concentration of the clients' shares of a class: small is uneven; 0: even"),
    ] = 0.0
    imbalance: Annotated[
        float,
        Meta(gt=0, le=1, description="share of training data kept in the upper half of the classes; 1: all"),
    ] = 1.0
    rebalance: Annotated[
        Literal["none", "weights", "oversample"], Meta(description="how to compensate the imbalance")
    ] = "none"
    dp_noise: Annotated[
        float, Meta(ge=0, description="noise multiplier of DP-SGD; needs dp_clip. 0: epsilon is infinite")
    ] = 0.0
    dp_clip: Annotated[
        float, Meta(ge=0, description="DP-SGD: largest norm of the gradient of a sample; 0: no DP-SGD")
    ] = 0.0
    dp_delta: Annotated[
        float, Meta(gt=0, lt=1, description="the delta at which epsilon of DP-SGD is stated")
    ] = 1e-5
    dp_canaries: Annotated[
        int, Meta(ge=0, description="mislabelled training samples by which epsilon of DP-SGD is audited")
    ] = 0

    def concentration(self) -> float:
        """See :class:`FederatedOptions`."""
        return self.dirichlet

    def make_parts(self) -> dict[str, Any]:
        """See :class:`TrainingOptions`."""
        parts: dict[str, Any] = {"privacy": self._privacy()}
        if self.imbalance < 1:
            parts["imbalance"] = Imbalance(self.imbalance, self.rebalance)
        elif self.rebalance != "none":
            raise ValueError(f"rebalance={self.rebalance} needs an imbalance below 1, such as imbalance=0.1")
        return super().make_parts() | parts

    def _privacy(self) -> Privacy | None:
        if not self.dp_clip:
            if self.dp_canaries:
                raise ValueError("dp_canaries audit DP-SGD, which needs a dp_clip, such as dp_clip=1.0")
            if self.dp_noise:
                raise ValueError(
                    f"dp_noise={self.dp_noise:g} needs a dp_clip, such as dp_clip=1.0, which scales the noise"
                )
            if self.dp_delta != type(self)().dp_delta:
                raise ValueError("dp_delta is that of DP-SGD, which needs a dp_clip, such as dp_clip=1.0")
            return None
        if self.optimizer == "gd":
            raise ValueError("DP-SGD samples its batches; use another optimizer than gd")
        optional = given(Privacy, delta=self.dp_delta, canaries=self.dp_canaries)
        return Privacy(self.dp_noise, self.dp_clip, **optional)


class ClassificationOptions(ImbalanceOptions, frozen=True, kw_only=True):
    """How a classifier of several classes is trained, and by which loss."""

    loss: Annotated[
        Literal["cross_entropy", "mse_softmax", "mse_logits"],
        Meta(description="cross-entropy, or the mean squared error of the softmax or of the logits"),
    ] = "cross_entropy"
    label_smoothing: Annotated[
        float, Meta(ge=0, lt=1, description="share of each label that is spread over all classes")
    ] = 0.0

    def make_objective(self) -> Classification:
        """See :class:`TrainingOptions`."""
        if self.loss != "cross_entropy" and self.label_smoothing:
            raise ValueError(f"label_smoothing belongs to loss=cross_entropy, not to {self.loss}")
        return Classification(**given(Classification, loss=self.loss, label_smoothing=self.label_smoothing))


class RegressionOptions(FederatedOptions, frozen=True, kw_only=True):
    """How a network that predicts numbers is trained, and by which loss."""

    loss: Annotated[
        Literal["mse", "mae", "huber"],
        Meta(description="mean squared error, mean absolute error, or Huber loss with delta 1"),
    ] = "mse"

    def make_objective(self) -> Regression:
        """See :class:`TrainingOptions`."""
        return Regression(**given(Regression, loss=self.loss))


class BinaryClassificationOptions(ImbalanceOptions, frozen=True, kw_only=True):
    """How a classifier of two classes is trained, and by which loss."""

    loss: Annotated[
        Literal["cross_entropy", "mse_sigmoid"],
        Meta(description="binary cross-entropy, or the mean squared error of the sigmoid"),
    ] = "cross_entropy"

    def make_objective(self) -> BinaryClassification:
        """See :class:`TrainingOptions`."""
        return BinaryClassification(**given(BinaryClassification, loss=self.loss))
