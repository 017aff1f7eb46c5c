"use strict";
// One recording, shown. Everything that was said or sent is text here: nothing is ever parsed as HTML.
const data = JSON.parse(document.getElementById("data").textContent);
const byId = (id) => document.getElementById(id);
const make = (tag, className = "", text = "") => {
  const element = document.createElement(tag);
  if (className) element.className = className;
  if (text) element.textContent = text;
  return element;
};
const clock = (ms) => {
  const tenths = Math.round(Math.max(0, ms) / 100);
  return `${Math.floor(tenths / 600)}:${String(Math.floor((tenths % 600) / 10)).padStart(2, "0")}.${tenths % 10}`;
};

const exact = (ms) => {
  const whole = Math.round(ms);
  const seconds = Math.floor(whole / 1000);
  return `${Math.floor(seconds / 60)}:${String(seconds % 60).padStart(2, "0")}.${String(whole % 1000).padStart(3, "0")}`;
};

// --- sound -----------------------------------------------------------------------------------------------------

const audio = new Audio();
audio.preload = "auto";
const encoded = byId("audio").textContent;
const hasSound = encoded.length > 0;
if (hasSound) {
  const bytes = Uint8Array.from(atob(encoded), (character) => character.charCodeAt(0));
  audio.src = URL.createObjectURL(new Blob([bytes], { type: data.audio.mime }));
}
let mixer = null;
function mix() {
  if (mixer !== null) return;
  const context = new AudioContext();
  const splitter = context.createChannelSplitter(2);
  context.createMediaElementSource(audio).connect(splitter);
  const gains = ["hear-user", "hear-assistant"].map((id, channel) => {
    const gain = context.createGain();
    splitter.connect(gain, channel).connect(context.destination);
    const set = () => { gain.gain.value = byId(id).checked ? 1 : 0; };
    byId(id).addEventListener("change", set);
    set();
    return gain;
  });
  mixer = { context, gains };
}
const play = byId("play");
function toggle() {
  if (!hasSound) return;
  mix();
  mixer.context.resume();
  if (audio.paused) audio.play().catch((problem) => { byId("clock").textContent = `cannot play: ${problem.message}`; });
  else audio.pause();
}
function seek(ms) {
  positionMs = Math.min(Math.max(0, ms), data.duration_ms);
  if (hasSound) audio.currentTime = positionMs / 1000;
  draw();
}
let positionMs = 0;
function tick() {
  if (!audio.paused) {
    positionMs = audio.currentTime * 1000;
    follow();
    draw();
  }
  requestAnimationFrame(tick);
}
for (const name of ["play", "pause", "ended"]) {
  audio.addEventListener(name, () => { play.textContent = audio.paused ? "Play" : "Pause"; });
}
play.addEventListener("click", toggle);
play.disabled = !hasSound;
document.body.classList.toggle("silent", !hasSound);

// --- waveforms -------------------------------------------------------------------------------------------------

