"""Work is shared out whole, evenly and the same way everywhere."""

import numpy as np
import pytest

from xstars_lightning.samplers.shares import share_out

COSTS = np.random.default_rng(0).integers(1, 1000, 50).tolist()


@pytest.mark.parametrize("shares", [1, 3, 8])
def test_every_piece_is_given_to_one_process(shares):
    given = share_out(COSTS, shares)
    assert len(given) == shares
    assert sorted(piece for pieces in given for piece in pieces) == list(range(len(COSTS)))


def test_loads_are_even():
    loads = [sum(COSTS[piece] for piece in pieces) for pieces in share_out(COSTS, 4)]
    assert max(loads) < 1.05 * sum(COSTS) / 4


def test_one_large_piece_does_not_draw_others_to_its_process():
    assert share_out([10, 90, 10, 10], 2) == [[1], [0, 2, 3]]


def test_processes_beyond_the_pieces_have_nothing_to_do():
    assert share_out([5, 5], 4) == [[0], [1], [], []]
