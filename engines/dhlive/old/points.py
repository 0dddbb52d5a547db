"""Points of a tracked face, grouped by the parts drawn in the old network's images, in the original's order."""

BROWS = [276, 283, 282, 295, 285, 336, 296, 334, 293, 300, 46, 53, 52, 65, 55, 107, 66, 105, 63, 70]
NOSE_EDGE = [343, 355, 358, 327, 326, 2, 97, 98, 129, 126, 114]
NOSE_MIDDLE = [6, 197, 195, 5, 4]
LIPS_INNER = [78, 95, 88, 178, 87, 14, 317, 402, 318, 324, 308, 415, 310, 311, 312, 13, 82, 81, 80, 191]
LIPS_OUTER = [61, 146, 91, 181, 84, 17, 314, 405, 321, 375, 291, 409, 270, 269, 267, 0, 37, 39, 40, 185]
LEFT_EYE = [263, 249, 390, 373, 374, 380, 381, 382, 362, 398, 384, 385, 386, 387, 388, 466]
RIGHT_EYE = [33, 7, 163, 144, 145, 153, 154, 155, 133, 173, 157, 158, 159, 160, 161, 246]
JAW = [454, 323, 361, 288, 397, 365, 379, 378, 400, 377, 152, 148, 176, 149, 150, 136, 172, 58, 132, 93, 234]
CHEEKS = [371, 266, 425, 427, 434, 394, 169, 214, 207, 205, 36, 142]
PLACED = [*BROWS, *NOSE_EDGE, *NOSE_MIDDLE, *LIPS_INNER, *LIPS_OUTER, *LEFT_EYE, *RIGHT_EYE, *JAW, *CHEEKS]
CROP_TOP = NOSE_MIDDLE[2]  # the crop's height is measured from here to the jaw