const waves = byId("waves");
const canvas = waves.querySelector("canvas");
const peaks = ["user", "assistant"].map((lane) => Int8Array.from(atob(data.peaks[lane]), (c) => c.charCodeAt(0)));
const perMs = data.peaks.per_second / 1000;
const loudest = peaks.reduce((top, pairs) => pairs.reduce((high, value) => Math.max(high, Math.abs(value)), top), 12);
let zoom = 1;
const spacer = make("div");
waves.append(spacer);
const probe = make("i");
probe.hidden = true;
document.body.append(probe);
const color = (name) => { probe.style.color = `var(--${name})`; return getComputedStyle(probe).color; };
const widthPx = () => Math.max(100, waves.clientWidth);
const pxPerMs = () => (widthPx() * zoom) / Math.max(1, data.duration_ms);
function draw() {
  const ratio = window.devicePixelRatio || 1;
  const width = widthPx();
  const height = 180;
  if (canvas.width !== Math.round(width * ratio)) { canvas.width = Math.round(width * ratio); canvas.height = height * ratio; }
  canvas.style.width = `${width}px`;
  spacer.style.width = `${width * zoom}px`;
  const pen = canvas.getContext("2d");
  pen.setTransform(ratio, 0, 0, ratio, 0, 0);
  pen.clearRect(0, 0, width, height);
  const scale = pxPerMs();
  const startMs = waves.scrollLeft / scale;
  for (const [lane, kind, fromMs, toMs] of data.regions) {
    pen.globalAlpha = kind === "hold" || kind === "gap" ? 0.5 : 0.16;
    pen.fillStyle = color(kind === "hold" ? "hold" : kind === "gap" ? "bad" : lane === 0 ? "user" : "assistant");
    pen.fillRect((fromMs - startMs) * scale, lane * 84 + 2, Math.max(1, (toMs - fromMs) * scale), 80);
  }
  pen.globalAlpha = 1;
  peaks.forEach((pairs, lane) => drawLane(pen, pairs, lane, startMs, scale, width));
  drawSeconds(pen, startMs, scale, width, height);
  pen.fillStyle = color("text");
  pen.fillRect((positionMs - startMs) * scale - 1, 0, 2, height - 12);
  byId("clock").textContent = `${clock(positionMs)} of ${clock(data.duration_ms)}`;
  waves.setAttribute("aria-valuemax", String(Math.round(data.duration_ms / 1000)));
  waves.setAttribute("aria-valuenow", String(Math.round(positionMs / 1000)));
  waves.setAttribute("aria-valuetext", clock(positionMs));
}
function drawLane(pen, pairs, lane, startMs, scale, width) {
  const middle = lane * 84 + 42;
  pen.fillStyle = color(lane === 0 ? "user" : "assistant");
  pen.fillRect(0, middle, width, 1);
  for (let x = 0; x < width; x += 1) {
    const from = Math.floor((startMs + x / scale) * perMs);
    const to = Math.max(from + 1, Math.floor((startMs + (x + 1) / scale) * perMs));
    let low = 0;
    let high = 0;
    for (let column = Math.max(0, from); column < to && column * 2 < pairs.length; column += 1) {
      low = Math.min(low, pairs[column * 2]);
      high = Math.max(high, pairs[column * 2 + 1]);
    }
    if (low || high) pen.fillRect(x, middle - (high / loudest) * 40, 1, Math.max(1, ((high - low) / loudest) * 40));
  }
}
function drawSeconds(pen, startMs, scale, width, height) {
  const steps = [100, 500, 1000, 5000, 10000, 30000, 60000, 300000, 600000];
  const step = steps.find((ms) => ms * scale >= 64) ?? 1800000;
  pen.fillStyle = color("soft");
  pen.font = "11px system-ui";
  for (let ms = Math.ceil(startMs / step) * step; (ms - startMs) * scale < width; ms += step) {
    pen.fillRect((ms - startMs) * scale, height - 14, 1, 4);
    pen.fillText(clock(ms), (ms - startMs) * scale + 3, height - 3);
  }
}
function follow() {
  const x = positionMs * pxPerMs();
  if (x < waves.scrollLeft || x > waves.scrollLeft + widthPx()) waves.scrollLeft = x - widthPx() / 4;
}
function setZoom(factor) {
  zoom = Math.min(Math.max(1, zoom * factor), Math.max(1, data.duration_ms / 1000));
  draw();
  waves.scrollLeft = positionMs * pxPerMs() - widthPx() / 2;
  draw();
}
waves.addEventListener("pointerdown", (event) => {
  const x = event.clientX - waves.getBoundingClientRect().left + waves.scrollLeft;
  seek(x / pxPerMs());
});
waves.addEventListener("scroll", draw);
byId("closer").addEventListener("click", () => setZoom(2));
byId("wider").addEventListener("click", () => setZoom(0.5));
new ResizeObserver(draw).observe(waves);
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", draw);

// --- conversation and stages -----------------------------------------------------------------------------------

for (const line of data.transcript) {
  const item = make("li", line.role);
  const time = make("time", "", line.start_ms === null ? "" : clock(line.start_ms));
  if (line.start_ms !== null) time.addEventListener("click", () => seek(line.start_ms));
  const words = make("div");
  words.append(make("span", "who", `${line.who} `), make("span", "", line.heard), make("span", "unheard", line.unheard));
  if (line.status) words.append(make("span", "status", ` ${line.status}`));
  item.append(time, words);
  byId("transcript").append(item);
}
if (data.transcript.length === 0) byId("transcript").append(make("li", "", "Nothing was said."));
const ms = (value) => `${value < 10 ? value.toFixed(1) : Math.round(value)} ms`;
const longestMs = Math.max(1, ...data.turns.map((turn) => turn.end_ms - turn.start_ms || 0));
data.turns.forEach((turn, index) => {
  const box = make("div", "turn");
  const head = make("h3");
  const at = make("button", "", clock(turn.seek_ms));
  at.type = "button";
  at.addEventListener("click", () => seek(turn.seek_ms));
  head.append(at, make("span", "", `${index + 1}. ${turn.headline}`));
  const lane = make("div", "lane");
  const list = make("ul", "stages");
  for (const span of turn.spans) {
    const look = span.name ? `stage-${span.name.replace("_", "-")}` : "none";
    const bar = make("span", look);
    bar.style.left = `${((span.start_ms - turn.start_ms) / longestMs) * 100}%`;
    bar.style.width = `${((span.end_ms - span.start_ms) / longestMs) * 100}%`;
    bar.title = span.meaning;
    lane.append(bar);
    const entry = make("li");
    entry.title = span.meaning;
    entry.append(make("i", look), make("span", "", `${span.label} ${ms(span.end_ms - span.start_ms)}`));
    list.append(entry);
  }
  box.append(head, make("p", "soft", turn.total));
  if (turn.spans.length) box.append(lane, list);
  for (const remark of turn.remarks) box.append(make("p", "soft", remark));
  for (const flag of turn.flags) box.append(make("p", "flag", flag));
  byId("turns").append(box);
});
if (data.turns.length === 0) byId("turns").append(make("p", "soft", "There was no turn."));

