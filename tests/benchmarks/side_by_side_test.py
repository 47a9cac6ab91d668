"""Sides that take turns."""

from functools import partial

from benchmarks.shared.side_by_side import in_turns, ratios


def test_every_side_has_its_turn_before_any_has_its_next():
    order = []

    def run(side, *figures):
        order.append(side)
        return figures[order.count(side) - 1]

    found = in_turns({"a": partial(run, "a", 3.0, 8.0), "b": partial(run, "b", 2.0, 4.0)}, 2)
    assert order == ["a", "b", "a", "b"]
    assert found == {"a": [3.0, 8.0], "b": [2.0, 4.0]}
    assert ratios(found["a"], found["b"]) == (1.5, 2.0)


def test_a_side_that_was_not_run_has_no_ratios():
    assert ratios([1.0, 2.0], []) == ratios([], []) == ()
