"""Imports torch and Lightning, reads data by the parts of a script, and says when it was done.

    python reading_alone.py DATASET FOLDER

DATASET is pickled; FOLDER is where its relative places start.
"""

import pickle
import sys
import time
from pathlib import Path

import lightning.pytorch
import torch

from parts.data_checks import find_data
from parts.events import read_splits

if __name__ == "__main__":
    assert lightning.pytorch
    # Written by starting.py a moment before.
    dataset = pickle.loads(Path(sys.argv[1]).read_bytes())  # noqa: S301
    files = find_data(dataset, Path(sys.argv[2])).files
    read_splits(dataset, files, True, True, torch.float32)
    print(time.time())
