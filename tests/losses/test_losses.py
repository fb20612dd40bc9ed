"""Each loss on its own: zero at identity, its gradient that of finite differences, its behaviour under scaling."""

import numpy as np
import pytest
import torch

from hac_cli.errors import ModelError
from hac_cli.losses.adversarial import discriminator_loss, feature_loss, generator_loss
from hac_cli.losses.balancer import Balancer
from hac_cli.losses.coherence import CoherenceLoss
from hac_cli.losses.colour import ColourLoss
from hac_cli.losses.discriminators import SIZES, Discriminators, DiscriminatorShape
from hac_cli.losses.envelope import EnvelopeLoss
from hac_cli.losses.hearing import bark_bands, mel_filters, third_octaves
from hac_cli.losses.level import level_loss
from hac_cli.losses.lines import LinesLoss
from hac_cli.losses.loudness import LoudnessLoss
from hac_cli.losses.pqmf import PQMF
from hac_cli.losses.resample import Resample
from hac_cli.losses.spectral import SpectralLoss, normalize_level, waveform_loss
from hac_cli.losses.whisper import WhisperEncoder, WhisperLoss, load_encoder

SMALL = DiscriminatorShape(
    windows=(128, 256), channels=(4, 4), strides=(4, 2), dilations=(1, 2),
    bands=4, band_ranges=((0, 2), (0, 4)), band_channels=(4, 4), band_strides=(2, 1),
)  # fmt: skip


def discriminators() -> Discriminators:
    torch.manual_seed(3)
    return Discriminators(SMALL, filter_bands=True)


def whisper_loss() -> WhisperLoss:
    torch.manual_seed(4)
    return WhisperLoss(WhisperEncoder(mels=20, width=16, heads=2, layers=2, positions=50)).requires_grad_(False)


def generator_side(kind):
    found = discriminators().requires_grad_(False)
    return lambda y, x: generator_loss(found.to(y.dtype)(y), kind)


def feature_side():
    found = discriminators().requires_grad_(False)
    return lambda y, x: feature_loss(found.to(y.dtype)(x), found.to(y.dtype)(y))


DISTANCES = {
    "waveform": lambda: waveform_loss,
    "coherence": lambda: lambda y, x: CoherenceLoss().to(y.dtype)(y, x),
    "mel": lambda: lambda y, x: SpectralLoss((256, 512), (20, 30)).to(y.dtype)(y, x),
    "stft": lambda: lambda y, x: SpectralLoss((256, 512), ()).to(y.dtype)(y, x),
    "mel and stft": lambda: lambda y, x: SpectralLoss((256, 512), (20, 0)).to(y.dtype)(y, x),
    "envelope": lambda: lambda y, x: EnvelopeLoss().to(y.dtype)(y, x),
    "loudness": lambda: lambda y, x: LoudnessLoss().to(y.dtype)(y, x),
    "features": feature_side,
    "whisper": lambda: lambda y, x: whisper_loss().to(y.dtype)(y, x),
}
LOSSES = DISTANCES | {
    "level": lambda: level_loss,
    "colour": lambda: lambda y, x: ColourLoss().to(y.dtype)(y, x),
    "lines": lambda: lambda y, x: LinesLoss().to(y.dtype)(y, x),
    "hinge": lambda: generator_side("hinge"),
    "least_squares": lambda: generator_side("least_squares"),
}


def signals(dtype=torch.float32, samples=2400):
    torch.manual_seed(0)
    return torch.randn(2, samples, dtype=dtype), torch.randn(2, samples, dtype=dtype)


@pytest.mark.parametrize("name", DISTANCES)
def test_a_distance_is_zero_at_identity_and_grows_with_the_error(name):
    x, noise = signals()
    loss = DISTANCES[name]()
    assert loss(x, x).item() == pytest.approx(0, abs=1e-6)
    assert 0 <= loss(x + 0.01 * noise, x) <= loss(x + 0.3 * noise, x) < loss(x + 0.6 * noise, x) < loss(noise, x)


