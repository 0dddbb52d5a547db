"""Sentences for the operator that say why a LiveKit connection failed or ended."""

from dataclasses import dataclass
from typing import Literal

from publishing.publication import Publication

GUEST_ENDS = {
    "DUPLICATE_IDENTITY": "Another participant has joined the room under this identity.",
    "PARTICIPANT_REMOVED": "The application removed the avatar from its room.",
    "ROOM_DELETED": "The room was deleted.",
    "ROOM_CLOSED": "The room was closed.",
}


@dataclass(frozen=True, slots=True)
class RoomFailure:
    """The reason a connection to a room failed or ended. final: do not retry; only the operator can resolve it."""

    note: str
    state: Literal["reconnecting", "failed"] = "reconnecting"
    final: bool = False


def connection_refusal(error: str, publication: Publication) -> RoomFailure:
    """Return the reason for a failed connection, derived from the SDK's error text, which is not shown itself."""
    words, host = error.lower(), publication.host
    if "401" in words or "403" in words or "unauthorized" in words or "permission" in words:
        if publication.guest:
            note = f"{host} refuses the token: it has expired, or belongs to another server; open another session."
            return RoomFailure(note, "failed", final=True)
        if "expired" in words or "not valid yet" in words or "before" in words:
            return RoomFailure(f"The clocks of this machine and of {host} differ; correct them.", "failed")
        return RoomFailure(
            f"{host} refuses the key or secret; set LIVEKIT_API_KEY and LIVEKIT_API_SECRET again.", "failed"
        )
    return RoomFailure(f"{host} does not answer; trying again.")


def room_end_reason(reason: str, publication: Publication) -> RoomFailure:
    """Return the reason for a lost connection, from the name of LiveKit's DisconnectReason."""
    host, identity = publication.host, publication.identity
    if publication.guest and reason in GUEST_ENDS:
        return RoomFailure(GUEST_ENDS[reason], "failed", final=True)
    if reason == "DUPLICATE_IDENTITY":
        note = f"Another studio publishes in this room as '{identity}'; stop it, then switch LiveKit off and on."
        return RoomFailure(note, "failed", final=True)
    if reason == "PARTICIPANT_REMOVED":
        note = f"An administrator of {host} removed the studio from the room; switch LiveKit off and on to return."
        return RoomFailure(note, "failed", final=True)
    return RoomFailure(f"The connection to {host} was lost; trying again.")
