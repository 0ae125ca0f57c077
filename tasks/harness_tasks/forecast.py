"""The task ``forecast``: an LSTM predicts the next values of a series from the past ones."""

from typing import Annotated, Literal

from msgspec import Meta

from harness.layers import LSTM, Dense
from harness.network import Network
from harness.spec import Preset, Regression, Task, TaskDefinition
from harness_tasks.options import REFERENCES, FederatedOptions, LearningRate, OptimizerName, given
from harness_tasks.windows import FUTURE, PAST


class ForecastOptions(FederatedOptions, frozen=True, kw_only=True):
    """Options of the training."""

    learning_rate: LearningRate = 2e-3
    optimizer: OptimizerName = "adam"
    loss: Annotated[
        Literal["mse", "mae", "huber"],
        Meta(description="mean squared error, mean absolute error, or Huber loss with delta 1"),
    ] = "mse"

    def make_objective(self) -> Regression:
        """See :class:`harness_tasks.options.TrainingOptions`."""
        return Regression(**given(Regression, loss=self.loss))


def define(options: ForecastOptions) -> Task:
    """Define an LSTM of 32 units over past years; a dense layer predicts the next; mean squared error."""
    network = Network(
        input_shape=(PAST, 1),
        layers=(LSTM(options.wide(32)), *options.dropout_layers(), Dense(FUTURE)),
    )
    return options.make_task(
        name="forecast",
        networks={"model": network},
        batch_size=16,
        epochs=20,
    )


FORECAST = TaskDefinition(
    name="forecast",
    summary="Sunspots of the next years from those of the past ones: an LSTM, Adam, MSE",
    datasets=("sunspots",),
    options=ForecastOptions,
    define=define,
    reference=REFERENCES / "forecast.json",
    presets={"smoke": Preset(epochs=10)},
)
