"""Wake-up of a service's loop by another thread."""

import os


class Wake:
    """An eventfd: any thread may `set` it, the loop watches `fd` and calls `clear`."""

    def __init__(self) -> None:
        self.fd = os.eventfd(0, os.EFD_NONBLOCK | os.EFD_CLOEXEC)

    def set(self) -> None:
        """Make the loop's current or next poll return immediately."""
        os.eventfd_write(self.fd, 1)

    def clear(self) -> None:
        """Reset the eventfd, so that the loop sleeps until the next `set`. Does not block."""
        try:
            os.eventfd_read(self.fd)
        except BlockingIOError:
            pass

    def close(self) -> None:
        """Close the descriptor."""
        os.close(self.fd)
