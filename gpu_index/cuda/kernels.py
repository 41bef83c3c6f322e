"""The steps of a search as Triton kernels: the names, arguments and results of twin.py.

Shapes that a kernel is compiled for are powers of two; everything else is an argument.
"""

from gpu_index.cuda.bitmap_kernels import compact, match, narrow, or_bitmaps, or_postings
from gpu_index.cuda.scan_kernels import sample, scan
from gpu_index.cuda.score_kernels import add_weights, rescore

__all__ = ["add_weights", "compact", "match", "narrow", "or_bitmaps", "or_postings", "rescore", "sample", "scan"]
