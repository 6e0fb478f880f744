// The music: rows as in the library, and every way to ask for one. All text that comes from tags stays text.
const $ = (id) => document.getElementById(id);
const served = document.body.dataset.served === "yes";
const music = { n: 0 };

function makeElement(kind, text = "", name = "") {
  const element = document.createElement(kind);
  element.textContent = text;
  if (name) element.className = name;
  return element;
}

// As somebody without the right keyboard would type it: case and accents do not count.
const folded = (text) => text.normalize("NFKD").replace(/\p{M}/gu, "").toLowerCase().replace(/\s+/g, " ").trim();
const oneLine = (text) => text.replace(/[\s\u0000-\u001f\u007f-\u009f\u2028\u2029]+/g, " ").trim();

function takeMap(plain) {
  const places = (xy) => Float32Array.from(xy, (value) => value / 32767.5 - 1);
  Object.assign(music, plain, { n: plain.files.length, texts: null });
  music.layouts = plain.layouts.map((layout) => ({ name: layout.name, xy: places(layout.xy) }));
  music.artist = music.fields.find((field) => field.name === "artist");
  music.duration = music.fields.find((field) => field.name === "duration");
  music.rowOf = new Map(music.ids.map((id, row) => [id, row]));
}

function valueOf(field, row) {
  if (!field) return null;
  if (field.kind === "number") return field.values[row];
  return field.codes[row] < 0 ? null : field.names[field.codes[row]];
}

function shownValue(field, row) {
  const value = valueOf(field, row);
  if (value === null || field.kind === "words") return value;
  if (field.name === "duration") return clock(value);
  return field.name === "year" ? String(Math.round(value)) : `${value} ${field.unit}`.trim();
}

const clock = (seconds) => `${Math.floor(Math.round(seconds) / 60)}:${String(Math.round(seconds) % 60).padStart(2, "0")}`;

// A file's name or path as bytes: names on Unix are bytes, and not every one is text.
function bytesOf(uri) {
  const out = [];
  for (let at = 0; at < uri.length; at += 1) {
    const escaped = uri[at] === "%";
    out.push(escaped ? parseInt(uri.slice(at + 1, at + 3), 16) : uri.charCodeAt(at));
    at += escaped ? 2 : 0;
  }
  return new Uint8Array(out);
}

const titleOf = (row) => music.titles[row] ?? oneLine(new TextDecoder().decode(bytesOf(music.files[row].split("/").pop())));
const artistOf = (row) => valueOf(music.artist, row) ?? "";
const nameOf = (row) => oneLine([artistOf(row), titleOf(row)].filter(Boolean).join(" - "));
const fileOf = (row) => music.root + music.files[row];

// What is played: the server's stream of the file, a preview in this page, or the file beside it.
const soundOf = (row) => (served ? `/api/tracks/${music.ids[row]}/audio` : music.previews[row] || fileOf(row));

function pathOf(row) {
  const path = fileOf(row).slice("file://".length);
  return bytesOf(/^\/[A-Za-z]:/.test(path) ? path.slice(1) : path);
}

// No line of a playlist can hold a line break, nor a space at its end, which players take off.
const holds = (path) => !path.some((byte) => byte === 10 || byte === 13) && ![32, 9, 11, 12].includes(path.at(-1));

// An extended M3U in UTF-8 with absolute paths, byte for byte, and the rows that it cannot hold.
function playlistFile(rows) {
  const encoder = new TextEncoder();
  const parts = [encoder.encode("#EXTM3U\n")];
  const left = [];
  for (const row of rows) {
    const path = pathOf(row);
    if (!holds(path)) {
      left.push(row);
      continue;
    }
    const seconds = valueOf(music.duration, row);
    parts.push(encoder.encode(`#EXTINF:${seconds === null ? -1 : Math.round(seconds)},${nameOf(row)}\n`), path, encoder.encode("\n"));
  }
  return { file: new Blob(parts, { type: "audio/x-mpegurl" }), left };
}

// Rows whose name or tags hold every word, at most `most`.
function findRows(text, most) {
  const words = folded(text).split(" ").filter(Boolean);
  if (!words.length) return [];
  music.texts ??= Array.from({ length: music.n }, (_, row) =>
    folded([titleOf(row), ...music.fields.filter((f) => f.kind === "words" && f.name !== "cluster").map((f) => valueOf(f, row) ?? "")].join(" ")));
  const found = [];
  for (let row = 0; row < music.n && found.length < most; row += 1) {
    if (words.every((word) => music.texts[row].includes(word))) found.push(row);
  }
  return found;
}
