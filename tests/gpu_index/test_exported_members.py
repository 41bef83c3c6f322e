"""The public surface, and what it costs to import it."""

import subprocess
import sys

import gpu_index


def test_the_public_names_are_these_and_no_others():
    assert gpu_index.__all__ == ["Clause", "Hits", "Index"]


def test_import_needs_numpy_only():
    heavy = "{'numba', 'pandas', 'pyarrow', 'safetensors', 'torch'}"
    script = f"import sys, gpu_index, gpu_index.reference; print(*{heavy} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == ""
