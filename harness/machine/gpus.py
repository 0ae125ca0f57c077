"""The machine's GPUs, as its files show them."""

from pathlib import Path


def gpus() -> list[str]:
    """Those of NVIDIA, even if the environment hides them: their device files, and what the driver says."""
    nodes = sorted(str(path) for path in Path("/dev").glob("nvidia[0-9]*"))
    cards = sorted(Path("/proc/driver/nvidia/gpus").glob("*/information"))
    return nodes + [card.read_text() for card in cards]
