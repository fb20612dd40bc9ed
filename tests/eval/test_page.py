"""The page in a browser: it opens without an error, shows what it should, and a click plays and switches."""

from __future__ import annotations

import shutil
import zlib

import numpy as np
import pytest
import soundfile

from hac_cli.eval import baselines, metrics, report, spectrogram
from hac_cli.eval.bench import Bench

pytestmark = pytest.mark.slow

BROWSER = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome", "chrome"))), None)


def quiet(what, done, total):
    pass


@pytest.fixture(scope="module")
def page_path(tmp_path_factory, speech, coarse):
    """Two clips by two codecs, of which one is heard on the page, the worse one."""
    root = tmp_path_factory.mktemp("page")
    clips = root / "cl<i>ps"
    clips.mkdir()
    soundfile.write(clips / "quiet.wav", 0.02 * speech, 24_000)  # the lowest bits matter more here
    soundfile.write(clips / "loud.wav", speech, 24_000)
    toml = root / "codecs.toml"
    toml.write_text("".join(
        f'["{name}"]\nencode = "{coarse} {mask}"\ndecode = "cp {{in}} {{out}}"\npayload = "file"\n{more}'
        for name, mask, more in (("HAC <b>", 63, ""), ("fine", 15, "sample_rate = 16000\n"))
    ), encoding="utf-8")  # fmt: skip
    coders = baselines.read(toml, 60)
    chosen, missing = metrics.available(metrics.STANDARD)
    results = Bench(clips, coders, chosen, missing | {"Codec9": "apt install codec9"}, 1).run(None, None, quiet)
    assert not results.failures
    report.write(root / "page.html", results, clips, coders, 1, 1, quiet)
    return root / "page.html"


def test_a_spectrogram_is_a_png_of_what_is_heard():
    tone = 0.1 * np.sin(2 * np.pi * 6000 * np.arange(48_000) / 24_000)
    data = spectrogram.png(tone)
    assert data.startswith(b"\x89PNG\r\n\x1a\n") and data.endswith(b"IEND\xaeB`\x82")
    start = data.index(b"IDAT")
    pixels = zlib.decompress(data[start + 4 :])
    rows = np.frombuffer(pixels, np.uint8).reshape(spectrogram.HEIGHT, spectrogram.WIDTH + 1)[:, 1:]
    assert abs(int(rows.mean(1).argmax()) - spectrogram.HEIGHT // 2) <= 1  # 6 of 12 kHz
    assert spectrogram.png(np.zeros(10)).startswith(b"\x89PNG")


def test_the_page_stands_alone(page_path):
    text = page_path.read_text(encoding="utf-8")
    assert "http://" not in text and "https://" not in text and ' src="data:image/png' in text
    assert "<!--" not in text.replace("<!doctype", "")
    assert "cl&lt;i&gt;ps" in text and "HAC &lt;b&gt;" in text and "HAC <b>" not in text
    assert "not measured: Codec9; apt install codec9" in text
    assert text.count('class="clip"') == 1 and 'data-name="quiet.wav"' in text


@pytest.mark.slow
@pytest.mark.skipif(BROWSER is None, reason="NOT TESTED: the page in a browser; apt install chromium")
def test_the_page_works_in_a_browser(page_path):
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=BROWSER, args=["--no-sandbox"])
        page = browser.new_page()
        errors: list[str] = []
        page.on("pageerror", lambda error: errors.append(str(error)))
        page.on("console", lambda message: errors.append(message.text) if message.type == "error" else None)
        page.on("request", lambda request: errors.append(request.url) if request.url.startswith("http") else None)
        page.goto(page_path.as_uri())
        see_plots(page)
        hear(page)
        assert errors == []
        browser.close()


def see_plots(page):
    visible = page.locator("figure:visible")
    assert visible.count() == 1 and visible.locator("circle").count() == 2
    box = visible.locator("svg").bounding_box()
    assert box["width"] > 300 and box["height"] > 150
    page.select_option("#metric", "mel")
    assert page.locator("figure:visible").get_attribute("data-metric") == "mel"
    widths = page.locator(".picture img").evaluate_all("images => images.map(image => image.naturalWidth)")
    assert widths == [spectrogram.WIDTH] * 3


def hear(page):
    """A click plays, another switches at the same moment, a third stops; keys and pictures work as well."""
    clip = page.locator(".clip")
    original, hac = clip.locator("button").nth(0), clip.locator("button").nth(1)
    original.click()
    page.wait_for_function("Number(document.querySelector('.clip').dataset.position) > 0.3")
    assert original.get_attribute("aria-pressed") == "true"
    before = float(clip.get_attribute("data-position"))
    hac.click()
    page.wait_for_function("document.querySelectorAll('.clip button')[1].getAttribute('aria-pressed') === 'true'")
    assert original.get_attribute("aria-pressed") == "false"
    assert float(clip.get_attribute("data-position")) >= before  # it did not begin anew
    page.keyboard.press("3")
    assert clip.locator("button").nth(2).get_attribute("aria-pressed") == "true"
    page.keyboard.press(" ")
    page.wait_for_function("!document.querySelector('.clip').classList.contains('playing')")
    picture = clip.locator(".picture").nth(1)
    picture.click(position={"x": picture.bounding_box()["width"] * 0.75, "y": 10})
    page.wait_for_function("document.querySelector('.clip').classList.contains('playing')")
    page.wait_for_function("Number(document.querySelector('.clip').dataset.position) >= 3")
    hac.click()
    page.wait_for_function("!document.querySelector('.clip').classList.contains('playing')")
