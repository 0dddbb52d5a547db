"""The answer to a request for a viewer's link to the LiveKit room."""

from services.gateway.models.base import Answer


class ViewerLink(Answer):
    """Link to the watch page, with the token and the room's address.

    watch: path of the page, below a proxy's prefix, with the token in its fragment; expires: wall clock seconds.
    """

    url: str
    room: str
    identity: str
    token: str
    expires: int
    watch: str
