"""Options that every task declares, and the optimizer and penalty that they make."""

from typing import Annotated, Literal

from msgspec import Meta, Struct

from harness.spec import Adam, Optimizer, Penalty, RmsProp, Sgd


class TrainingOptions(Struct, frozen=True, kw_only=True):
    """How any network is trained."""

    learning_rate: Annotated[float, Meta(gt=0, description="step size of the optimizer")] = 0.01
    optimizer: Annotated[
        Literal["sgd", "adam", "rmsprop"], Meta(description="the rule that turns gradients into steps")
    ] = "sgd"
    momentum: Annotated[float, Meta(ge=0, lt=1, description="momentum of sgd")] = 0.0
    nesterov: Annotated[bool, Meta(description="Nesterov's form of the momentum of sgd")] = False
    l1: Annotated[float, Meta(ge=0, description="weight of the sum of |kernel|, added to the loss")] = 0.0
    l2: Annotated[float, Meta(ge=0, description="weight of the sum of kernel², added to the loss")] = 0.0

    def make_optimizer(self) -> Optimizer:
        """The optimizer that these options describe.

        Raises:
            ValueError: options that do not go together, in words for the user.
        """
        if self.optimizer != "sgd" and (self.momentum or self.nesterov):
            raise ValueError(f"momentum and nesterov belong to optimizer=sgd, not to {self.optimizer}")
        if self.nesterov and not self.momentum:
            raise ValueError("nesterov=true needs a momentum above 0, for example momentum=0.9")
        match self.optimizer:
            case "sgd":
                return Sgd(self.learning_rate, self.momentum, self.nesterov)
            case "adam":
                return Adam(self.learning_rate)
            case "rmsprop":
                return RmsProp(self.learning_rate)

    def make_penalty(self) -> Penalty:
        """The penalty that these options describe."""
        return Penalty(self.l1, self.l2)
