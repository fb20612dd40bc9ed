"""The word error rate of a recogniser, uncoded and coded: python benchmarks/words.py TEXTS CLIPS [--model NAME]

TEXTS has a line for each clip, its name, a tab and what is read in it. Whisper tiny.en listens. Where `hac bench
--metric wer` counts every word that is heard otherwise than in the original, this counts those that are wrong: a word
that was misheard in the original and is right afterwards is a gain here, and a loss there.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import soundfile
import soxr

from hac_cli.codec import EFFORTS
from hac_cli.eval import SAMPLE_RATE
from hac_cli.eval.coders import HacCoder
from hac_cli.eval.judges import edit_distance, heard_words, words_of


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("texts", type=Path)
    parser.add_argument("clips", type=Path)
    parser.add_argument("--model", default="v2")
    options = parser.parse_args()
    lines = options.texts.read_text(encoding="utf-8").splitlines()
    read = {name: words_of(text) for name, text in (line.split("\t") for line in lines)}
    ways = {"uncoded": None} | {effort: HacCoder(options.model, effort=effort) for effort in EFFORTS}
    wrong = dict.fromkeys(ways, 0)
    for name, text in read.items():
        audio, rate = soundfile.read(options.clips / name, dtype="float32")
        audio = soxr.resample(audio, rate, SAMPLE_RATE)
        for way, coder in ways.items():
            wrong[way] += edit_distance(text, heard_words(coder.code(audio).audio if coder else audio))
    count = sum(map(len, read.values()))
    for way, errors in wrong.items():
        print(f"{way}: {errors} of {count} words, {errors / count:.1%}")


if __name__ == "__main__":
    main()
