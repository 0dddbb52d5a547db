"""HTTP API: whether the operator or a viewer with a link can talk with the host; chat lines of a livestream."""

import asyncio

from fastapi import APIRouter, Depends, HTTPException, Request

from services.gateway.api.addressed import ChannelGateway
from services.gateway.api.security import BEARER, need_token
from services.gateway.audience.links import WatchLink, WatchRefusedError
from services.gateway.conversation.chat_lines import ChatBusyError
from services.gateway.models.conversation import ChatLine, ChatLineTaken, Conversation
from services.gateway.service import Gateway
from shared.config.conversation import ConversationSettings
from shared.errors import StudioError
from shared.runtime.shown_text import one_line
from shared.voices.registry import open_voice

routes = APIRouter(prefix="/api/v1/channels/{channel}", dependencies=[Depends(need_token)], tags=["conversation"])
watch_routes = APIRouter(prefix="/api/v1/channels/{channel}/watch", tags=["conversation"])

NOT_FOR_VIEWERS = "Viewers cannot talk with the host here; watch and listen."


async def talk_settings(gateway: Gateway) -> ConversationSettings:
    """Return the settings of the conversation. Raises StudioError if no conversation is possible."""
    settings = ConversationSettings.load()
    if missing := settings.missing():
        raise StudioError(missing)
    await asyncio.to_thread(open_voice, gateway.settings.voice)
    return settings


async def viewers_talk_settings(gateway: Gateway, link: WatchLink) -> ConversationSettings:
    """Return the conversation's settings for a viewer with this link.

    Raises StudioError if the viewer may not talk; its sentence reveals nothing of the settings.
    """
    try:
        settings = await talk_settings(gateway)
    except StudioError:
        raise StudioError(NOT_FOR_VIEWERS) from None
    if not (settings.viewers_may_talk and link.talk):
        raise StudioError(NOT_FOR_VIEWERS)
    return settings


@routes.get("/conversation")
async def conversation_availability(gateway: ChannelGateway) -> Conversation:
    """Whether a conversation with the host is possible, and if not, why."""
    try:
        settings = await talk_settings(gateway)
    except StudioError as error:
        return Conversation(available=False, why=str(error), viewers_may_talk=False)
    return Conversation(available=True, why="", viewers_may_talk=settings.viewers_may_talk)


@watch_routes.get("/conversation")
async def watched_conversation(request: Request, gateway: ChannelGateway) -> Conversation:
    """Whether a viewer with this link can talk with the host."""
    scheme, _, token = request.headers.get("authorization", "").partition(" ")
    try:
        link = gateway.seats.links.admit(token.strip() if scheme.lower() == "bearer" else "")
    except WatchRefusedError as error:
        raise HTTPException(401, str(error), BEARER) from None
    try:
        await viewers_talk_settings(gateway, link)
    except StudioError as error:
        return Conversation(available=False, why=str(error), viewers_may_talk=False)
    return Conversation(available=True, why="", viewers_may_talk=True)


@routes.post("/chat", status_code=202)
async def add_chat_line(line: ChatLine, gateway: ChannelGateway) -> ChatLineTaken:
    """Queue a line of a livestream's chat, which the host answers when no one else is talking with it.

    At most one line every two seconds, with bursts of up to five; more are refused with 429 and Retry-After.
    """
    author, text = one_line(" ".join(line.author.split())), one_line(" ".join(line.text.split()))
    try:
        settings = await talk_settings(gateway)
    except StudioError as error:
        raise HTTPException(409, str(error)) from None
    try:
        return ChatLineTaken(waiting=gateway.conversation.add_chat_line(settings, author, text))
    except ChatBusyError as error:
        raise HTTPException(429, str(error), {"retry-after": str(error.retry_after_s)}) from None
    except StudioError as error:
        raise HTTPException(422, str(error)) from None
