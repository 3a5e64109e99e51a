"""The local engine: order, errors, bounds. Expected values are what a plain loop over the items gives."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from functools import partial
from itertools import islice
from threading import Barrier, Event, Thread, current_thread
from typing import TypeVar

import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st

from msecli.engines.local import LocalEngine, available_cores

T = TypeVar("T")
JOBS = pytest.mark.parametrize("jobs", [1, 2, 4])
PATIENCE = 20
"""Seconds after which something that should have ended is called a deadlock."""
TASKS_AHEAD = 2
"""Bound of the tasks drawn ahead, for each job."""
RESULTS_AHEAD = 8
"""Bound of the results of one task made ahead."""


class Broken(Exception):  # noqa: N818 - not an error of the project
    """What a task or its consumer raises here."""


def finish(work: Callable[[], T]) -> T:
    """Return what `work` returns, or fail if it never ends."""
    results: list[T] = []
    errors: list[BaseException] = []

    def run() -> None:
        try:
            results.append(work())
        except BaseException as error:  # noqa: BLE001 - raised again below
            errors.append(error)

    thread = Thread(target=run, daemon=True)
    thread.start()
    thread.join(PATIENCE)
    assert not thread.is_alive(), "deadlock"
    if errors:
        raise errors[0]
    return results[0]


def call(task: Callable[[], Iterator[T]]) -> Iterator[T]:
    """Do the work of an item that is a task."""
    return task()


def numbers(task: int, results: int) -> Iterator[tuple[int, int]]:
    for result in range(results):
        yield task, result


def failing(results: int, error: BaseException) -> Iterator[int]:
    yield from range(results)
    raise error


def counted(drawn: list[int], results: int = 1) -> Iterator[Callable[[], Iterator[tuple[int, int]]]]:
    """Draw very many tasks, and note each that is drawn."""
    for task in range(10_000):
        drawn.append(task)
        yield partial(numbers, task, results)


# No shrinking: a deadlock would be waited for again and again.
@settings(deadline=None, max_examples=60, phases=[Phase.explicit, Phase.reuse, Phase.generate])
@given(st.lists(st.integers(0, 12), max_size=20), st.sampled_from([1, 2, 4]))
def test_results_come_in_the_order_of_the_tasks(sizes: list[int], jobs: int) -> None:
    def work() -> list[tuple[int, int]]:
        with LocalEngine(jobs) as engine:
            return list(engine.run(call, (partial(numbers, task, size) for task, size in enumerate(sizes))))

    assert finish(work) == [(task, result) for task, size in enumerate(sizes) for result in range(size)]


@JOBS
def test_one_task_may_have_many_results(jobs: int) -> None:
    def work() -> list[tuple[int, int]]:
        with LocalEngine(jobs) as engine:
            return list(engine.run(call, [partial(numbers, 0, 5000)]))

    assert finish(work) == [(0, result) for result in range(5000)]


@JOBS
def test_many_tasks_may_have_one_result_each(jobs: int) -> None:
    def work() -> list[tuple[int, int]]:
        with LocalEngine(jobs) as engine:
            return list(engine.run(call, (partial(numbers, task, 1) for task in range(3000))))

    assert finish(work) == [(task, 0) for task in range(3000)]


def test_a_later_task_that_ends_first_still_comes_second() -> None:
    second_done = Event()

    def first() -> Iterator[str]:
        assert second_done.wait(PATIENCE)
        yield "first"

    def second() -> Iterator[str]:
        yield "second"
        second_done.set()

    def work() -> list[str]:
        with LocalEngine(2) as engine:
            return list(engine.run(call, [first, second]))

    assert finish(work) == ["first", "second"]


def test_as_many_tasks_as_jobs_run_at_the_same_time() -> None:
    barrier = Barrier(4)

    def meeting() -> Iterator[bool]:
        yield barrier.wait(PATIENCE) in range(4)

    def work() -> list[bool]:
        with LocalEngine(4) as engine:
            return list(engine.run(call, [meeting] * 4))

    assert finish(work) == [True] * 4


@pytest.mark.parametrize(("jobs", "alone"), [(1, True), (2, False)])
def test_one_job_needs_no_thread(jobs: int, alone: bool) -> None:
    def where() -> Iterator[Thread]:
        yield current_thread()

    def work() -> list[bool]:
        with LocalEngine(jobs) as engine:
            return [thread is current_thread() for thread in engine.run(call, [where] * 3)]

    assert finish(work) == [alone] * 3


@JOBS
@pytest.mark.parametrize("error", [Broken("spoiled"), KeyboardInterrupt()], ids=["error", "interrupt"])
@pytest.mark.parametrize("results", [0, 1, 7])
def test_an_error_in_a_task_surfaces_after_the_results_before_it(jobs: int, error: BaseException, results: int) -> None:
    seen: list[object] = []

    def work() -> None:
        with LocalEngine(jobs) as engine:
            tasks: list[Callable[[], Iterator[object]]] = [
                partial(numbers, 0, 3), partial(failing, results, error), partial(numbers, 2, 3)
            ]  # fmt: skip
            seen.extend(engine.run(call, tasks))

    with pytest.raises(type(error)) as caught:
        finish(work)
    assert caught.value is error
    assert seen == [(0, 0), (0, 1), (0, 2), *range(results)]


@JOBS
def test_an_error_raised_before_the_first_result_surfaces(jobs: int) -> None:
    def broken() -> Iterator[int]:
        raise Broken("no iterator")

    def work() -> list[int]:
        with LocalEngine(jobs) as engine:
            return list(engine.run(call, [broken]))

    with pytest.raises(Broken, match="no iterator"):
        finish(work)


@JOBS
def test_no_tasks_have_no_results(jobs: int) -> None:
    with LocalEngine(jobs) as engine:
        assert list(engine.run(call, [])) == []


@JOBS
def test_an_engine_may_run_again_and_again(jobs: int) -> None:
    def work() -> list[list[tuple[int, int]]]:
        with LocalEngine(jobs) as engine:
            return [list(engine.run(call, [partial(numbers, turn, 6)])) for turn in range(5)]

    assert finish(work) == [[(turn, result) for result in range(6)] for turn in range(5)]


@JOBS
def test_an_engine_runs_on_after_the_error_of_a_task(jobs: int) -> None:
    def work() -> list[tuple[int, int]]:
        with LocalEngine(jobs) as engine:
            with pytest.raises(Broken):
                list(engine.run(call, [partial(failing, 2, Broken())] * 9))
            return list(engine.run(call, [partial(numbers, 0, 6)]))

    assert finish(work) == [(0, result) for result in range(6)]


@JOBS
def test_two_streams_of_long_lanes_taken_in_turn_do_not_block_each_other(jobs: int) -> None:
    def work() -> list[tuple[tuple[int, int], tuple[int, int]]]:
        with LocalEngine(jobs) as engine:
            left = engine.run(call, (partial(numbers, task, 200) for task in range(8)))
            right = engine.run(call, (partial(numbers, task, 400) for task in range(4)))
            return list(zip(left, right, strict=True))

    left, right = zip(*finish(work), strict=True)
    assert list(left) == [(task, result) for task in range(8) for result in range(200)]
    assert list(right) == [(task, result) for task in range(4) for result in range(400)]


@pytest.mark.parametrize("jobs", [2, 3])
def test_a_stream_drawn_from_by_the_tasks_of_another_does_not_block(jobs: int) -> None:
    def work() -> list[int]:
        with LocalEngine(jobs) as engine:
            streams = [engine.run(call, (partial(numbers, task, 50) for task in range(6))) for _ in range(3)]
            tasks = (partial(iter, [sum(result for _, result in row)]) for row in zip(*streams, strict=True))
            return list(engine.run(call, tasks))

    assert finish(work) == [3 * result for _ in range(6) for result in range(50)]


@JOBS
def test_tasks_beyond_the_window_are_not_drawn(jobs: int) -> None:
    drawn: list[int] = []

    def work() -> list[tuple[int, int]]:
        with LocalEngine(jobs) as engine:
            stream = engine.run(call, counted(drawn))
            return list(islice(stream, 3))

    assert finish(work) == [(0, 0), (1, 0), (2, 0)]
    assert 3 <= len(drawn) <= 3 + jobs * TASKS_AHEAD


@JOBS
def test_nothing_is_drawn_before_the_first_result_is_asked_for(jobs: int) -> None:
    drawn: list[int] = []
    with LocalEngine(jobs) as engine:
        engine.run(call, counted(drawn))
    assert drawn == []


@JOBS
def test_a_task_does_not_run_far_ahead_of_its_consumer(jobs: int) -> None:
    made: list[int] = []

    def long() -> Iterator[int]:
        for number in range(10_000):
            made.append(number)
            yield number

    def work() -> list[int]:
        with LocalEngine(jobs) as engine:
            return list(islice(engine.run(call, [long] * 2), 20))

    assert finish(work) == list(range(20))
    assert len(made) <= 20 + 2 * RESULTS_AHEAD


@JOBS
@pytest.mark.parametrize("results", [1, 1000])
def test_leaving_early_ends_the_engine(jobs: int, results: int) -> None:
    drawn: list[int] = []

    def work() -> bool:
        with LocalEngine(jobs) as engine:
            stream = engine.run(call, counted(drawn, results))
            next(stream)
            stream.close()  # type: ignore[attr-defined]
        return True

    assert finish(work)
    assert len(drawn) <= jobs * TASKS_AHEAD


@JOBS
def test_an_error_of_the_consumer_ends_the_engine(jobs: int) -> None:
    def work() -> None:
        with LocalEngine(jobs) as engine:
            for _ in engine.run(call, counted([], 1000)):
                raise Broken("consumer")

    with pytest.raises(Broken, match="consumer"):
        finish(work)


def test_the_number_of_jobs_is_that_of_the_cores_unless_said() -> None:
    assert LocalEngine(3).jobs == 3
    assert LocalEngine().jobs == available_cores()
    assert 1 <= available_cores() <= (os.cpu_count() or 1)


@JOBS
@pytest.mark.parametrize("drawn", [0, 1, 5])
def test_an_error_in_drawing_an_item_surfaces_after_the_results_of_the_items_before_it(jobs: int, drawn: int) -> None:
    seen: list[tuple[int, int]] = []

    def items() -> Iterator[int]:
        yield from range(drawn)
        raise Broken("no more items")

    def work() -> None:
        with LocalEngine(jobs) as engine:
            seen.extend(engine.run(partial(numbers, results=2), items()))

    with pytest.raises(Broken, match="no more items"):
        finish(work)
    assert seen == [(task, result) for task in range(drawn) for result in range(2)]


@JOBS
def test_items_may_be_anything(jobs: int) -> None:
    items = [None, (), "", 0, False, [1], float("nan")]

    def same(item: object) -> Iterator[object]:
        yield item

    def work() -> list[object]:
        with LocalEngine(jobs) as engine:
            return list(engine.run(same, items))

    found = finish(work)
    assert len(found) == len(items)
    assert all(one is other for one, other in zip(found, items, strict=True))
