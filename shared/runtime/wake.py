"""Wakes a service's loop from another thread."""

import os


class Wake:
    """An eventfd: any thread may `set` it, the loop watches `fd` and calls `clear`."""

    def __init__(self) -> None:
        self.fd = os.eventfd(0, os.EFD_NONBLOCK | os.EFD_CLOEXEC)

    def set(self) -> None:
        """Make the loop's next poll return at once."""
        os.eventfd_write(self.fd, 1)

    def clear(self) -> None:
        """Wait for the next `set`."""
        try:
            os.eventfd_read(self.fd)
        except BlockingIOError:
            pass

    def close(self) -> None:
        """Close the descriptor."""
        os.close(self.fd)
