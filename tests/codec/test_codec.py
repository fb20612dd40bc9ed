"""Recordings through the public API with the released weights: lengths, rates, channels, levels, wrong input."""

import io
from dataclasses import replace

import numpy as np
import pytest
import soundfile

import hac_cli
from hac_cli.codec import searching_stream
from hac_cli.container import Reader
from hac_cli.errors import CorruptError, HacError, InputError, ModelError, OutputError, UsageError
from hac_cli.model import released
from hac_cli.model.engine import load_engine
from hac_cli.predictors import for_header

RANDOM = np.random.default_rng(5)


def recording(samples, sample_rate=24_000, channels=1, level=0.1, format="WAV"):
    """A binary stream with noise in it."""
    file = io.BytesIO()
    audio = np.clip(level * RANDOM.standard_normal((samples, channels)), -1, 1)
    soundfile.write(file, audio, sample_rate, format=format)
    file.seek(0)
    return file


def round_trip(source, **options):
    coded, decoded = io.BytesIO(), io.BytesIO()
    made = hac_cli.compress(source, coded, **options)
    coded.seek(0)
    result = hac_cli.decompress(coded, decoded)
    decoded.seek(0)
    audio, sample_rate = soundfile.read(decoded, always_2d=True, dtype="float32")
    assert made == replace(result, clipped=0)
    assert made.file_bytes == len(coded.getvalue())
    return audio.T, sample_rate, made


@pytest.mark.parametrize("samples", [0, 1, 2, 160, 319, 320, 321, 639, 640, 641, 959, 960])
def test_every_length_up_to_three_hops_comes_back(samples):
    audio, _, result = round_trip(recording(samples))
    assert audio.shape == (1, samples) and result.samples == samples


@pytest.mark.parametrize(
    ("sample_rate", "channels"),
    [(8000, 1), (11_025, 2), (16_000, 1), (22_050, 1), (44_100, 2), (48_000, 6), (96_000, 1), (192_000, 8)],
)
def test_rate_channels_and_length_come_back(sample_rate, channels):
    samples = int(0.31 * sample_rate) + 7
    audio, rate, result = round_trip(recording(samples, sample_rate, channels))
    assert (rate, *audio.shape) == (sample_rate, channels, samples)
    assert result.channels == channels and result.seconds == pytest.approx(samples / sample_rate)


@pytest.mark.parametrize("sample_rate", [8000, 16_000, 44_100, 48_000])
@pytest.mark.parametrize("samples", [1, 2, 3, 5, 100])
def test_a_few_samples_at_other_rates_come_back(sample_rate, samples):
    audio, _, _ = round_trip(recording(samples, sample_rate))
    assert audio.shape == (1, samples)


def test_mono_mixes_down():
    stereo = recording(4000, channels=2)
    audio, _, result = round_trip(stereo, mono=True)
    assert result.channels == 1 and audio.shape == (1, 4000)


def test_the_file_holds_the_tokens_that_encode_gives():
    audio = (0.02 * RANDOM.standard_normal(50_000) + 0.01).astype(np.float32)
    file, coded, decoded = io.BytesIO(), io.BytesIO(), io.BytesIO()
    soundfile.write(file, audio, 24_000, format="WAV", subtype="FLOAT")
    file.seek(0)
    hac_cli.compress(file, coded, frames_per_block=33)
    coded.seek(0)
    held = hac_cli.read_tokens(coded)
    assert (held.model, held.sample_rate, held.samples) == ("v2", 24_000, 50_000)
    conditioned, gains = hac_cli.condition(audio)
    assert np.array_equal(held.tokens[..., None], hac_cli.encode(conditioned))
    assert held.gains == gains != ""
    coded.seek(0)
    hac_cli.decompress(coded, decoded, raw="24000:1:f32")
    heard = np.frombuffer(decoded.getvalue(), np.float32)
    assert np.array_equal(hac_cli.decode(held.tokens, gains=gains, samples=50_000)[0], heard)
    assert np.array_equal(hac_cli.decode(held.tokens), hac_cli.decode(held.tokens[..., None]))


