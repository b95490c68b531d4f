import threading
import time

from medqa.turns import Turns


def test_a_thread_that_comes_back_at_once_waits_for_those_who_came_before_it():
    turns, order, greedy_is_in = Turns(), [], threading.Event()

    def greedy():
        for i in range(3):
            with turns.mine():
                order.append(f"greedy {i}")
                greedy_is_in.set()
                if i == 0:
                    wait_until(lambda: len(turns._queue) == 3)

    def modest(name):
        with turns.mine():
            order.append(name)

    threads = [threading.Thread(target=greedy)]
    threads[0].start()
    assert greedy_is_in.wait(5)
    for queued, name in ((2, "first"), (3, "second")):
        threads.append(threading.Thread(target=modest, args=(name,)))
        threads[-1].start()
        wait_until(lambda queued=queued: len(turns._queue) >= queued)
    for thread in threads:
        thread.join(5)
    assert order == ["greedy 0", "first", "second", "greedy 1", "greedy 2"]


def wait_until(condition):
    until = time.monotonic() + 5
    while not condition() and time.monotonic() < until:
        time.sleep(0.001)


def test_a_turn_may_be_taken_again_within_and_is_given_back_after_an_error():
    turns = Turns()
    try:
        with turns.mine(), turns.mine():
            raise KeyError
    except KeyError:
        pass
    taken = []
    other = threading.Thread(target=lambda: taken.append(turns.mine().__enter__()))
    other.start()
    other.join(5)
    assert taken
