"""What a request is about: the gateway, its channel, an avatar. Where there is no such thing the answer is 404."""

from pathlib import Path
from typing import Annotated

from fastapi import Depends, HTTPException, Request

from services.gateway.service import Gateway
from shared.avatar.build import list_avatars
from shared.avatar.model import avatars_folder


def gateway_of(request: Request) -> Gateway:
    """The gateway that answers the request."""
    gateway: Gateway = request.app.state.gateway
    return gateway


def gateway_of_channel(channel: str, request: Request) -> Gateway:
    """The gateway, if the channel is the one it has."""
    gateway = gateway_of(request)
    if channel != gateway.settings.channel:
        raise HTTPException(404, f"This studio's channel is '{gateway.settings.channel}', not '{channel[:40]}'.")
    return gateway


ChannelGateway = Annotated[Gateway, Depends(gateway_of_channel)]


def existing_avatar(gateway: Gateway, name: str) -> Path:
    """The folder of an avatar that exists."""
    if name not in list_avatars(gateway.settings.home):
        raise HTTPException(404, "There is no such avatar; GET /api/v1/avatars lists them.")
    return avatars_folder(gateway.settings.home) / name
