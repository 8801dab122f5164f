import time

import pytest

from lending_pipelines.exports.parallel import in_order


def test_results_come_in_the_order_of_the_items():
    def slow_first(number):
        time.sleep(0.05 if number == 0 else 0)
        return number * 2

    assert list(in_order(slow_first, range(20), workers=4)) == [number * 2 for number in range(20)]


def test_only_a_few_items_are_read_ahead_of_the_results():
    read = []

    def items():
        for number in range(100):
            read.append(number)
            yield number

    results = in_order(str, items(), workers=2)
    assert next(results) == "0"
    assert len(read) == 3
    results.close()
    assert len(read) == 3


def test_an_error_of_the_work_and_one_of_the_items_are_raised():
    with pytest.raises(ZeroDivisionError):
        list(in_order(lambda number: 1 // number, [1, 0, 1], workers=2))
    broken = (1 // number for number in (1, 0))
    with pytest.raises(ZeroDivisionError):
        list(in_order(str, broken, workers=2))
