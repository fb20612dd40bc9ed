"""What a frozen Whisper would write (Radford et al., 2022): how far its guesses of the next token are from those of the
target."""

from __future__ import annotations

from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from hac_cli.errors import ModelError
from hac_cli.losses.ctranslate2 import read_arrays
from hac_cli.losses.whisper import fill

END, START, NO_TIMESTAMPS = 50256, 50257, 50362  # tokens of Whisper's English models; those from START on are no text
SPACE = 220


class Layer(nn.Module):
    """Pre-norm self-attention to the tokens before, attention to the encoder's output, and feed-forward."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.attention_norm, self.memory_norm, self.feed_norm = (nn.LayerNorm(width) for _ in range(3))
        self.qkv, self.out = nn.Linear(width, 3 * width), nn.Linear(width, width)
        self.q, self.kv, self.memory_out = nn.Linear(width, width), nn.Linear(width, 2 * width), nn.Linear(width, width)
        self.wide, self.narrow = nn.Linear(width, 4 * width), nn.Linear(4 * width, width)

    def forward(self, x: Tensor, memory: Tensor) -> Tensor:
        q, k, v = self.qkv(self.attention_norm(x)).chunk(3, -1)
        x = x + self.out(self._attend(q, k, v, causal=True))
        k, v = self.kv(memory).chunk(2, -1)
        x = x + self.memory_out(self._attend(self.q(self.memory_norm(x)), k, v, causal=False))
        return x + self.narrow(F.gelu(self.wide(self.feed_norm(x))))

    def _attend(self, q: Tensor, k: Tensor, v: Tensor, causal: bool) -> Tensor:
        q, k, v = (part.unflatten(-1, (self.heads, -1)).transpose(1, 2) for part in (q, k, v))
        return F.scaled_dot_product_attention(q, k, v, is_causal=causal).transpose(1, 2).flatten(2)


class WhisperDecoder(nn.Module):
    """Tokens ``[B, N]`` and the encoder's output ``[B, F, width]`` to logits of the tokens that come after the last
    ``count`` of them, ``[B, count, vocabulary]``."""

    positions: Tensor

    def __init__(
        self, vocabulary: int, width: int = 384, heads: int = 6, layers: int = 4, positions: int = 448
    ) -> None:
        super().__init__()
        self.embeddings = nn.Embedding(vocabulary, width)
        self.register_buffer("positions", torch.zeros(positions, width))
        self.layers = nn.ModuleList(Layer(width, heads) for _ in range(layers))
        self.norm = nn.LayerNorm(width)

    def forward(self, tokens: Tensor, memory: Tensor, count: int) -> Tensor:
        x = self.embeddings(tokens) + self.positions[: tokens.shape[1]]
        for layer in self.layers:
            x = layer(x, memory)
        return F.linear(self.norm(x[:, -count:]), self.embeddings.weight)


def load_decoder(path: Path) -> WhisperDecoder:
    """The frozen decoder of an English Whisper model. Raises ModelError for a file that holds none."""
    arrays = read_arrays(path, "decoder/")
    try:
        vocabulary, width = arrays["decoder/embeddings/weight"].shape
        layers = sum(name.endswith("self_attention/linear_0/weight") for name in arrays)
        positions = len(arrays["decoder/position_encodings/encodings"])
        decoder = WhisperDecoder(vocabulary, width, int(arrays["decoder/num_heads"]), layers, positions)
        fill(decoder, arrays, "decoder")
    except (KeyError, ValueError, RuntimeError) as error:
        raise ModelError(f"holds no Whisper decoder in floating point: {error}", str(path)) from None
    return decoder.eval().requires_grad_(False)


class WordsLoss(nn.Module):
    """Kullback-Leibler divergence of the next token, mean over the first ``count`` that the target is heard to say. Of
    two seconds Whisper hears the words, but not their end: it would go on."""

    def __init__(self, decoder: WhisperDecoder, count: int = 6) -> None:
        super().__init__()
        self.decoder, self.count = decoder, count

    def forward(self, memory: Tensor, wanted: Tensor) -> Tensor:
        """The encoder's output ``[B, F, width]`` for a signal and for its target."""
        tokens, logits = self.transcript(wanted)
        expected = logits.log_softmax(-1)
        guessed = self.decoder(tokens[:, :-1], memory, self.count).log_softmax(-1)
        return (expected.exp() * (expected - guessed)).sum(-1).mean()

    @torch.no_grad()
    def transcript(self, memory: Tensor) -> tuple[Tensor, Tensor]:
        """What is heard, by the likeliest token each time, ``[B, 2 + count]``, behind the two that ask for English
        text; and the logits of those heard."""
        tokens = torch.tensor([[START, NO_TIMESTAMPS]], device=memory.device).expand(len(memory), -1)
        found = []
        for _ in range(self.count):
            found.append(self.decoder(tokens, memory, 1))
            text = found[-1][:, 0, :END].index_fill(-1, torch.tensor([SPACE], device=memory.device), -torch.inf)
            tokens = torch.cat([tokens, text.argmax(-1, keepdim=True)], 1)
        return tokens, torch.cat(found, 1)
