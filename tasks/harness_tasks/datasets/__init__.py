"""The data sets that come with the harness, by their names on the command line.

Importing this module imports neither NumPy nor anything else that is slow; each source imports what it needs.
"""

from harness.spec import DataSource
from harness_tasks.datasets.cifar10 import Cifar10
from harness_tasks.datasets.mnist1d import Mnist1d
from harness_tasks.datasets.scikit_learn import BreastCancer, Digits
from harness_tasks.datasets.sunspots import Sunspots
from harness_tasks.datasets.texts import Pydoc, Tinyshakespeare

SOURCES: dict[str, DataSource] = {
    source.name: source
    for source in (
        BreastCancer(),
        Cifar10(),
        Digits(),
        Mnist1d(),
        Pydoc(),
        Sunspots(),
        Tinyshakespeare(),
    )
}