def test_level_is_what_the_gain_of_loud_passages_is():
    x, _ = signals(samples=48_000)
    x[:, 20_000:] *= 0.01  # a pause
    assert level_loss(x, x).item() == 0
    for gain in (0.5, 0.9, 2.0):
        assert level_loss(gain * x, x).item() == pytest.approx(np.log(gain) ** 2, rel=0.01)
    louder_pause = torch.cat([x[:, :20_000], 3 * x[:, 20_000:]], 1)
    assert level_loss(louder_pause, x).item() < 1e-4


@pytest.mark.parametrize("name", LOSSES)
def test_a_loss_is_the_mean_over_clips(name):
    """So that processes share a batch as they like, and a clip's gradient is its own."""
    x, y = signals(samples=24_000)
    x[1, 3000:] *= 1e-6
    loss = LOSSES[name]()
    alone = [loss(y[i : i + 1], x[i : i + 1]) for i in (0, 1)]
    torch.testing.assert_close(loss(y, x), sum(alone) / 2, atol=1e-5, rtol=1e-4)


@pytest.mark.parametrize("name", LOSSES)
def test_the_gradient_is_that_of_finite_differences(name):
    x, y = signals(torch.double)
    loss = LOSSES[name]()
    y.requires_grad_()
    loss(y, x).backward()
    direction = torch.randn_like(y)
    step = 1e-7 * direction
    with torch.no_grad():
        slope = (loss(y + step, x) - loss(y - step, x)) / 2e-7
    assert slope.item() == pytest.approx((y.grad * direction).sum().item(), rel=2e-3)


@pytest.mark.parametrize("name", ["waveform", "mel", "stft"])
def test_reconstruction_does_not_depend_on_the_level_above_the_floor(name):
    x, y = signals()
    loss = LOSSES[name]()
    values = [loss(*normalize_level(gain * y, gain * x)).item() for gain in (1.0, 0.3, 0.06)]
    assert values == pytest.approx([values[0]] * 3, rel=1e-4)
    if name == "waveform":
        assert loss(*normalize_level(1e-4 * y, 1e-4 * x)).item() < 0.01 * values[0]


def test_a_lower_log_floor_hears_quieter_errors():
    x, noise = signals()
    quiet = torch.cat([x[:, :1200], 1e-3 * x[:, 1200:]], 1)
    other = torch.cat([x[:, :1200], 1e-3 * noise[:, 1200:]], 1)
    high, low = (SpectralLoss((256,), (20,), log_floor=floor)(other, quiet) for floor in (0.02, 1e-4))
    assert low > 3 * high > 0


@pytest.mark.parametrize(("bins", "mels"), [(65, 12), (129, 24), (1025, 120)])
def test_every_mel_band_sees_something(bins, mels):
    filters = mel_filters(bins, mels)
    assert filters.shape == (bins, mels)
    np.testing.assert_allclose(filters.sum(0), 1, rtol=1e-5)


@pytest.mark.parametrize("kind", ["hinge", "least_squares"])
def test_each_side_is_content_when_it_has_won(kind):
    def scored(value):
        return [[torch.full((1, 4), value)]]

    best_fake = -1.0 if kind == "hinge" else 0.0
    assert discriminator_loss(scored(1.0), scored(best_fake), kind) == 0
    assert discriminator_loss(scored(best_fake), scored(1.0), kind) == (4 if kind == "hinge" else 2)
    assert generator_loss(scored(1.0), kind) == 0 < generator_loss(scored(best_fake), kind)


def test_feature_matching_does_not_see_the_scale_of_a_layer_nor_the_rest_of_the_batch():
    torch.manual_seed(0)
    real, fake = torch.randn(2, 3, 5), torch.randn(2, 3, 5)
    score = torch.zeros(2, 1)
    value = feature_loss([[real, score]], [[fake, score]])
    torch.testing.assert_close(feature_loss([[10 * real, score]], [[10 * fake, score]]), value)
    halves = [feature_loss([[real[i : i + 1], score]], [[fake[i : i + 1], score]]) for i in (0, 1)]
    torch.testing.assert_close(sum(halves) / 2, value)


