"""The two bit instructions and the loops over words, against Python integers."""

import numpy as np
import pytest

from gpu_index.cpu import words
from market.compiled import njit


@njit()
def ones_and_lowest(word):
    return words.ones(word), words.lowest(word)


@pytest.mark.parametrize("word", [1, 2, 3, 0x8000000000000000, 0xFFFFFFFFFFFFFFFF, 0x0123456789ABCDE0])
def test_bits_are_counted_and_the_lowest_is_found(word):
    assert ones_and_lowest(np.uint64(word)) == (word.bit_count(), (word & -word).bit_length() - 1)


@pytest.mark.parametrize("length", [0, 1, 7, 8, 65])
def test_loops_over_words_do_what_they_say_and_count_what_is_left(length):
    rng = np.random.default_rng(length)
    one, other = rng.integers(0, 2**64, (2, length), np.uint64)

    def run(function, *others):
        into = one.copy()
        return function(into, *others), into

    def bits(array):
        return sum(int(word).bit_count() for word in array)

    assert words.count(one) == bits(one)
    for function, others, truth in [
        (words.clear, (), one & 0),
        (words.copy, (other,), other),
        (words.unite, (other,), one | other),
        (words.unite_of, (one, other), one | other),
        (words.keep, (other,), one & other),
        (words.keep_of, (one, other), one & other),
        (words.drop, (other,), one & ~other),
    ]:
        left, into = run(function, *others)
        assert (into == truth).all()
        assert left in (None, bits(truth))
