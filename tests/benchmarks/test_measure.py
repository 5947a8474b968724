"""Times of several ways, in turn."""

import measure
from measure import in_turn, settled, spread


def test_the_first_two_steps_do_not_count(monkeypatch):
    clock = iter([0, 50, 100, 140, 200, 201, 300, 302, 400, 403])
    monkeypatch.setattr(measure.time, "perf_counter", lambda: next(clock))
    assert settled(lambda: None, 3) == [1, 2, 3]


def test_ways_take_turns_and_the_first_round_does_not_count():
    calls = []
    measured = in_turn({name: lambda name=name: calls.append(name) or 1.0 for name in "ab"}, 2)
    assert "".join(calls) == "ababab"
    assert [len(times) for times in measured.times.values()] == [2, 2]
    assert measured.values == {"a": 1.0, "b": 1.0}


def test_a_spread_has_four_digits():
    assert spread([1.0, 2.00004, 3.0]) == {"median": 2.0, "min": 1.0, "max": 3.0}
