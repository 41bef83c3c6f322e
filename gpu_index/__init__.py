"""Rows in, exact top-k rows out: nearest vectors under clauses of terms. Knows ids, vectors and terms only."""

from gpu_index.clause import Clause
from gpu_index.index import Index
from gpu_index.topk import Hits

__all__ = ["Clause", "Hits", "Index"]
