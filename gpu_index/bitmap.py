"""Bitmaps over slots: uint64[W], bit b of word w stands for slot 64 w + b."""

from __future__ import annotations

import numpy as np

WORD = 64


def words_for(slots: int) -> int:
    """How many words cover so many slots."""
    return (slots + WORD - 1) // WORD


def switch_on(words: np.ndarray, slots: np.ndarray) -> None:
    """Set the bits of slots int64[n]."""
    np.bitwise_or.at(words, slots >> 6, np.uint64(1) << (slots & 63).astype(np.uint64))


def switch_off(words: np.ndarray, slots: np.ndarray) -> None:
    """Clear the bits of slots int64[n]."""
    np.bitwise_and.at(words, slots >> 6, ~(np.uint64(1) << (slots & 63).astype(np.uint64)))


def is_on(words: np.ndarray, slots: np.ndarray) -> np.ndarray:
    """bool[n]: which of slots int64[n] are set."""
    on: np.ndarray = (words[slots >> 6] >> (slots & 63).astype(np.uint64)) & np.uint64(1) == 1
    return on


def slots_on(words: np.ndarray) -> np.ndarray:
    """int64[m] slots that are set, ascending."""
    return np.flatnonzero(np.unpackbits(words.view(np.uint8), bitorder="little"))
