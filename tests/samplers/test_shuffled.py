import numpy as np
import pytest

from xstars_lightning.samplers.shuffled import shuffled_numbers


@pytest.mark.parametrize("total", [0, 1, 2, 3, 5, 16, 17, 1000, 4097])
@pytest.mark.parametrize("chunk", [3, 100_000])
def test_each_number_comes_once(total, chunk):
    numbers = np.concatenate(list(shuffled_numbers(total, chunk, 0)))
    assert sorted(numbers) == list(range(total))


def test_the_order_looks_random_and_depends_on_the_seed():
    first = next(shuffled_numbers(10**11, 20_000, 0))
    assert len(np.unique(first)) == len(first)
    counts = np.histogram(first, 20, (0, 10**11))[0]
    assert ((counts - counts.mean()) ** 2).sum() / counts.mean() < 44  # chi squared, 0.1 %
    assert ((np.bincount(first % 20) - len(first) / 20) ** 2).sum() / (len(first) / 20) < 44
    assert abs(np.corrcoef(first[:-1], first[1:])[0, 1]) < 0.04
    assert np.isin(next(shuffled_numbers(10**11, 20_000, 1)), first).sum() < 5


def test_little_is_computed_for_the_first_of_many():
    np.testing.assert_array_equal(
        next(shuffled_numbers(10**15, 10, 0)), next(shuffled_numbers(10**15, 10, 0))
    )
