"""Whole numbers in random order, without a list of them."""

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

__all__ = ["shuffled_numbers"]

Int = NDArray[np.int64]
TURNS = 6  # of the network; four are indistinguishable from random with good functions


def shuffled_numbers(total: int, chunk: int, seed: int) -> Iterator[Int]:
    """Each of the numbers 0 to ``total`` - 1 once, in an order that looks random and takes no memory.

    A Feistel network [0] permutes the numbers below the next power of four; those of ``total`` or more are
    left out.

    Args:
        total: How many.
        chunk: Most of them at once; a quarter on the average at least.
        seed: Of the order.

    Yields:
        Some of the numbers (n,).

    References:
        [0] Black, Rogaway: Ciphers with arbitrary finite domains, CT-RSA 2002.
    """
    half = np.uint64(max(1, (max(total - 1, 1).bit_length() + 1) // 2))
    keys = np.random.SeedSequence(seed).generate_state(TURNS, np.uint64).astype(np.uint64)
    for start in range(0, 1 << 2 * int(half), chunk):
        places = np.arange(start, min(start + chunk, 1 << 2 * int(half)), dtype=np.uint64)
        numbers = _permuted(places, half, keys).astype(np.int64)
        yield numbers[numbers < total]


def _permuted(numbers: NDArray[np.uint64], half: np.uint64, keys: NDArray[np.uint64]) -> NDArray[np.uint64]:
    """A permutation of the numbers below 2 ** (2 * half)."""
    mask = (np.uint64(1) << half) - np.uint64(1)
    left, right = numbers >> half, numbers & mask
    for key in keys:
        # Odd multiples carry low bits upwards, the shift brings them back: every bit counts.
        mixed = (right + key) * np.uint64(0x9E3779B97F4A7C15)
        mixed = (mixed ^ (mixed >> np.uint64(32))) * np.uint64(0xBF58476D1CE4E5B9)
        left, right = right, left ^ (mixed >> np.uint64(32) & mask)
    return left << half | right
