"""Options of the StableAvatar engine: what a clip depends on besides avatar and speech."""

from typing import Literal

from pydantic import Field

from engines.options import EngineOptions, titles

FILE_NAME = r"^([A-Za-z0-9_][A-Za-z0-9._-]*)?$"
SamplingMode = Literal["fixed", "parity"]
Size = Literal["auto", "512x512", "480x832", "832x480"]
PROMPT = (
    "A person looks into the camera and is talking, with natural head movements and blinks. The background is still."
)
NEGATIVE = (
    "overexposed, static, blurred details, subtitles, style, artwork, painting, still image, grey, worst quality, low "
    "quality, compression artefacts, ugly, incomplete, extra fingers, badly drawn hands, badly drawn face, deformed, "
    "disfigured, fused fingers, motionless image, cluttered background, three legs, many people in the background, "
    "walking backwards"
)


class StableAvatarOptions(EngineOptions):
    """Image, guidance, noise, and division of the clip into windows."""

    mode: SamplingMode = Field(
        "fixed",
        description="fixed: the original's faults corrected; parity: like the original with its faults, for comparison",
        json_schema_extra=titles({"fixed": "Fixed", "parity": "Like the original"}),
    )
    size: Size = Field(
        "auto",
        description="size of the computed frames; auto takes the shape nearest to the output's",
        json_schema_extra=titles(
            {"auto": "As the output", "512x512": "Square", "480x832": "Upright", "832x480": "Wide"}
        ),
    )
    reference: Literal["plate", "portrait"] = Field(
        "plate",
        description="the image that speaks: the whole plate, or the portrait's face",
        json_schema_extra=titles({"plate": "The whole plate", "portrait": "The portrait's face"}),
    )
    steps: int = Field(50, ge=2, le=100, description="steps of denoising: 30 to 50 for a result, 10 for a quick look")
    text_guidance: float = Field(3.0, ge=1.0, le=12.0, description="how closely the prompt is followed; 1: no guidance")
    audio_guidance: float = Field(
        5.0, ge=1.0, le=12.0, description="how closely the speech is followed; 1: no guidance"
    )
    overlap: int = Field(
        5, ge=1, le=20, description="latent frames that windows share: more is smoother and takes longer"
    )
    blend: Literal["uniform", "log"] = Field(
        "uniform",
        description="how one window passes into the next",
        json_schema_extra=titles({"uniform": "Evenly", "log": "Early"}),
    )
    reuse: float = Field(
        0.0,
        ge=0.0,
        le=1.0,
        description="a step whose time is closer than this to the last computed one reuses its prediction; 0: none, "
        "0.1: about half of the steps",
    )
    checkpoint: str = Field(
        "",
        pattern=FILE_NAME,
        description="a transformer that you trained, used instead: a file in StableAvatar-1.3B of the weights folder",
    )
    lora: str = Field(
        "", pattern=FILE_NAME, description="a LoRA on top, a file in StableAvatar-1.3B of the weights folder"
    )
    lora_strength: float = Field(1.0, ge=0.0, le=2.0, description="strength of the LoRA")
    seed: int = Field(42, ge=0, lt=2**31, description="seed of the initial noise; the same seed gives the same clip")
    prompt: str = Field(
        PROMPT, max_length=2000, description="the first frame, then what the person does, then the background"
    )
    negative_prompt: str = Field(NEGATIVE, max_length=2000, description="what the clip should not look like")
