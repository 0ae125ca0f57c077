"""The task ``forecast``: an LSTM predicts the next values of a series from the past ones."""

from harness.layers import LSTM, Dense
from harness.network import Network
from harness.spec import Preset, Task, TaskDefinition
from harness_tasks.options import (
    REFERENCES,
    DropoutRate,
    LearningRate,
    OptimizerName,
    RegressionOptions,
    Sized,
    Width,
)
from harness_tasks.windows import FUTURE, PAST


class ForecastOptions(RegressionOptions, Sized, frozen=True, kw_only=True):
    """Options of the training."""

    learning_rate: LearningRate = 2e-3
    optimizer: OptimizerName = "adam"
    width: Width = 1.0
    dropout: DropoutRate = 0.0


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
