"""The predictors of the released models, for whoever reads or writes ``.hac`` files of payload coding 1."""

from __future__ import annotations

import functools

from hac_cli.container import Header, Predictor
from hac_cli.model import released


@functools.cache
def for_model(name: str) -> Predictor | None:
    """The predictor of a released model, None if it has none. Raises ModelError when its file is damaged or missing."""
    data = released.read_predictor(released.find(name))
    return Predictor.from_bytes(data) if data else None


def for_header(header: Header) -> Predictor | None:
    """The predictor that a file was coded with, None where it is not installed."""
    for model in released.released():
        if (model.model_id, model.short_digest) == (header.model_id, header.weights_digest):
            predictor = for_model(model.name)
            return predictor if predictor and predictor.digest == header.predictor_digest else None
    return None
