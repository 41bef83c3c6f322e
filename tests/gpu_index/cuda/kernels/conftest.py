"""Kernels run on a GPU, or in Triton's interpreter if the process was started with TRITON_INTERPRET=1.

Without either there is nothing to collect here; test_interpreter.py starts such a process.
"""

import os

import pytest
import torch

DEVICE = "cuda" if torch.cuda.is_available() else "cpu"
if DEVICE == "cpu" and os.environ.get("TRITON_INTERPRET") != "1":
    collect_ignore_glob = ["test_*.py"]


@pytest.fixture
def device():
    return torch.device(DEVICE)