// --- events ----------------------------------------------------------------------------------------------------

const ROW_PX = 26;
const list = byId("events");
const canvasOfRows = list.firstElementChild;
let shown = data.events;
let chosen = -1;
function filter() {
  const words = byId("filter").value.toLowerCase().split(/\s+/).filter(Boolean);
  shown = data.events.filter((event) => {
    const text = `${event.direction} ${event.type} ${event.summary} ${event.json}`.toLowerCase();
    return words.every((word) => text.includes(word));
  });
  chosen = -1;
  list.scrollTop = 0;
  byId("count").textContent = `${shown.length} of ${data.events.length}`;
  rows();
}
function rows() {
  canvasOfRows.style.height = `${shown.length * ROW_PX}px`;
  const first = Math.max(0, Math.floor(list.scrollTop / ROW_PX) - 5);
  const last = Math.min(shown.length, first + Math.ceil(list.clientHeight / ROW_PX) + 10);
  canvasOfRows.replaceChildren(...shown.slice(first, last).map((event, offset) => row(event, first + offset)));
}
function row(event, index) {
  const element = make("div", `row${index === chosen ? " chosen" : ""}${event.type === "error" ? " error" : ""}`);
  element.id = `event-${index}`;
  element.setAttribute("role", "option");
  element.setAttribute("aria-selected", String(index === chosen));
  element.style.top = `${index * ROW_PX}px`;
  const arrow = make("span", event.direction, event.direction === "sent" ? "→" : "←");
  arrow.title = event.direction;
  element.append(make("span", "", exact(event.time_ms)), arrow, make("span", "", event.type), make("span", "soft", event.summary));
  element.addEventListener("click", () => choose(index));
  return element;
}
function choose(index) {
  if (index < 0 || index >= shown.length) return;
  chosen = index;
  const top = index * ROW_PX;
  if (top < list.scrollTop) list.scrollTop = top;
  if (top + ROW_PX > list.scrollTop + list.clientHeight) list.scrollTop = top + ROW_PX - list.clientHeight;
  list.setAttribute("aria-activedescendant", `event-${index}`);
  let text = shown[index].json;
  try { text = JSON.stringify(JSON.parse(text), null, 2); } catch { /* it was no JSON on the wire */ }
  byId("detail").textContent = text;
  rows();
  seek(shown[index].time_ms);
}
list.addEventListener("scroll", rows);
list.addEventListener("keydown", (event) => {
  const step = { ArrowDown: 1, ArrowUp: -1, PageDown: 12, PageUp: -12 }[event.key];
  if (step === undefined) return;
  event.preventDefault();
  choose(Math.min(Math.max(0, chosen + step), shown.length - 1));
});
byId("filter").addEventListener("input", filter);
document.addEventListener("keydown", (event) => {
  if (event.target instanceof HTMLInputElement && event.target.type === "search") {
    if (event.key === "Escape") { event.target.value = ""; filter(); list.focus(); }
    return;
  }
  if (event.ctrlKey || event.metaKey || event.altKey) return;
  if (event.target instanceof HTMLButtonElement && event.key === " ") return;
  const act = {
    " ": toggle, "+": () => setZoom(2), "-": () => setZoom(0.5), "/": () => byId("filter").focus(),
    ArrowLeft: () => seek(positionMs - 5000), ArrowRight: () => seek(positionMs + 5000), Home: () => seek(0),
  }[event.key];
  if (act === undefined) return;
  event.preventDefault();
  act();
});

byId("facts").textContent = data.facts;
for (const note of data.notes) byId("notes").append(make("li", "", note));
byId("footer").textContent = data.footer;
filter();
draw();
requestAnimationFrame(tick);
