"""The share of its time that a thread works, as another thread sees it."""

import threading
import time

from shared.runtime.work_share import WorkShare


def test_work_counts_also_while_it_is_under_way_and_once() -> None:
    work, begun, may_end = WorkShare(), threading.Event(), threading.Event()

    def run() -> None:
        with work:
            begun.set()
            may_end.wait()

    thread = threading.Thread(target=run)
    thread.start()
    begun.wait()
    work.taken_share()
    time.sleep(0.02)
    assert work.taken_share() > 0.99  # it has worked all the time since the last call
    may_end.set()
    thread.join()
    work.taken_share()
    time.sleep(0.02)
    assert work.taken_share() == 0.0
