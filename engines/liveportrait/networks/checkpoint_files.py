"""Paths of the published checkpoints below the engine's folder, in their authors' layout."""

F, M, W, G = (
    f"base_models/{name}.pth"
    for name in ("appearance_feature_extractor", "motion_extractor", "warping_module", "spade_generator")
)
S = "retargeting_models/stitching_retargeting_module.pth"
