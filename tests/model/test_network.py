"""The network: its size, its quantizer, its scales and their folding."""

import pytest
import torch

from hac_cli.errors import ModelError
from hac_cli.losses.bits import bit_entropy, commitment, entropy_gap
from hac_cli.model.config import MAX_PARAMETERS, ModelConfig
from hac_cli.model.network import Codec
from hac_cli.model.quantizer import binarize, on_sphere, to_signs, to_tokens
from hac_cli.model.release import fold, load_file_release, save_release, unfold
from hac_cli.model.scaling import FeatureScale


def test_the_default_network_is_within_its_limits():
    config = ModelConfig()
    assert Codec(config).parameter_count <= MAX_PARAMETERS
    assert (config.hop_length, config.frame_rate, config.bitrate) == (320, 75.0, 1350.0)
    assert config.look_ahead <= 0.040 * config.sample_rate
    assert config.latency_seconds == pytest.approx(0.040)


def test_the_whole_forward_equals_frame_by_frame_with_carried_state(trained_tiny):
    audio = 0.1 * torch.randn(2, 320 * 30)
    whole, latents = trained_tiny(audio)
    encoder, decoder = trained_tiny.fresh_encoder(2), trained_tiny.fresh_decoder(2)
    parts = []
    for frame in audio.split(320, 1):
        step, encoder = trained_tiny.encode(frame, encoder)
        piece, decoder = trained_tiny.decode(binarize(step), decoder)
        parts.append(piece)
    assert latents.shape == (2, 30, 18)
    torch.testing.assert_close(torch.cat(parts, 1), whole, atol=1e-5, rtol=1e-4)


def test_bit_i_of_a_token_is_latent_i():
    latents = -torch.ones(1, 18, 18) + 2 * torch.eye(18)
    assert to_tokens(latents).flatten().tolist() == [1 << i for i in range(18)]
    assert to_tokens(torch.zeros(1, 1, 18)).item() == 0


def test_tokens_and_signs_are_the_same_information():
    tokens = torch.arange(1 << 18)[None, :, None]
    signs = to_signs(tokens, 18)
    assert torch.equal(to_tokens(signs), tokens)
    assert torch.equal(binarize(signs), signs)


def test_the_gradient_passes_straight_through():
    latents = torch.tensor([[[-2.0, 0.0, 0.5]]], requires_grad=True)
    binarize(latents).sum().backward()
    torch.testing.assert_close(latents.grad, 1 - torch.tanh(latents.detach()) ** 2)


def test_the_sphere_changes_no_sign_and_gives_gradients_to_large_latents(tiny):
    torch.manual_seed(0)
    latents = (30 * torch.randn(2, 5, 18)).requires_grad_()
    sphere = on_sphere(latents)
    assert torch.equal(binarize(sphere), binarize(latents))
    torch.testing.assert_close(sphere.square().mean(-1), torch.ones(2, 5))
    sizes = [torch.autograd.grad((binarize(kind) * torch.randn(18)).sum(), kind)[0].abs().mean()
             for kind in (latents, sphere)]  # fmt: skip
    assert sizes[1] > 5 * sizes[0]
    audio = 0.1 * torch.randn(1, 3200)
    assert torch.equal(tiny(audio, spherical=True)[0], tiny(audio)[0])


def test_what_pulls_latents_to_zero_is_taken_off():
    """Bits of the loss (bit - 0.3)²: the plain gradient leads latents back to 0, from both sides."""
    latents = torch.tensor([[[-0.1, 0.1]]], requires_grad=True)
    for curvature, signs in ((0.0, [-1, 1]), (1.5, [1, -1])):
        (gradient,) = torch.autograd.grad((binarize(latents, curvature) - 0.3).square().sum(), latents)
        assert torch.sign(gradient).flatten().tolist() == signs


