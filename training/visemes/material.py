"""Training material of the viseme network.

Speech in many voices, degraded as by rooms and transmission, with a label every 10 ms.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.signal import butter, fftconvolve, lfilter, resample_poly, sosfilt

from engines.mesh.speech.mel_features import HOP_SAMPLES, WINDOW_SAMPLES, LoudnessLevel, band_decibels, loudness
from engines.mesh.speech.visemes import VISEMES
from shared.runtime.clock import SOUND_RATE_HZ
from training.visemes.espeak import Phoneme, SpokenText, speak_text

_SYMBOLS = {
    "pbm": "pbmɓɸβ",
    "fv": "fvʋɱ",
    "u": "uwʊyʏɥʉɯʍ",
    "o": "oɔøœɵɤ",
    "a": "aɑɐʌɒæ",
    "e": "eɛəɜɚɘɝɞ",
    "i": "iɪjɨ",
    "s": "szɕʑ",
    "sh": "ʃʒʂʐ",
    "t": "tdnlθðɾɖʈɳɭɬɫɲʎʟc",
    "k": "kɡgŋxhɣqχħʔɦçʝ",
    "r": "rɹʁʀɻɽ",
}
VISEME = {symbol: VISEMES.index(name) for name, symbols in _SYMBOLS.items() for symbol in symbols}
STOPS = "pbtdkɡgcqʈɖ"
GLIDE = {"aɪ": "i", "eɪ": "i", "ɔɪ": "i", "aʊ": "u", "oʊ": "u", "əʊ": "u", "ai": "i", "ei": "i", "au": "u", "ou": "u"}
QUIET = 0.012  # of the loudest frame: quieter frames may be the closure of a stop
LONGEST_CLOSURE_FRAMES = 12  # frames
CLOSED_EARLY_FRAMES = 6  # before a stop that ends a pause, lips are closed for about this long

# Natural sentences. A few languages are kept out of training, to measure the accuracy on unknown languages.
TEXTS = {
    "en": "My mother baked five big apple pies before we moved. Please put the map above the blue box. We would "
    "have a very good view of the whole valley if the fog moved away. Peter thought about it for a while, then "
    "smiled. Who would believe what Bob and Mary have brought home? Show me the way to the next whisky bar.",
    "en-us": "The quick brown fox jumps over the lazy dog, and everybody laughs. People often pay more for better "
    "food. Imagine a warm summer morning by the river. Maybe we should have moved the piano before the party. Stop "
    "worrying about problems you cannot possibly solve. I saw a huge ship near the shore.",
    "de": "Am Abend machen wir oft einen Bummel durch die Altstadt. Bitte bringen Sie mir viel Butter und vier Äpfel. "
    "Über die Brücke fuhr ein schöner blauer Wagen. Meine Mutter wohnt in einem kleinen Haus am Fluss. Ob wir morgen "
    "kommen, weiß ich noch nicht. Warum hast du mir das nie gesagt?",
    "fr": "Bonjour madame, vous avez un beau bateau blanc. Il faut beaucoup de patience pour apprendre une langue. "
    "Mon petit frère aime bien la musique. Voulez-vous boire un peu de vin rouge? Nous partons demain matin vers "
    "midi. Le chat dort sous la table depuis une heure.",
    "es": "Buenos días, me llamo Pablo y vivo en Bilbao. Mi abuela prepara una paella muy buena. Vamos a pasear por "
    "el barrio viejo. Siempre pensamos en los problemas de mañana. ¿Por qué no vienes con nosotros al parque? La "
    "película empieza a las nueve y media.",
    "pt": "Bom dia, como vai você? Minha mãe faz um bolo muito bom. Vamos embora antes da chuva. O povo brasileiro "
    "gosta de futebol e de música. Por favor, feche a porta e abra a janela.",
    "pl": "Dzień dobry, bardzo proszę o małą kawę. Mój brat mieszka w Poznaniu. W poniedziałek pojedziemy nad morze. "
    "Babcia upiekła pyszne ciasto. Czy mogę prosić o rachunek?",
    "tr": "Günaydın, bugün hava çok güzel. Babam büyük bir ev aldı. Pazara gidip meyve ve peynir alalım. Benim "
    "adım Mehmet, memnun oldum. Yavaş yavaş öğreniyorum.",
    "sv": "God morgon, hur mår du idag? Min mamma bakar bröd varje vecka. Vi bor i ett blått hus vid havet. Får jag "
    "be om en kopp kaffe? Det var en mycket vacker sommar.",
    "fi": "Hyvää päivää, mitä kuuluu? Minun äitini puhuu monta kieltä. Pieni poika leipoo pullaa. Vapaana päivänä "
    "menemme metsään. Tämä on hyvin vanha puinen pöytä.",
    "cmn": "大家好，我们明天上午八点半在门口见面。妈妈买了白菜和苹果。他不明白为什么飞机没有飞。请问去火车站怎么走？"
    "我朋友喜欢喝茶，不喜欢喝咖啡。今天天气非常好，我们去公园玩吧。",
    "ja": "おはようございます。わたしのなまえはまつもとです。ぼくはパンとバナナをたべました。"
    "あめがふっているので、うちにいます。あした、ともだちとうみへいきます。",
    "hi": "नमस्ते, आप कैसे हैं? मेरा भाई बाज़ार में फल बेचता है। हम कल सुबह पहाड़ पर जाएँगे। मुझे पानी पीना है।",
    "it": "Buongiorno, mi piace molto questa bella piazza. La mamma prepara il pane per tutta la famiglia. Vorrei un "
    "bicchiere di vino bianco, per favore. Domani mattina partiamo per Napoli. Ho paura che piova fino a sera.",
    "nl": "Goedemorgen, mijn moeder woont bij het water. We moeten morgen vroeg vertrekken. Mag ik een kopje koffie "
    "met melk? Het boek ligt boven op de bovenste plank. Wat vind je van mijn nieuwe fiets?",
    "ru": "Доброе утро, моя мама работает в больнице. Мы живём в большом белом доме. Пожалуйста, возьмите мой паспорт. "
    "Вечером будет фильм про войну. Почему ты опять опоздал?",
}
HELD_OUT_LANGUAGES = ("it", "nl", "ru")
# Sixty more variants were tried in place of these: held-out voices are recognised no better than with as many minutes
# of these.
VARIANTS = ("", "+m1", "+m2", "+m3", "+m5", "+m7", "+f1", "+f2", "+f4", "+klatt", "+klatt3", "+whisper", "+croak")
HELD_OUT_VARIANTS = ("+m4", "+f3", "+klatt2", "+f5")
# Their spelling is phonetic, so random syllables are pronounced as words.
PHONETIC = ("es", "fi", "pl", "tr", "id", "sw", "pt", "de")


@dataclass(frozen=True, slots=True)
class Example:
    """An example with its labels, one per frame of 10 ms.

    bands: (n, BANDS) float32 decibels. levels: (n, 2) levels of voice and room. label: (n,) viseme numbers.
    """

    bands: NDArray[np.float32]
    levels: NDArray[np.float32]
    label: NDArray[np.int64]


def nonsense(chance: np.random.Generator, words: int = 12) -> str:
    """Return sentences of random syllables in which lips close, part and round more often than in natural language."""
    onsets = ["p", "b", "m", "f", "v", "p", "b", "m", "t", "d", "n", "l", "k", "s", "r", "g", ""]
    vowels = ["a", "e", "i", "o", "u", "a", "o"]
    codas = ["", "", "", "m", "n", "s", "l", "p"]
    spoken = []
    for _ in range(words):
        count = int(chance.integers(1, 4))
        spoken.append(
            "".join(f"{chance.choice(onsets)}{chance.choice(vowels)}" for _ in range(count)) + chance.choice(codas)
        )
        if chance.random() < 0.2:
            spoken[-1] += chance.choice([",", "."])
    return " ".join(spoken) + "."


def labels(speech: SpokenText, sound: NDArray[np.int16]) -> NDArray[np.int64]:
    """Return the viseme of each 10 ms frame of `sound`, (n,); `sound` is the speech at 48 kHz."""
    count = len(sound) // HOP_SAMPLES
    label = np.zeros(count, np.int64)
    loud = np.sqrt(np.mean(sound[: count * HOP_SAMPLES].reshape(count, HOP_SAMPLES).astype(np.float64) ** 2, axis=1))
    quiet = loud < QUIET * max(float(loud.max()), 1.0)
    spoken = [p for p in speech.phonemes if not p.symbol.startswith("(")]
    ends = [p.start for p in spoken[1:]] + [len(sound) / SOUND_RATE_HZ]
    for index, (phoneme, end) in enumerate(zip(spoken, ends, strict=True)):
        first, last = round(phoneme.start * 100), round(end * 100)
        visemes = _visemes(phoneme.symbol)
        if not visemes:
            continue
        half = first + round(0.55 * (last - first))
        label[first:half], label[half:last] = visemes[0], visemes[-1]
        if phoneme.symbol[0] in STOPS:
            pause = index == 0 or not _visemes(spoken[index - 1].symbol)
            at = first
            while at > 0 and first - at < (CLOSED_EARLY_FRAMES if pause else LONGEST_CLOSURE_FRAMES) and quiet[at - 1]:
                at -= 1
            label[at:first] = visemes[0]
            if phoneme.symbol[0] in "pb" and index + 1 < len(spoken) and (after := _visemes(spoken[index + 1].symbol)):
                burst = last - min(3, last - first) if phoneme.symbol[0] == "b" else first + 1
                label[max(burst, first + 1) : last] = after[0]
    silent = quiet & ~np.isin(label, [VISEMES.index(n) for n in ("pbm", "t", "k")])
    return np.where(silent, 0, label)


def _visemes(symbol: str) -> tuple[int, ...]:
    """Return the visemes of a phoneme: none, one or, for a diphthong, two."""
    found = next((VISEME[c] for c in symbol if c in VISEME), None)
    if found is None:
        return ()
    glide = GLIDE.get(symbol[:2])
    if glide:
        return found, VISEMES.index(glide)
    if symbol[:2] in ("tʃ", "dʒ", "tʂ", "dʑ", "tɕ"):
        return (VISEMES.index("sh"),)
    return (VISEMES.index("s"),) if symbol[:2] in ("ts", "dz") else (found,)


def spoken_example(language: str, variant: str, text: str, chance: np.random.Generator) -> SpokenText:
    """Return the text spoken in this voice, with a random rate, pitch and liveliness."""
    return speak_text(
        text,
        language + variant,
        words_a_minute=int(chance.integers(125, 215)),
        pitch=int(chance.integers(20, 85)),
        liveliness=int(chance.integers(20, 90)),
    )


def example(speech: SpokenText, chance: np.random.Generator, *, clean: bool = False) -> Example:
    """Return one utterance with up to a second of the room's silence before and after it."""
    # other vocal tracts: faster playback raises formants; the times of the labels shrink accordingly
    stretch = 1.0 if clean else float(chance.uniform(0.88, 1.14))
    up = round(160 * SOUND_RATE_HZ / speech.rate / stretch)
    sound = resample_poly(speech.samples.astype(np.float32), up, 160)
    factor = up / 160 * speech.rate / SOUND_RATE_HZ  # factor by which the sound became longer
    moved = SpokenText(
        speech.samples, SOUND_RATE_HZ, tuple(Phoneme(p.symbol, p.start * factor) for p in speech.phonemes)
    )
    label = labels(moved, np.clip(sound, -32767, 32767).astype(np.int16))
    quiet = np.zeros(round(float(chance.uniform(0.3, 0.9)) * 100) * HOP_SAMPLES, np.float32)
    label = np.concatenate(
        [np.zeros(len(quiet) // HOP_SAMPLES, np.int64), label, np.zeros(len(quiet) // HOP_SAMPLES, np.int64)]
    )
    sound = np.concatenate([quiet, sound, quiet])
    sound = np.asarray(sound / max(float(np.abs(sound).max()), 1.0), np.float32)
    spoilt = sound * 0.3 if clean else _spoilt(sound, chance)
    return heard_example(np.clip(spoilt * 32767, -32768, 32767).astype(np.int16), label)


def heard_example(sound: NDArray[np.int16], label: NDArray[np.int64]) -> Example:
    """Compute the features of a sound. A frame's time is its start, as in the labels; its window is centred on it."""
    padded = np.concatenate([np.zeros(WINDOW_SAMPLES // 2, np.int16), sound, np.zeros(WINDOW_SAMPLES, np.int16)])
    count = min(len(label), len(sound) // HOP_SAMPLES)
    windows = np.lib.stride_tricks.sliding_window_view(padded, WINDOW_SAMPLES)[: count * HOP_SAMPLES : HOP_SAMPLES]
    bands = np.concatenate([band_decibels(windows[i : i + 500]) for i in range(0, count, 500)])
    level, levels = LoudnessLevel(), np.empty((count, 2), np.float32)
    for index in range(count):
        level.add_loudness(loudness(bands[index]))
        levels[index] = level.voice, level.room
    return Example(bands, levels, label[:count])


def _spoilt(sound: NDArray[np.float32], chance: np.random.Generator) -> NDArray[np.float32]:
    """Degrade the sound by tone, room, transmission, noise and gain, each applied in some of the cases."""
    rate = SOUND_RATE_HZ
    # espeak's voices share one timbre, so it is tilted and coloured
    for _ in range(int(chance.integers(1, 4))):
        centre, gain, width = chance.uniform(150, 6000), 10 ** (chance.uniform(-10, 10) / 20), chance.uniform(0.5, 2.0)
        sound = sound + (gain - 1) * _band(sound, centre, width)
    if chance.random() < 0.5:
        sound = lfilter([1.0, -chance.uniform(-0.6, 0.6)], [1.0], sound).astype(np.float32)
    if chance.random() < 0.5:
        length = chance.uniform(0.05, 0.5)
        n = round(length * rate)
        tail = chance.normal(0, 1, n) * np.exp(-6.9 * np.arange(n) / n) * chance.uniform(0.005, 0.05)
        tail[0] = 1.0
        sound = fftconvolve(sound, tail.astype(np.float32))[: len(sound)].astype(np.float32)
    if chance.random() < 0.5:
        high = chance.choice([3400, 4000, 5500, 7000])
        sound = sosfilt(butter(4, high, "low", fs=rate, output="sos"), sound).astype(np.float32)
    if chance.random() < 0.4:
        sound = sosfilt(butter(2, chance.uniform(60, 300), "high", fs=rate, output="sos"), sound).astype(np.float32)
    sound = sound / max(float(np.abs(sound).max()), 1e-6)
    if chance.random() < 0.3:  # a compressor, as in every broadcast
        sound = np.asarray(np.sign(sound) * np.abs(sound) ** chance.uniform(0.6, 0.95), np.float32)
    gain = 10 ** (chance.uniform(-34, -1) / 20)
    ratio = 10 ** (-chance.uniform(8, 55) / 20)
    return (gain * (sound + ratio * noise(len(sound), chance))).astype(np.float32)


def noise(count: int, chance: np.random.Generator) -> NDArray[np.float32]:
    """Return noise: white to brown, sometimes with hum, sometimes unsteady; as loud as speech with a peak of 1."""
    white = chance.normal(0, 1, count)
    colour = chance.uniform(0.0, 0.98)
    sound = lfilter([1.0], [1.0, -colour], white)
    if chance.random() < 0.3:
        t = np.arange(count) / SOUND_RATE_HZ
        sound = sound / np.std(sound) + sum(
            chance.uniform(0, 2) * np.sin(2 * np.pi * h * chance.choice([50, 60, 120]) * t) for h in (1, 2, 3)
        )
    if chance.random() < 0.4:
        swell = np.interp(np.arange(count), np.linspace(0, count, 12), chance.uniform(0.2, 1.5, 12))
        sound = sound * swell
    return np.asarray(sound / max(float(np.std(sound)), 1e-6) * 0.2, np.float32)


def _band(sound: NDArray[np.float32], centre: float, octaves: float) -> NDArray[np.float32]:
    low, high = centre * 2 ** (-octaves / 2), min(centre * 2 ** (octaves / 2), 20_000)
    return np.asarray(sosfilt(butter(1, [low, high], "band", fs=SOUND_RATE_HZ, output="sos"), sound), np.float32)
