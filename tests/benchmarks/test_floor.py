"""What a computation must do at least."""

import pytest
import torch

from floor import Floor, floor_of


def test_operations_of_both_passes_and_bytes_kept_for_the_second_are_counted():
    a, b = torch.randn(8, 16, requires_grad=True), torch.randn(16, 4, requires_grad=True)
    floor = floor_of(lambda: (a @ b).sum().backward(), 1.0, 1.0)
    assert floor.operations == 3 * 2 * 8 * 16 * 4
    assert floor.bytes == 4 * (8 * 16 + 16 * 4)


def test_shares_are_of_what_the_machine_can_do():
    shares = Floor(operations=4e9, bytes=1e9, product=2e9, copy=1e9).share_of(seconds=4.0)
    assert shares["share of the product's rate"] == pytest.approx(0.5)
    assert shares["share of the copy's rate"] == pytest.approx(0.5)


def test_state_moves_too():
    shares = Floor(operations=4e9, bytes=1e9, product=2e9, copy=1e9, state=1e9).share_of(seconds=4.0)
    assert shares["GB written and read"] == 2
    assert shares["share of the copy's rate"] == pytest.approx(1.0)