def test_quantizer_terms_know_good_bits_from_bad():
    torch.manual_seed(0)
    good = 20 * torch.where(torch.rand(1, 4000, 18) > 0.5, 1.0, -1.0)
    copied = good[..., :1].expand(-1, -1, 18)
    assert entropy_gap(good).item() < 0.02
    assert entropy_gap(copied).item() > 0.8 and entropy_gap(torch.ones(1, 100, 18) * 20).item() > 0.9
    assert entropy_gap(0.001 * good).item() > 0.9  # uniform, but not certain
    skewed = torch.where(torch.rand(1, 4000, 18) > 0.1, -0.2, 5.0).requires_grad_()  # sigmoid is 0.5 in the mean
    value = entropy_gap(skewed)
    value.backward()
    assert skewed.grad[skewed < 0].mean() < 0  # a step against the gradient makes ones of them
    assert commitment(good).item() < 1e-6 < commitment(0.1 * good / 20).item()
    assert bit_entropy(good).min() > 0.99 and bit_entropy(torch.ones(1, 10, 18)).max() < 0.01


@pytest.mark.parametrize("kind", ["std", "mean_abs"])
def test_tracked_scales_find_the_size_of_what_they_see(kind):
    torch.manual_seed(0)
    scale = FeatureScale(3, kind, "ema", center=True).train()
    signal = torch.randn(4, 500, 3) * torch.tensor([0.1, 1.0, 10.0]) + 5
    for _ in range(200):
        scale(signal)
        scale.track()
    out = scale.eval()(signal)
    size = out.std((0, 1)) if kind == "std" else (out + scale.mean / scale.scale).abs().mean((0, 1))
    torch.testing.assert_close(size, torch.ones(3), atol=0.02, rtol=0)


def test_folding_the_scales_changes_nothing(trained_tiny, tiny):
    audio = 0.1 * torch.randn(1, 320 * 40)
    expected, latents = trained_tiny(audio)
    folded, folded_latents = tiny(audio)
    torch.testing.assert_close(folded_latents, latents, atol=1e-4, rtol=1e-4)
    torch.testing.assert_close(folded, expected, atol=1e-4, rtol=1e-4)
    assert not any(isinstance(m, FeatureScale) for m in tiny.encoder.modules())


def test_unfolding_a_release_changes_nothing_and_finds_the_scales(trained_tiny, tiny):
    torch.manual_seed(2)
    audio = 0.1 * torch.randn(8, 6400)
    again = unfold(tiny, audio)
    torch.testing.assert_close(again(audio)[1], trained_tiny(audio)[1], atol=1e-4, rtol=1e-4)
    torch.testing.assert_close(again(audio)[0], trained_tiny(audio)[0], atol=1e-4, rtol=1e-4)
    for name, scale in trained_tiny.state_dict().items():
        if name.endswith("scale.scale"):
            torch.testing.assert_close(again.state_dict()[name], scale, rtol=0.3, atol=0)


def test_a_release_is_bfloat16_and_comes_back(trained_tiny, tmp_path):
    path = tmp_path / "tiny.safetensors"
    save_release(trained_tiny, path, {"recipe": "none"})
    loaded = load_file_release(path)
    for name, tensor in fold(trained_tiny).state_dict().items():
        expected = tensor if name.startswith("input_scale") else tensor.bfloat16().float()
        assert torch.equal(loaded.state_dict()[name], expected), name
    assert loaded.config == trained_tiny.config
    assert path.stat().st_size < 2.5 * trained_tiny.parameter_count + 20_000


def test_a_network_that_is_too_large_is_not_released(tmp_path):
    model = Codec(ModelConfig(blocks=(1, 1, 2, 6)))
    with pytest.raises(ModelError, match="at most 4,000,000"):
        save_release(model, tmp_path / "large.safetensors", {})
    assert not list(tmp_path.iterdir())


def test_unknown_settings_are_errors():
    with pytest.raises(ModelError, match="'widht'"):
        ModelConfig.from_dict({"widht": [1]})
    assert ModelConfig.from_dict(ModelConfig().as_dict()) == ModelConfig()
