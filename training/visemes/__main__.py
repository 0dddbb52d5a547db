"""Train the viseme network of the mesh engine on speech whose phonemes are known to the millisecond.

    python -m training.visemes [--minutes 200] [--passes 12]

Writes `visemes.npz` and, beside it, `visemes.json` with its accuracy on voices and languages that it was not trained
on. Takes about ten minutes of processor time. Plain numpy: a network with two hidden layers, Adam (Kingma and Ba,
2015), cross-entropy, frames weighted so that rare visemes count.
"""

import argparse
import json
import time
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from engines.mesh.speech.visemes import AFTER, BEFORE, INPUTS, VISEMES, WEIGHTS, VisemeNetwork
from shared.runtime.clock import SOUND_RATE_HZ
from training.visemes import material
from training.visemes.espeak import espeak_installed
from training.visemes.material import Example

HIDDEN = (128, 64)
BATCH, RATE_FPS, LATE_RATE, DECAY = 256, 1.5e-3, 1e-4, 1e-5
NOISE = 0.06  # added to the network's input

NetworkLayers = list[tuple[NDArray[np.float32], NDArray[np.float32]]]


def gather(minutes: float, chance: np.random.Generator) -> list[Example]:
    """Return utterances of the languages and variants that are not held out, `minutes` in total."""
    languages = [name for name in material.TEXTS if name not in material.HELD_OUT_LANGUAGES]
    found: list[Example] = []
    frames = 0
    while frames < minutes * 6000:
        if chance.random() < 0.4:
            language, text = str(chance.choice(material.PHONETIC)), material.nonsense(chance)
        else:
            language = str(chance.choice(languages))
            text = excerpt(material.TEXTS[language], chance)
        speech = material.spoken_example(language, str(chance.choice(material.VARIANTS)), text, chance)
        if len(speech.samples) < speech.rate // 2:
            continue
        for _ in range(2):  # the same words in two rooms
            found.append(material.example(speech, chance))
            frames += len(found[-1].label)
    for _ in range(max(2, round(minutes / 2))):  # a room without speech
        noise = material.noise(6 * SOUND_RATE_HZ, chance) * 10 ** (chance.uniform(-50, -5) / 20)
        found.append(material.heard_example((np.clip(noise, -1, 1) * 32767).astype(np.int16), np.zeros(600, np.int64)))
    return found


def excerpt(text: str, chance: np.random.Generator) -> str:
    """Return two sentences of a text."""
    marks = "。？！" if any(c in text for c in "。？") else ".?!।"
    sentences, at = [], 0
    for index, letter in enumerate(text):
        if letter in marks:
            sentences.append(text[at : index + 1].strip())
            at = index + 1
    first = int(chance.integers(0, len(sentences)))
    return " ".join(sentences[first : first + 2])


class Frames:
    """All frames of many examples; their surrounding frames are added on demand."""

    def __init__(self, examples: list[Example]) -> None:
        pad = [(BEFORE, AFTER), (0, 0)]
        padded = [np.pad(e.bands, pad, mode="edge").astype(np.float16) for e in examples]
        starts = np.cumsum([0] + [len(p) for p in padded[:-1]])
        self.bands = np.concatenate(padded)
        self.index = np.concatenate([s + np.arange(len(e.label)) for s, e in zip(starts, examples, strict=True)])
        self.label = np.concatenate([e.label for e in examples])
        # the level is that of the newest frame in the input, as in use
        self.levels = np.concatenate(
            [e.levels[np.minimum(np.arange(len(e.label)) + AFTER, len(e.label) - 1)] for e in examples]
        )

    def inputs(self, which: NDArray[np.int64]) -> NDArray[np.float32]:
        """Return inputs, (n, INPUTS), as `visemes.inputs` computes them."""
        around = self.bands[self.index[which][:, None] + np.arange(BEFORE + 1 + AFTER)].astype(np.float32)
        voice, room = self.levels[which].T
        relative = np.clip((around - voice[:, None, None]) / 20, -3.0, 1.0) + 1.5
        levels = np.stack([(voice - room) / 40 - 0.5, voice / 40 + 0.75], axis=1)
        return np.asarray(np.concatenate([relative.reshape(len(which), -1), levels], axis=1), np.float32)


