"""Fork clients of a service that kill themselves at a given step.

`python -m tests.support.engines.duix.kills` reads one line of JSON per client, {folder, url, code, kill_at}.

A step is an audit event of Python, such as for a file that is opened, renamed, removed or locked, or for a socket that
is connected. The client kills itself at the step `kill_at`, or never if that is 0. Its clock advances only while it
waits. For each client its process id is printed, and its exit code when it has ended.
"""

import json
import os
import signal
import sys
from dataclasses import replace
from pathlib import Path

from engines.duix.data_folder import DataFolder
from engines.duix.pool import Pool, Service
from tests.support.engines.duix.material import RARE, PollerClock, task

EVENTS = frozenset(
    {"open", "os.rename", "os.remove", "os.mkdir", "fcntl.flock", "socket.connect", "os.listdir", "os.scandir"}
)


def client(folder: Path, url: str, code: str, kill_at: int) -> None:
    """Get the video and clean up, as the last two units do; kill this process at a step."""
    steps = 0

    def count(event: str, arguments: tuple[object, ...]) -> None:
        nonlocal steps
        if event not in EVENTS or (event == "open" and not str(arguments[0]).startswith(str(folder))):
            return
        steps += 1
        if steps == kill_at:
            os.kill(os.getpid(), signal.SIGKILL)

    asked = replace(task(folder), code=code)
    out = folder / f"{code}.mp4"
    clock = PollerClock()
    pool = Pool([Service(url, DataFolder(folder / "data"))], lambda percent: None, 10.0, RARE, clock, clock.sleep)
    if kill_at:
        sys.addaudithook(count)
    if not out.exists():  # otherwise the unit has been published
        pool.video(asked, out.with_suffix(".part"))
        out.with_suffix(".part").rename(out)
    pool.clean(code)


def main() -> None:
    """Fork a client for each line of standard input."""
    for line in sys.stdin:
        asked = json.loads(line)
        child = os.fork()
        if not child:
            try:
                client(Path(asked["folder"]), asked["url"], asked["code"], asked["kill_at"])
            except BaseException as error:  # only the parent may continue
                print(repr(error), file=sys.stderr, flush=True)
                os._exit(1)
            os._exit(0)
        print(child, flush=True)
        print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), flush=True)


if __name__ == "__main__":
    main()
