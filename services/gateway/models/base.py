"""The base of every answer, and the answers that several routes share."""

from pydantic import BaseModel, ConfigDict


class Answer(BaseModel):
    """Base class of the API's JSON objects. Immutable.

    Passing a field that the model does not declare is an error, so that no field is lost silently.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)


class Refusal(Answer):
    """Why a request was refused: one sentence that also says what to do."""

    detail: str


class Version(Answer):
    """Version of the studio and the name of its channel.

    version: the studio's version. channel: the name of its only channel.
    """

    version: str
    channel: str


class Ticket(Answer):
    """A ticket for downloading one file once without the token."""

    ticket: str
