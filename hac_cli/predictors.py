"""The predictors of the released models, for whoever reads or writes ``.hac`` files of payload coding 1."""

from __future__ import annotations

import functools
from collections.abc import Callable

from hac_cli.container import Damage, Header, Predictor, Reader
from hac_cli.container.source import Readable
from hac_cli.errors import ModelError
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


def open_reader(file: Readable, on_damage: Callable[[Damage], None] | None = None, live: bool = False) -> Reader:
    """A reader that gives tokens. Raises CorruptError for the header, ModelError if the predictor is not installed."""
    reader = Reader(file, on_damage, for_header, live)
    if not reader.gives_tokens:
        released.find_for_file(reader.header.model_id, reader.header.weights_digest)
        raise ModelError("was made with another predictor of its model; use the version of hac-cli that made it")
    return reader