def train(frames: Frames, passes: int, chance: np.random.Generator) -> VisemeNetwork:
    """Train the network by this many passes over all frames; `chance` draws its weights and the order."""
    sizes = (INPUTS, *HIDDEN, len(VISEMES))
    layers: NetworkLayers = [
        ((chance.normal(0, np.sqrt(2 / a), (a, b))).astype(np.float32), np.zeros(b, np.float32))
        for a, b in pairwise(sizes)
    ]
    counts = np.bincount(frames.label, minlength=len(VISEMES)).astype(np.float64)
    weight = ((counts.mean() / np.maximum(counts, 1)) ** 0.4).astype(np.float32)
    first = [np.zeros_like(p) for layer in layers for p in layer]
    second = [np.zeros_like(p) for layer in layers for p in layer]
    step, total = 0, passes * (len(frames.label) // BATCH)
    for number in range(passes):
        order, loss = chance.permutation(len(frames.label)), 0.0
        for at in range(0, len(order) - BATCH + 1, BATCH):
            which = order[at : at + BATCH]
            seen = frames.inputs(which)
            seen += chance.standard_normal(seen.shape, np.float32) * NOISE
            gradients, cost = _gradients(layers, seen, frames.label[which], weight)
            step += 1
            speed = LATE_RATE + 0.5 * (RATE_FPS - LATE_RATE) * (1 + np.cos(np.pi * step / total))
            _adam(layers, gradients, first, second, step, speed)
            loss += cost
        print(f"pass {number + 1}: loss {loss / (len(order) // BATCH):.3f}", flush=True)
    return VisemeNetwork(layers)


def _gradients(
    layers: NetworkLayers, seen: NDArray[np.float32], label: NDArray[np.int64], weight: NDArray[np.float32]
) -> tuple[list[NDArray[np.float32]], float]:
    values = [seen]
    for w, b in layers[:-1]:
        values.append(np.maximum(values[-1] @ w + b, 0))
    score = values[-1] @ layers[-1][0] + layers[-1][1]
    score -= score.max(axis=1, keepdims=True)
    share = np.exp(score)
    share /= share.sum(axis=1, keepdims=True)
    rows, w8 = np.arange(len(label)), weight[label]
    cost = float(-(w8 * np.log(share[rows, label] + 1e-9)).mean())
    back = share
    back[rows, label] -= 1
    back *= w8[:, None] / len(label)
    gradients: list[NDArray[np.float32]] = []
    for index in range(len(layers) - 1, -1, -1):
        gradients = [values[index].T @ back, back.sum(axis=0), *gradients]
        if index:
            back = (back @ layers[index][0].T) * (values[index] > 0)
    return gradients, cost


def _adam(
    layers: NetworkLayers, gradients: list[NDArray[np.float32]], first: Any, second: Any, step: int, speed: float
) -> None:
    parameters = [p for layer in layers for p in layer]
    for p, g, m, v in zip(parameters, gradients, first, second, strict=True):
        m += 0.1 * (g - m)
        v += 0.001 * (g * g - v)
        p -= np.float32(speed) * (
            (m / (1 - 0.9**step)) / (np.sqrt(v / (1 - 0.999**step)) + 1e-8) + np.float32(DECAY) * p
        )


def judge(network: VisemeNetwork, examples: list[Example]) -> dict[str, Any]:
    """Return the share of frames recognised, in total and by viseme, and the accuracy of lip closures.

    For closures: the share found, the share of wrong ones, and the time error in ms.
    """
    frames = Frames(examples)
    told = np.concatenate(
        [
            network.probabilities(frames.inputs(np.arange(i, min(i + 2000, len(frames.label)))))
            for i in range(0, len(frames.label), 2000)
        ]
    )
    best = told.argmax(axis=1)
    right = {
        name: float((best[frames.label == i] == i).mean())
        for i, name in enumerate(VISEMES)
        if (frames.label == i).any()
    }
    closed = VISEMES.index("pbm")
    true, found = _stretches(frames.label == closed), _stretches(told[:, closed] > 0.5)
    starts, ends, missed = [], [], 0
    for low, high in true:
        near = [f for f in found if f[0] < high + 3 and f[1] > low - 3]
        if not near:
            missed += 1
            continue
        starts.append(10 * (near[0][0] - low))
        ends.append(10 * (near[-1][1] - high))
    false = sum(not any(t[0] < high + 3 and t[1] > low - 3 for t in true) for low, high in found)
    return {
        "minutes": round(len(frames.label) / 6000, 1),
        "frames_right": round(float((best == frames.label).mean()), 3),
        "by_viseme": {name: round(share, 3) for name, share in right.items()},
        "closures": {
            "there_are": len(true),
            "found": round(1 - missed / max(1, len(true)), 3),
            "found_that_are_none": round(false / max(1, len(found)), 3),
            "start_off_ms": {"median": float(np.median(starts)), "p90_abs": float(np.percentile(np.abs(starts), 90))},
            "end_off_ms": {"median": float(np.median(ends)), "p90_abs": float(np.percentile(np.abs(ends), 90))},
        },
    }


def _stretches(mask: NDArray[np.bool_]) -> list[tuple[int, int]]:
    edges = np.flatnonzero(np.diff(np.concatenate([[0], mask.astype(np.int8), [0]])))
    return [(int(a), int(b)) for a, b in zip(edges[::2], edges[1::2], strict=True)]


def held_out(chance: np.random.Generator) -> dict[str, list[Example]]:
    """Return held-out sets: new voices in known languages, new languages in known voices; both, degraded and clean."""
    known = [n for n in material.TEXTS if n not in material.HELD_OUT_LANGUAGES]
    sets: dict[str, list[Example]] = {"new voices": [], "new languages": [], "both": [], "both, clean": []}
    for variant in material.HELD_OUT_VARIANTS:
        for language in known[::2]:
            sets["new voices"].append(
                material.example(
                    material.spoken_example(language, variant, excerpt(material.TEXTS[language], chance), chance),
                    chance,
                )
            )
        for language in material.HELD_OUT_LANGUAGES:
            both = material.spoken_example(language, variant, material.TEXTS[language], chance)
            sets["both"].append(material.example(both, chance))
            sets["both, clean"].append(material.example(both, chance, clean=True))
    for variant in material.VARIANTS[::3]:
        for language in material.HELD_OUT_LANGUAGES:
            sets["new languages"].append(
                material.example(material.spoken_example(language, variant, material.TEXTS[language], chance), chance)
            )
    return sets


def main() -> None:
    """Train on synthesised speech, print the figures, and write the weights."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--minutes", type=float, default=200.0, help="minutes of speech to learn from")
    parser.add_argument("--passes", type=int, default=12, help="passes over all of it")
    parser.add_argument("--out", type=Path, default=WEIGHTS)
    options = parser.parse_args()
    if not espeak_installed():
        raise SystemExit("espeak-ng is not installed (Debian: apt install libespeak-ng1 espeak-ng-data).")
    started = time.process_time()
    frames = Frames(gather(options.minutes, np.random.default_rng(1)))
    print(
        f"{len(frames.label)} frames",
        dict(zip(VISEMES, np.bincount(frames.label, minlength=len(VISEMES)).tolist(), strict=True)),
        flush=True,
    )
    network = train(frames, options.passes, np.random.default_rng(2))
    network.save(options.out)
    network = VisemeNetwork.load(options.out)  # as it will be used, in half precision
    figures = {name: judge(network, examples) for name, examples in held_out(np.random.default_rng(3)).items()}
    facts = {
        "minutes": options.minutes,
        "passes": options.passes,
        "processor_minutes": round((time.process_time() - started) / 60, 1),
        "held_out": figures,
    }
    options.out.with_suffix(".json").write_text(json.dumps(facts, indent=1) + "\n", encoding="utf-8")
    print(json.dumps(facts, indent=1))


if __name__ == "__main__":
    main()