def test_decode_of_encode_has_the_length_asked_for():
    audio = (0.1 * RANDOM.standard_normal((2, 12_345))).astype(np.float32)
    tokens = hac_cli.encode(audio)
    assert tokens.dtype == np.int32 and tokens.shape == (2, 42, 1)
    assert hac_cli.decode(tokens, samples=12_345).shape == (2, 12_345)


def test_wrong_arrays_are_refused():
    with pytest.raises(InputError, match="finite"):
        hac_cli.encode(np.array([0.0, np.nan]))
    with pytest.raises(UsageError, match="shape"):
        hac_cli.encode(np.zeros((1, 1, 1)))
    with pytest.raises(UsageError, match="from 0 to 262143"):
        hac_cli.decode(np.full((1, 1, 1), 1 << 18))
    with pytest.raises(UsageError, match="integers"):
        hac_cli.decode(np.zeros((1, 1, 1)))
    with pytest.raises(UsageError, match="shape"):
        hac_cli.decode(np.zeros(1, int))


def test_integers_are_no_audio():
    """Their level would be 32768 times too high."""
    with pytest.raises(UsageError, match="divide 16-bit integers by 32768"):
        hac_cli.encode(np.zeros(100, np.int16))


@pytest.mark.parametrize("shape", [(24_000, 2), (9, 100), (0, 10)])
def test_channels_come_first(shape):
    with pytest.raises(UsageError, match=r"1 to 8 channels, not \d+; the layout is \[channels, samples\]"):
        hac_cli.encode(np.zeros(shape))
    with pytest.raises(UsageError, match="1 to 8 channels"):
        hac_cli.encoder_stream(shape[0])


@pytest.mark.parametrize("samples", [-1, 321])
def test_tokens_hold_no_other_number_of_samples(samples):
    tokens = hac_cli.encode(np.zeros(320))
    assert tokens.shape[1] == 4 and hac_cli.decode(tokens, samples=np.int64(320)).shape == (1, 320)
    with pytest.raises(UsageError, match=f"up to 320 samples, not {samples}"):
        hac_cli.decode(tokens, samples=samples)


def test_streams_refuse_what_encode_and_decode_refuse():
    encoder, decoder = hac_cli.encoder_stream(2), hac_cli.decoder_stream()
    for audio, error in ((np.zeros(100), UsageError), (np.zeros((1, 100)), UsageError),
                         (np.zeros((2, 100), int), UsageError), (np.full((2, 1), np.nan), InputError)):  # fmt: skip
        with pytest.raises(error):
            encoder.push(audio)
    for tokens in (np.zeros((1, 5), int), np.zeros((2, 5, 1), int), np.zeros((1, 5, 1)), np.full((1, 1, 1), -1)):
        with pytest.raises(UsageError):
            decoder.push(tokens)


@pytest.mark.parametrize("make", [hac_cli.encoder_stream, hac_cli.decoder_stream, searching_stream])
def test_a_stream_is_for_one_recording(make):
    stream = make()
    stream.push(np.zeros((1, 1, 1), int) if make is hac_cli.decoder_stream else np.zeros((1, 400), np.float32))
    stream.flush()
    for again in (stream.flush, lambda: stream.push(np.zeros((1, 400), np.float32))):
        with pytest.raises(UsageError, match="make another one"):
            again()


@pytest.mark.parametrize("name", ["frames_per_call", "threads"])
@pytest.mark.parametrize("number", [0, -1, 1.5, None])
def test_a_call_has_frames_and_a_thread(name, number):
    for make in (hac_cli.encoder_stream, hac_cli.decoder_stream):
        with pytest.raises(UsageError, match=rf"{name} (must be 1 or more|is an integer), not"):
            make(**{name: number})


@pytest.mark.parametrize("option", [{"frames_per_block": 0}, {"frames_per_block": 75.0}, {"threads": 0}])
def test_options_that_make_no_sense_are_refused(option):
    (name,) = option
    with pytest.raises(UsageError, match=f"{name} (must be|is an integer)"):
        hac_cli.compress(recording(400), io.BytesIO(), **option)


def test_channels_are_a_number():
    with pytest.raises(UsageError, match="channels is an integer, not '2'"):
        hac_cli.encoder_stream("2")


