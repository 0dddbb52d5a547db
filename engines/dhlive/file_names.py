"""Names of the engine's files in the weights manifest."""

from engines.dhlive.generation import Generation

FOLDER = "dhlive"
MOUTHS = {
    Generation.MINI2: f"{FOLDER}/epoch_40_new.pth",
    Generation.MINI1: f"{FOLDER}/epoch_40.pth",
    Generation.OLD: f"{FOLDER}/render.pth",
}
AUDIO, OLD_AUDIO = f"{FOLDER}/lstm_model_epoch_325.pkl", f"{FOLDER}/audio.pkl"
MOUTH_SHAPES = f"{FOLDER}/pca.pkl"
TEMPLATE, MEAN_FACE, LISTS = (f"{FOLDER}/{name}" for name in ("face_wrap_entity.obj", "face3D.obj", "wrap_utils.py"))
BLEND_SHAPES, EDGES = f"{FOLDER}/bs_texture_halfFace.png", f"{FOLDER}/face_fusion_mask.png"
WINDOWS = {
    Generation.MINI2: f"{FOLDER}/mouth_fusion_mask.png",
    Generation.MINI1: f"{FOLDER}/mini1_mouth_fusion_mask.png",
}
TEETH = tuple(
    f"{FOLDER}/teeth_ref/{name}_0.png" for name in ("147_0", "18_0", "1_0", "275_0", "40_0", "813_0", "8_0", "92_0")
)
