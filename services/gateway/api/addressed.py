"""Look-up of what a request addresses: the gateway, its channel, an avatar. An unknown name is answered with 404."""

from pathlib import Path
from typing import Annotated

from fastapi import Depends, HTTPException, Request

from services.gateway.service import Gateway
from shared.avatar.model import avatars_folder, list_avatars


def gateway_of(request: Request) -> Gateway:
    """Return the application's gateway."""
    gateway: Gateway = request.app.state.gateway
    return gateway


def gateway_of_channel(channel: str, request: Request) -> Gateway:
    """Return the gateway if `channel` is its channel. Raises HTTPException (404) otherwise."""
    gateway = gateway_of(request)
    if channel != gateway.settings.channel:
        raise HTTPException(404, f"This studio's channel is '{gateway.settings.channel}', not '{channel[:40]}'.")
    return gateway


ChannelGateway = Annotated[Gateway, Depends(gateway_of_channel)]


def existing_avatar(gateway: Gateway, name: str) -> Path:
    """Return the folder of the avatar with this name. Raises HTTPException (404) if there is none."""
    if name not in list_avatars(gateway.settings.home):
        raise HTTPException(404, "There is no such avatar; GET /api/v1/avatars lists them.")
    return avatars_folder(gateway.settings.home) / name