def test_samples_are_whole():
    with pytest.raises(UsageError, match=r"samples is an integer, not 320\.0"):
        hac_cli.decode(hac_cli.encode(np.zeros(320)), samples=320.0)


@pytest.mark.parametrize("wrong", [5, b"talk.wav", io.StringIO("talk")])
def test_what_is_neither_path_nor_stream_is_refused(wrong):
    for source, sink in ((wrong, io.BytesIO()), (recording(400), wrong)):
        with pytest.raises(UsageError, match="is a path or a stream of bytes"):
            hac_cli.compress(source, sink)
    with pytest.raises(UsageError, match="is a path or a stream of bytes"):
        hac_cli.decompress(wrong, io.BytesIO())


def test_integers_that_were_written_as_floats_are_refused():
    with pytest.raises(InputError, match="a sample of 16384, where 1 is full level"):
        hac_cli.encode(np.full((1, 960), 16384.0))


@pytest.mark.parametrize("start", [-1.0, np.nan, np.inf, "0:01"])
def test_a_start_is_a_number_of_seconds(start):
    coded = io.BytesIO()
    hac_cli.compress(recording(400), coded)
    with pytest.raises(UsageError, match="must be numbers of seconds, not negative"):
        hac_cli.decompress(io.BytesIO(coded.getvalue()), io.BytesIO(), start=start)


def test_samples_without_a_header_have_a_layout():
    samples, coded, back = (np.sin(np.arange(4800) / 9) * 9000).astype("<i2").tobytes(), io.BytesIO(), io.BytesIO()
    hac_cli.compress(io.BytesIO(samples), coded, raw="24000:2:s16")
    result = hac_cli.decompress(io.BytesIO(coded.getvalue()), back, raw="24000:2:s16le")
    assert (result.channels, result.samples, len(back.getvalue())) == (2, 2400, len(samples))
    with pytest.raises(UsageError, match="'24000' is no raw format"):
        hac_cli.compress(io.BytesIO(samples), coded, raw="24000")


def test_what_was_there_stays_when_coding_fails(tmp_path):
    (tmp_path / "talk.hac").write_bytes(b"old")
    broken = np.full(9000, np.nan, "<f4").tobytes()
    (tmp_path / "talk.raw").write_bytes(bytes(100_000) + broken)
    with pytest.raises(HacError, match="not a finite number"):
        hac_cli.compress(tmp_path / "talk.raw", tmp_path / "talk.hac", raw="24000:1:f32")
    with pytest.raises(HacError, match=r"not a \.hac file"):
        hac_cli.decompress(tmp_path / "talk.raw", tmp_path / "talk.hac", format="wav")
    with pytest.raises(OutputError, match="its folder does not exist") as refusal:
        hac_cli.compress(recording(400), tmp_path / "nowhere" / "talk.hac")
    assert refusal.value.path == str(tmp_path / "nowhere" / "talk.hac")
    assert (tmp_path / "talk.hac").read_bytes() == b"old"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["talk.hac", "talk.raw"]


def test_an_unknown_payload_is_refused():
    with pytest.raises(UsageError, match="no payload 'foo'; use one of coded, raw"):
        hac_cli.compress(recording(10), io.BytesIO(), payload="foo")


def test_what_there_is_can_be_listed():
    assert {"__version__", *hac_cli.__all__} <= set(dir(hac_cli))


def test_a_truncated_recording_is_coded_as_far_as_it_goes(tmp_path):
    path = tmp_path / "cut.wav"
    path.write_bytes(recording(24_000).getvalue()[: 44 + 2 * 10_000])
    result = hac_cli.compress(path, tmp_path / "cut.hac")
    assert result.samples == 10_000 and "0.42 s of 1.00 s" in result.warning
    assert hac_cli.decompress(tmp_path / "cut.hac", tmp_path / "back.wav").samples == 10_000


