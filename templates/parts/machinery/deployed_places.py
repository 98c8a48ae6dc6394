"""Where a run leaves its network, and the folder that hands it on."""

from pathlib import Path

# The file of an exported network.
NETWORK = "model.onnx"


def deployment(run: Path) -> Path:
    """Return the folder in a run that is copied to where its network is applied."""
    return run / "deploy"


def network_of(run: Path) -> Path:
    """Return where a run leaves its network."""
    return deployment(run) / NETWORK
