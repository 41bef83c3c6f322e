"""Without a GPU: the kernels under Triton's interpreter, and compiled for the H200 as far as that goes without one."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

KERNELS = Path(__file__).parent / "kernels"
POINTERS = {
    "bf16": ("values", "rounded"),
    "fp32": ("scale", "norm", "error", "factors", "slack", "floors", "queries", "scores"),
    "fp64": ("boosts", "weights"),
    "i64": ("pieces",),
}
NUMBERS = (
    "boost_stride",
    "capacity",
    "every",
    "stride",
    "sign",
    "room",
    "words",
    "most",
    "width",
)  # other arguments are *i32
SHAPES = {"DIM": 128, "CHUNK": 128, "BATCH": 64, "BOOSTED": True, "INT8": False, "WIDE": False, "BLOCK": 64}
SCAN, SAMPLE = {**SHAPES, "SKIP": True}, {**SHAPES, "SKIP": False}


def test_the_kernels_agree_with_the_twin_in_the_interpreter():
    """In a process of its own: the interpreter has to be chosen before anything imports triton."""
    pytest.importorskip("triton")
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-p", "no:xdist", str(KERNELS)]
    environment = {**os.environ, "TRITON_INTERPRET": "1", "CUDA_VISIBLE_DEVICES": "", "OMP_NUM_THREADS": "1"}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=280, check=False)
    assert done.returncode == 0, done.stdout[-4000:] + done.stderr[-2000:]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "shapes"),
    [
        ("_scan", SCAN),
        ("_scan", {**SCAN, "BATCH": 16, "BLOCK": 128, "BOOSTED": False}),
        ("_scan", {**SCAN, "BATCH": 16, "BLOCK": 128, "INT8": True}),
        ("_sample", SAMPLE),
        ("_match", {"BATCH": 64, "BLOCK": 64}),
        ("_compact", {"BATCH": 64, "BLOCK": 32}),
        ("_narrow", {"BATCH": 64, "SKETCH": 4, "BLOCK": 2}),
        ("_or_bitmaps", {"BLOCK": 1024}),
        ("_or_postings", {"BLOCK": 1024}),
        ("_add_weights", {"BLOCK": 1024}),
        ("_rescore", {"DIM": 128, "PADDED": 128, "LEVELS": 7, "SPLIT": True, "BOOSTED": True, "BLOCK": 16}),
    ],
)
def test_a_kernel_compiles_for_hopper(name, shapes):
    """To machine code, without flushing small numbers to zero; the scan uses the matrix units."""
    triton = pytest.importorskip("triton", minversion="3.9")
    from triton.backends.compiler import GPUTarget

    from gpu_index.cuda import bitmap_kernels, scan_kernels, score_kernels
    from gpu_index.cuda.launch import OPTIONS

    kernel = next(getattr(m, name) for m in (bitmap_kernels, scan_kernels, score_kernels) if hasattr(m, name))
    type_of = {pointer: f"*{kind}" for kind, names in POINTERS.items() for pointer in names}
    if name == "_rescore":
        type_of |= {"high": "*i16", "low": "*i16", "counts": "*i64"}
    if shapes.get("INT8"):
        type_of |= {"values": "*i8", "rounded": "*i8"}
    type_of |= dict.fromkeys(NUMBERS, "i32") | dict.fromkeys(shapes, "constexpr")
    signature = {argument: type_of.get(argument, "*i32") for argument in kernel.arg_names}
    source = triton.compiler.ASTSource(fn=kernel, signature=signature, constexprs=shapes)
    compiled = triton.compile(
        source,
        target=GPUTarget("cuda", 90, 32),
        options={**OPTIONS, **({"maxnreg": scan_kernels.REGISTERS} if name == "_scan" else {})},
    )
    text = compiled.asm["ptx"]
    assert len(compiled.asm["cubin"]) > 0
    assert not re.search(r"(add|mul|fma|cvt)\S*\.ftz", text)
    assert ("wgmma" in text) == (name in ("_scan", "_sample"))
