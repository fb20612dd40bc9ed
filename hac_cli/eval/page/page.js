"use strict";
// All signals of a clip play at once, in step to the sample; all but one are silent. Switching only moves the gains.
const FADE = 0.008; // seconds, against clicks
let context = null;
let current = null;

class Clip {
  constructor(element) {
    this.element = element;
    this.signals = [...element.querySelectorAll(".signal")];
    this.buffers = null;
    this.chosen = 0;
    this.offset = 0;
    this.sources = [];
    this.signals.forEach((signal, index) => {
      signal.querySelector("button").addEventListener("click", () => this.press(index));
      signal.querySelector(".picture").addEventListener("click", (event) => {
        const share = event.offsetX / event.currentTarget.clientWidth;
        this.play(index, () => share * this.duration);
      });
    });
  }

  get playing() { return this.sources.length > 0; }
  get duration() { return this.buffers[0].duration; }
  get position() { return this.playing ? context.currentTime - this.started : this.offset; }

  press(index) {
    if (this.playing && index === this.chosen) this.stop();
    else if (this.playing) this.choose(index);
    else this.play(index);
  }

  async decode() {
    context = context || new AudioContext();
    await context.resume();
    this.buffers = this.buffers || await Promise.all(this.signals.map((signal) => {
      const bytes = Uint8Array.from(atob(signal.dataset.flac), (letter) => letter.charCodeAt(0));
      return context.decodeAudioData(bytes.buffer);
    }));
  }

  async play(index, from = () => this.offset) {
    await this.decode();
    if (current) current.stop();
    current = this;
    this.offset = Math.min(from(), this.duration);
    if (this.offset > this.duration - 0.05) this.offset = 0;
    const start = context.currentTime + 0.02;
    this.started = start - this.offset;
    this.gains = this.buffers.map((buffer) => {
      const source = new AudioBufferSourceNode(context, { buffer });
      const gain = new GainNode(context, { gain: 0 });
      source.connect(gain).connect(context.destination);
      source.start(start, this.offset);
      this.sources.push(source);
      return gain;
    });
    this.sources[0].onended = () => { this.stop(); this.offset = 0; };
    this.choose(index);
    this.follow();
  }

  choose(index) {
    this.chosen = index;
    this.gains.forEach((gain, place) => {
      gain.gain.setTargetAtTime(place === index ? 1 : 0, context.currentTime, FADE);
    });
    this.show();
  }

  stop() {
    if (!this.playing) return;
    this.offset = Math.max(0, this.position);
    this.sources.forEach((source) => { source.onended = null; source.stop(); });
    this.sources = [];
    this.show();
  }

  show() {
    this.element.classList.toggle("playing", this.playing);
    this.signals.forEach((signal, index) => {
      signal.querySelector("button").setAttribute("aria-pressed", this.playing && index === this.chosen);
    });
  }

  follow() {
    if (!this.playing) return;
    const share = Math.min(1, Math.max(0, this.position / this.duration));
    this.element.dataset.position = this.position.toFixed(3);
    this.signals.forEach((signal) => { signal.querySelector("i").style.left = `${100 * share}%`; });
    requestAnimationFrame(() => this.follow());
  }
}

document.querySelectorAll(".clip").forEach((element) => new Clip(element));

document.addEventListener("keydown", (event) => {
  if (!current || event.target.matches("select, input")) return;
  if (event.key === " ") {
    event.preventDefault();
    current.press(current.chosen);
  } else if (/^[1-9]$/.test(event.key) && event.key <= current.signals.length && current.playing) {
    current.choose(Number(event.key) - 1);
  }
});

const metric = document.getElementById("metric");
metric?.addEventListener("change", () => {
  document.querySelectorAll("figure[data-metric]").forEach((figure) => {
    figure.hidden = figure.dataset.metric !== metric.value;
  });
});