@pytest.mark.parametrize("size", SIZES)
def test_discriminators_give_feature_maps_of_every_layer(size):
    shape = SIZES[size]
    found = Discriminators(shape, filter_bands=True)(torch.randn(1, 6400))
    assert len(found) == len(shape.windows) + len(shape.band_ranges)
    assert [maps.shape[1] for maps in found[0]] == [*shape.channels, 1]
    assert [maps.shape[1] for maps in found[-1]] == [*shape.band_channels, 1]
    assert not Discriminators(shape).banded and not Discriminators(shape, stft=False, filter_bands=True).stft


def test_discriminators_learn_to_tell_noise_from_a_tone():
    found = discriminators()
    optimizer = torch.optim.AdamW(found.parameters(), 1e-2)
    tone = torch.sin(torch.arange(2400) * 0.3)[None]
    losses = []
    for _ in range(12):
        loss = discriminator_loss(found(2**0.5 * tone), found(torch.randn(1, 2400)), "hinge")
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    assert losses[-1] < 0.7 * losses[0]


@pytest.mark.parametrize("bands", [4, 16])
def test_the_filter_bank_reconstructs_and_separates(bands):
    torch.manual_seed(0)
    bank = PQMF(bands)
    signal = torch.randn(1, 4800)
    split = bank(signal)
    assert split.shape == (1, bands, 4800 // bands)
    inner = slice(20 * bands, -20 * bands)
    error = (bank.join(split) - signal)[:, inner].square().mean() / signal.square().mean()
    assert 10 * error.log10() < -60
    assert split.square().sum().item() == pytest.approx(signal.square().sum().item(), rel=0.05)
    tone = torch.sin(torch.arange(4800) * torch.pi * 2.5 / bands)[None]  # the middle of band 2
    power = bank(tone)[0, :, 20:-20].square().mean(1)
    assert power.argmax() == 2 and power[2] > 0.999 * power.sum()
    with torch.autocast("cpu", torch.bfloat16):
        torch.testing.assert_close(bank(signal), split, atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize(
    ("rates", "samples"), [((24_000, 16_000), 4801), ((16_000, 24_000), 3200), ((8_000, 8_000), 100)]
)
def test_resampling_keeps_tones_in_time_and_drops_what_does_not_fit(rates, samples):
    resample = Resample(*rates)
    time = torch.arange(samples) / rates[0]
    out = resample(torch.sin(2 * torch.pi * 1000 * time)[None])
    assert out.shape == (1, -(-samples * rates[1] // rates[0]))
    expected = torch.sin(2 * torch.pi * 1000 * torch.arange(out.shape[1]) / rates[1])[None]
    inner = slice(100, -100) if samples > 200 else slice(45, -45)
    torch.testing.assert_close(out[:, inner], expected[:, inner], atol=2e-3, rtol=0)
    if rates[0] > rates[1]:
        above = resample(torch.sin(2 * torch.pi * 9500 * time)[None])
        assert above[:, 100:-100].abs().max() < 1e-3


def test_balanced_gradients_have_their_shares_whatever_the_scale_of_a_loss():
    torch.manual_seed(0)
    signal = torch.randn(3, 50, requires_grad=True)
    target, other = torch.randn(3, 50), torch.randn(3, 50)

    def balanced(gain):
        losses = {
            "a": gain * (signal - target).abs().mean(),
            "b": (signal - other).square().mean(),
            "off": signal.sum(),
        }
        return Balancer(norm=2.0).gradient(losses, signal, {"a": 3.0, "b": 1.0, "off": 0.0})

    gradient = balanced(1.0)
    torch.testing.assert_close(balanced(1000.0), gradient)
    part = torch.sign(signal - target).detach()
    share = (gradient * part).sum() / part.square().sum() * part.norm(dim=1).mean() * 3
    assert share.item() == pytest.approx(2.0 * 3 / 4, rel=0.2)  # the two gradients are not quite orthogonal


def test_the_balancer_remembers():
    signal = torch.ones(1, 4, requires_grad=True)
    balancer, again = Balancer(decay=0.5), Balancer(decay=0.5)
    balancer.gradient({"a": signal.sum()}, signal, {"a": 1.0})
    again.load_state_dict(balancer.state_dict())
    one, two = (b.gradient({"a": 2 * signal.sum()}, signal, {"a": 1.0}) for b in (balancer, again))
    assert torch.equal(one, two)
    # the mean of norms 2 (weight 1/2) and 4 is 10/3
    torch.testing.assert_close(one, torch.full((1, 4), 0.6))


def test_the_balancer_limits_what_a_single_clip_has():
    signal = torch.ones(2, 4, requires_grad=True)
    balancer = Balancer()
    shares = {"a": 1.0}
    balancer.gradient({"a": signal.sum(1).mean()}, signal, shares)
    gains = torch.tensor([1.0, 100.0])
    usual, loud = balancer.gradient({"a": (gains * signal.sum(1)).mean()}, signal, shares)
    assert loud.norm() / usual.norm() == pytest.approx(3)


def test_a_loss_on_some_of_the_clips_has_the_share_of_one_on_all():
    torch.manual_seed(0)
    signal, target = torch.randn(6, 50, requires_grad=True), torch.randn(6, 50)
    balancer = {"all": Balancer(), "some": Balancer()}
    for _ in range(2):  # the second time, clips are limited
        gradients = {
            "all": balancer["all"].gradient({"a": (signal - target).abs().mean()}, signal, {"a": 1.0}),
            "some": balancer["some"].gradient({"a": (signal - target)[:2].abs().mean()}, signal, {"a": 1.0}),
        }
        assert not gradients["some"][2:].any()
        whole = {name: gradient.norm(dim=1).sum().item() for name, gradient in gradients.items()}
        assert whole["some"] == pytest.approx(whole["all"])


def test_a_file_that_is_no_whisper_model_is_refused(tmp_path):
    with pytest.raises(ModelError, match="no such file"):
        load_encoder(tmp_path / "model.bin")
    (tmp_path / "model.bin").write_bytes(b"\x06\0\0\0junk")
    with pytest.raises(ModelError, match="not a CTranslate2 model"):
        load_encoder(tmp_path / "model.bin")


@pytest.mark.slow
def test_whisper_features_are_those_of_faster_whisper():
    """On half a minute of speech: log-mel spectrogram and encoder output of an independent implementation."""
    from pathlib import Path

    import ctranslate2
    import soundfile
    import soxr
    from faster_whisper.feature_extractor import FeatureExtractor

    from hac_cli.losses.whisper import LogMel, find_checkpoint

    speech, sample_rate = soundfile.read(Path(__file__).parents[2] / "samples" / "speech.wav", dtype="float32")
    audio = np.zeros(480_000, np.float32)
    speech = soxr.resample(speech, sample_rate, 16_000)[: len(audio)]
    audio[: len(speech)] = speech
    theirs = FeatureExtractor()(audio)[:, :3000].astype(np.float32)
    mel = LogMel()(torch.from_numpy(audio)[None])
    np.testing.assert_allclose(mel[0].numpy(), theirs, atol=2e-3)

    path = find_checkpoint()
    model = ctranslate2.models.Whisper(str(path.parent), compute_type="float32", intra_threads=1)
    expected = np.array(model.encode(ctranslate2.StorageView.from_array(np.ascontiguousarray(theirs[None]))))
    with torch.no_grad():
        found = load_encoder(path)(torch.from_numpy(theirs[None]))[-1].numpy()
    assert found.shape == expected.shape == (1, 1500, 384)
    np.testing.assert_allclose(found, expected, atol=5e-3)


def test_the_envelope_loss_hears_modulation_and_neither_level_nor_phase():
    time = torch.arange(24_000) / 24_000
    torch.manual_seed(0)
    noise = torch.randn(2, 24_000)
    talk = noise[:1] * (1 + torch.sin(2 * torch.pi * 4 * time))
    same_words = noise[1:] * (1 + torch.sin(2 * torch.pi * 4 * time))
    loss = EnvelopeLoss()
    assert loss(3 * talk, talk) < 1e-3
    assert loss(same_words, talk) < 0.6 < 0.8 < loss(noise[1:], talk)


def test_the_lines_loss_hears_a_hum_in_a_hiss_and_neither_level_nor_voices():
    torch.manual_seed(0)
    time = torch.arange(48_000) / 24_000
    hiss, other = torch.randn(2, 1, 48_000)
    hum = sum(torch.sin(2 * torch.pi * 1200 * n * time + n) for n in range(1, 10))
    voice = sum(torch.sin(2 * torch.pi * 130 * n * time + n) for n in range(1, 60))
    loss = LinesLoss()
    assert loss(hiss, hiss) == loss(hiss + 0.1 * hum, hiss + 0.1 * hum) == 0
    assert loss(other + 0.1 * hum, hiss) > 3 * loss(other, hiss)
    assert loss(0.5 * (other + 0.1 * hum), hiss) == pytest.approx(loss(other + 0.1 * hum, hiss).item(), rel=1e-3)
    assert loss(voice + 0.1 * other, voice + 0.1 * hiss) < loss(other, hiss) + 0.1


def test_the_colour_loss_hears_a_dull_hiss_and_not_that_it_is_another():
    torch.manual_seed(0)
    hiss, other = torch.randn(2, 4, 48_000)
    loss = ColourLoss()
    torch.testing.assert_close(loss.loudness(hiss), torch.ones(4, 22, 32), atol=0.25, rtol=0)
    for gain in (1.0, 0.01):
        bright, same, dull = gain * hiss, gain * other, gain * (0.5 * other + 0.5 * other.roll(1, 1))
        assert 0 == loss(bright, bright) < 3 * loss(same, bright) < loss(dull, bright)
    assert loss(0.001 * hiss, 0.002 * hiss) > 0.03 * loss(0.5 * hiss, hiss)


def test_coherence_is_of_low_waveforms_whatever_their_level():
    torch.manual_seed(0)
    time = torch.arange(24_000) / 24_000
    voice = sum(torch.sin(2 * torch.pi * 120 * n * time + n) / n for n in range(1, 6))[None]
    late = voice.roll(24, 1)
    loss = CoherenceLoss()
    assert loss(late, voice) > 0.05 > 0.01 > loss(0.5 * voice, voice) >= 0
    assert loss(-voice, voice).item() == pytest.approx(2, abs=0.1)
    tones = {hertz: torch.sin(2 * torch.pi * hertz * time) for hertz in (300, 3000)}
    assert loss(voice + tones[300], voice) > 5 * loss(voice + tones[3000], voice)


def test_third_octaves_follow_each_other():
    bands = third_octaves(1025)
    assert bands.shape == (1025, 15) and bands.sum(1).max() == 1 and bands.sum(0).min() >= 1


def test_every_bin_up_to_12_khz_is_in_the_bark_bands():
    bands = bark_bands(385)
    assert (bands.sum(0) > 0).all()
    np.testing.assert_allclose(bands[:380].sum(1), 1, rtol=1e-5)


def test_the_loudness_loss_hears_what_is_added_more_than_what_is_missing_and_masks_what_is_soft():
    torch.manual_seed(0)
    time = torch.arange(24_000) / 24_000
    low, high = (torch.sin(2 * torch.pi * hertz * time)[None] for hertz in (500, 3000))
    loss = LoudnessLoss()
    added, missing = loss(low + 0.1 * high, low), loss(low, low + 0.1 * high)
    assert added > 1.3 * missing > 0
    assert loss(1.05 * low + 0.1 * high, low + 0.1 * high) < 0.01 * added  # hidden below a quarter of the loudness
    assert loss(low + 1e-4 * high, low) < 1e-3  # below the threshold of hearing
    assert loss(0.5 * low + 0.05 * high, low + 0.1 * high) < 0.01 * added  # softer as a whole


def test_the_loudness_loss_forgives_a_filter_that_stays_and_not_one_that_changes():
    torch.manual_seed(0)
    hiss, other = torch.randn(2, 1, 24_000)
    dull = 0.5 * hiss + 0.5 * hiss.roll(1, 1)
    loss = LoudnessLoss()
    assert loss(dull, hiss) < 0.01 * loss(other, hiss)
    assert loss(torch.cat([dull[:, :12_000], hiss[:, 12_000:]], 1), hiss) > 0.3 * loss(other, hiss)
