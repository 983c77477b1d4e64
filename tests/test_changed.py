"""What has changed since somebody last looked: nothing is lost between two threads, and the first of it wakes."""

from __future__ import annotations

import threading

from realtime.changed import Changed


def test_what_is_noted_is_taken_once_and_only_the_first_of_it_wakes():
    woken = []
    changed = Changed(lambda: woken.append(True))
    assert changed.take() == set()
    changed.note({"/a"})
    changed.note({"/b", "/a"})
    assert changed.take() == {"/a", "/b"} and len(woken) == 1
    changed.note({"/a"})
    assert changed.take() == {"/a"} and len(woken) == 2


def test_nothing_that_is_noted_meanwhile_is_lost():
    changed, taken = Changed(), []
    threads = [
        threading.Thread(target=lambda n=n: [changed.note({f"/{n}/{i}"}) for i in range(2000)]) for n in range(3)
    ]
    for thread in threads:
        thread.start()
    while any(thread.is_alive() for thread in threads):
        taken += changed.take()
    taken += changed.take()
    assert sorted(taken) == sorted(f"/{n}/{i}" for n in range(3) for i in range(2000))
