"""HAC and other codecs on one core, as whole processes: python benchmarks/peers.py

opusenc, and Codec2 as far as it is installed; EnCodec and DAC at 24 kHz, with random weights, where torch and
transformers are. "x real time" leaves out the start: it is what the seconds take by which one recording is longer than
another. opusenc is the clock that makes figures of several machines comparable: "of opusenc" is speed by its speed.
Of three runs the fastest counts; EnCodec and DAC run once.
"""

from __future__ import annotations

import importlib.util
import itertools
import os
import shutil
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import soundfile
from cost import CLIP, HAC, fastest

SHORT = 10.0


@dataclass(frozen=True)
class Peer:
    """Commands with ``{wav}``, ``{coded}`` and ``{back}``; ``longer``: seconds of the longer recording, less for what
    is slow and needs memory by the second; ``narrow``: takes samples at 8 kHz, without a header."""

    name: str
    encode: str
    decode: str
    longer: float = 130.0
    narrow: bool = False


def peers() -> Iterator[Peer]:
    """Those that can run here."""
    yield Peer("opusenc 6k", "opusenc --quiet --bitrate 6 {wav} {coded}", "opusdec --quiet {coded} {back}")
    hac = " ".join(HAC)
    for model, effort in itertools.product(("v2", "v1", "v2-150"), ("", " --fast")):
        yield Peer(f"hac {model}{effort}", f"{hac} compress -qf --model {model}{effort} {{wav}} {{coded}}",
                   f"{hac} decompress -qf {{coded}} {{back}}")  # fmt: skip
    if shutil.which("c2enc"):
        yield Peer("Codec2 1300", "c2enc 1300 {wav} {coded}", "c2dec 1300 {coded} {back}", narrow=True)
    if importlib.util.find_spec("torch") and importlib.util.find_spec("transformers"):
        for name, longer in (("EnCodec", 30.0), ("DAC", 20.0)):
            torch = f"{sys.executable} {__file__} {name}"
            yield Peer(name, f"{torch} encode {{wav}} {{coded}}", f"{torch} decode {{coded}} {{back}}", longer)


def code_with_torch(name: str, direction: str, source: str, target: str) -> None:
    """What EnCodec and DAC do in a process of their own; tokens travel as an array."""
    import torch
    import transformers

    torch.manual_seed(0)
    model: torch.nn.Module
    if name == "EnCodec":
        model = transformers.EncodecModel(transformers.EncodecConfig())
    else:
        config = transformers.DacConfig(sampling_rate=24_000, n_codebooks=32, downsampling_ratios=[2, 4, 5, 8],
                                        upsampling_ratios=[8, 5, 4, 2])  # fmt: skip
        model = transformers.DacModel(config)
    model.eval()
    with torch.inference_mode():
        if direction == "encode":
            audio = torch.from_numpy(soundfile.read(source, dtype="float32")[0])[None, None]
            torch.save(model.encode(audio).audio_codes, target)
        else:
            codes = torch.load(source)
            audio = model.decode(codes, [None])[0] if name == "EnCodec" else model.decode(audio_codes=codes)[0]
            soundfile.write(target, audio.flatten().numpy(), 24_000)


def measured(peer: Peer, folder: Path) -> list[tuple[float, float, float]]:
    """For each direction: times real time, seconds of the process for ``SHORT`` of audio, and its peak MB."""
    speech, sample_rate = soundfile.read(CLIP, dtype="int16")
    assert sample_rate == 24_000
    step = 3 if peer.narrow else 1
    rate, kind = sample_rate // step, "RAW" if peer.narrow else "WAV"
    runs: dict[float, list[tuple[float, float, float]]] = {}
    for seconds in (SHORT, peer.longer):
        paths = {key: folder / f"a.{ending}" for key, ending in (("wav", "wav"), ("coded", "bin"), ("back", "out.wav"))}
        soundfile.write(paths["wav"], np.resize(speech[::step], int(seconds * rate)), rate, "PCM_16", format=kind)
        times = 3 if peer.longer > 30 else 1
        runs[seconds] = [fastest(times, *command.format(**paths).split()) for command in (peer.encode, peer.decode)]
    return [
        ((peer.longer - SHORT) / (long[0] - short[0]), short[0], short[2])
        for short, long in zip(runs[SHORT], runs[peer.longer], strict=True)
    ]


def main() -> None:
    os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})  # and with it all that is started here
    print("| one core | encode, × real time | of opusenc | decode, × real time | 10 s clip, there / back | memory |")
    print("|---|---|---|---|---|---|")
    clock = 0.0
    for peer in peers():
        with tempfile.TemporaryDirectory() as folder:
            there, back = measured(peer, Path(folder))
        clock = clock or there[0]
        print(f"| {peer.name} | {there[0]:.3g} | {there[0] / clock:.2f} | {back[0]:.3g} | {there[1]:.2f} s / "
              f"{back[1]:.2f} s | {max(there[2], back[2]):.0f} MB |", flush=True)  # fmt: skip


if __name__ == "__main__":
    if sys.argv[1:]:
        code_with_torch(*sys.argv[1:])
    else:
        main()