def test_a_pipe_is_told_the_length_that_comes(tmp_path):
    """Not the one that the recording promised before it was cut off."""
    header = recording(24_000).getvalue()
    (tmp_path / "cut.wav").write_bytes(header[: 44 + 2 * 10_000])
    (tmp_path / "cut.flac").write_bytes((flac := recording(24_000, format="FLAC").getvalue())[: len(flac) // 2])
    for name in ("cut.wav", "cut.flac"):
        result = hac_cli.compress(tmp_path / name, tmp_path / "cut.hac")
        assert result.warning
        for source in (tmp_path / "cut.hac", io.BytesIO((tmp_path / "cut.hac").read_bytes())):
            decoded = io.BytesIO()
            assert hac_cli.decompress(source, decoded).samples == result.samples
            assert int.from_bytes(decoded.getvalue()[40:44], "little") == 2 * result.samples


def coded_file():
    coded = io.BytesIO()
    hac_cli.compress(recording(9000), coded)
    return coded.getvalue()


def test_a_damaged_file_is_refused():
    data = bytearray(coded_file())
    data[70] ^= 4
    with pytest.raises(CorruptError, match="block 0"):
        hac_cli.decompress(io.BytesIO(data), io.BytesIO())
    with pytest.raises(CorruptError, match="truncated"):
        hac_cli.decompress(io.BytesIO(coded_file()[:-1]), io.BytesIO())


def remade(**changes):
    """A good file whose header was changed, checksums and all."""
    from dataclasses import replace

    from hac_cli.container import Writer

    reader = Reader(io.BytesIO(coded_file()), predictor=for_header)
    file = io.BytesIO()
    writer = Writer(file, replace(reader.header, **changes), for_header(reader.header))
    for block in reader:
        writer.write(block.tokens)
    writer.finish(9000)
    file.seek(0)
    return file


@pytest.mark.parametrize(
    ("changes", "error", "message"),
    [
        ({"model_id": 999}, ModelError, "model number 999"),
        ({"weights_digest": bytes(8)}, ModelError, "other weights of model v2"),
        ({"hop_length": 321}, CorruptError, "doesn't fit the model"),
        ({"pre_skip": 0}, CorruptError, "doesn't fit the model"),
    ],
)
def test_a_file_of_another_model_is_refused(changes, error, message):
    assert hac_cli.decompress(remade(), io.BytesIO()).samples == 9000
    with pytest.raises(error, match=message):
        hac_cli.decompress(remade(**changes), io.BytesIO())


def test_unknown_models_and_damaged_weights_are_refused(tmp_path, monkeypatch):
    with pytest.raises(ModelError, match="there are: v2"):
        hac_cli.compress(recording(10), io.BytesIO(), model="v9")
    model = released.find("v2")
    for file in released.WEIGHTS.iterdir():
        data = bytearray(file.read_bytes())
        if file == model.path:
            data[-1] ^= 1
        (tmp_path / file.name).write_bytes(data)
    monkeypatch.setattr(released, "WEIGHTS", tmp_path)
    released.released.cache_clear()
    load_engine.cache_clear()
    try:
        with pytest.raises(ModelError, match="not those that were released"):
            hac_cli.compress(recording(10), io.BytesIO())
    finally:
        monkeypatch.undo()
        released.released.cache_clear()


def test_progress_counts_samples():
    seen = []
    hac_cli.compress(recording(60_000), io.BytesIO(), progress=seen.append)
    assert seen == sorted(seen) and seen[-1] == 60_000


def test_a_recording_is_never_written_over_itself(tmp_path):
    (tmp_path / "a.wav").write_bytes(recording(3_000).read())
    hac_cli.compress(tmp_path / "a.wav", tmp_path / "a.hac")
    for work, path in ((hac_cli.compress, tmp_path / "a.wav"), (hac_cli.decompress, tmp_path / "a.hac")):
        before = path.read_bytes()
        with pytest.raises(UsageError, match="the input as well"):
            work(str(path), path)
        assert path.read_bytes() == before


def test_errors_name_the_file(tmp_path):
    path = tmp_path / "talk.hac"
    hac_cli.compress(recording(400), path)
    with pytest.raises(UsageError, match="before that start") as late:
        hac_cli.decompress(path, io.BytesIO(), start=5)
    path.write_bytes(path.read_bytes()[:-20])
    with pytest.raises(CorruptError) as cut:
        hac_cli.decompress(path, io.BytesIO())
    assert late.value.path == cut.value.path == str(path)
