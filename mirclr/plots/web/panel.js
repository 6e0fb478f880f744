// The side panel and the legend: what is chosen, in words.
const LISTED = 200;

function trackButton(row, before, after) {
  const button = makeElement("button");
  button.type = "button";
  if (before) button.append(makeElement("small", before));
  button.append(makeElement("span", nameOf(row)));
  if (after) button.append(makeElement("small", after));
  button.addEventListener("click", () => {
    choose(row, true);
    play(row);
  });
  const item = makeElement("li");
  item.dataset.row = row;
  item.append(button);
  return item;
}

function fillList(list, rows, before, after) {
  list.replaceChildren(...rows.slice(0, LISTED).map((row, k) => trackButton(row, before(k), after(k))));
  if (rows.length > LISTED) list.append(makeElement("li", `and ${rows.length - LISTED} more`, "more"));
}

function showChosen() {
  const row = state.chosen;
  $("near-part").hidden = row < 0;
  $("chosen-title").textContent = row < 0 ? "No track chosen" : titleOf(row);
  $("chosen-artist").textContent = row < 0 ? "Choose a point to hear it and to see what sounds like it." : artistOf(row);
  $("tags").replaceChildren();
  $("chosen-links").replaceChildren();
  if (row < 0) return;
  for (const field of music.fields) {
    const shown = shownValue(field, row);
    if (shown !== null && field.name !== "artist") $("tags").append(makeElement("dt", field.name), makeElement("dd", shown));
  }
  $("chosen-links").append(...linksOf(row));
  fillList($("near"), music.neighbours[row], () => "", (k) => (music.likeness[row][k] / 100).toFixed(2));
}

function linksOf(row) {
  const hear = makeElement("button", "Play");
  hear.addEventListener("click", () => play(row));
  const keep = makeElement("button", state.picked.includes(row) ? "Take out of selection" : "Add to selection");
  keep.addEventListener("click", () => togglePicked(row));
  if (served) {
    const more = makeElement("button", "Playlist from here");
    more.addEventListener("click", () => askPlaylist(row));
    return [hear, keep, more];
  }
  const file = makeElement("a", "Open file");
  Object.assign(file, { href: fileOf(row), target: "_blank", rel: "noreferrer" });
  return [hear, keep, file];
}

function showCursor() {
  [...$("near").children].forEach((item, k) => item.classList.toggle("cursor", k === state.cursor));
  $("near").children[state.cursor]?.scrollIntoView({ block: "nearest" });
}

function showPicked() {
  $("picked-part").hidden = !state.picked.length;
  $("picked-title").textContent = `${state.picked.length} track${state.picked.length === 1 ? "" : "s"} selected`;
  fillList($("picked"), state.picked, () => "", () => "");
}

function showPath(title) {
  $("list-part").hidden = !state.list.length;
  if (title) $("list-title").textContent = title;
  fillList($("list"), state.list, (k) => `${k + 1}`, () => "");
}

function save(rows, name) {
  const { file, left } = playlistFile(rows);
  const link = makeElement("a");
  link.href = URL.createObjectURL(file);
  link.download = name;
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 10000);
  const lost = left.length ? `; left out, because no playlist line can hold the path: ${left.map(nameOf).join(", ")}` : "";
  say(`${rows.length - left.length} tracks written to ${name}${lost}`);
}

async function ask(address) {
  const answer = await fetch(address);
  if (answer.status === 401) location.assign("/login");
  const said = await answer.json();
  if (!answer.ok) throw new Error(typeof said.detail === "string" ? said.detail : `the server said ${answer.status}`);
  return said;
}

async function askPlaylist(row) {
  try {
    const made = await ask(`/api/playlist?seed=${music.ids[row]}&length=20`);
    state.list = made.tracks.map((track) => music.rowOf.get(track.id)).filter((found) => found !== undefined);
    showPath(`Playlist from ${nameOf(row)}`);
    say([`${state.list.length} tracks`, ...made.notes].join("; "));
    redraw();
  } catch (error) {
    say(error.message);
  }
}

// -- the legend

function legendMark(look) {
  const small = makeElement("canvas");
  small.width = small.height = 32;
  const pen = small.getContext("2d");
  pen.translate(16, 16);
  drawShape(pen, look.shape, 11, `rgb(${look.colour.join(",")})`);
  return small;
}

function legendEntry(look, name, count, code) {
  const button = makeElement("button");
  button.type = "button";
  button.append(legendMark(look), makeElement("span", name), makeElement("small", String(count)));
  button.setAttribute("aria-pressed", String(state.focus === code));
  button.title = "Show only these";
  button.addEventListener("click", () => {
    state.focus = state.focus === code ? null : code;
    showLegend();
    recolour();
  });
  return button;
}

function showLegend() {
  const field = state.field;
  $("legend-title").textContent = field.name;
  const body = $("legend-body");
  body.replaceChildren();
  if (field.kind === "number") {
    body.append(...scaleOf(field));
    return;
  }
  const counts = new Array(field.names.length).fill(0);
  let unknown = 0;
  for (const code of field.codes) code < 0 ? (unknown += 1) : (counts[code] += 1);
  field.names.slice(0, COLOURED).forEach((name, code) => body.append(legendEntry(lookOfCode(code), name, counts[code], code)));
  const grey = { colour: greyOf(), shape: 0 };
  const others = counts.slice(COLOURED).reduce((sum, count) => sum + count, 0);
  if (others) body.append(legendEntry(grey, `(${counts.length - COLOURED} others)`, others, "others"));
  if (unknown) body.append(legendEntry(grey, "(unknown)", unknown, "unknown"));
}

function scaleOf(field) {
  const strip = makeElement("canvas", "", "scale");
  [strip.width, strip.height] = [256, 1];
  const pen = strip.getContext("2d");
  for (let x = 0; x < 256; x += 1) {
    pen.fillStyle = `rgb(${viridis(x / 255).join(",")})`;
    pen.fillRect(x, 0, 1, 1);
  }
  const { low, high, cut } = rangeOf(field);
  const shown = (value) => (field.name === "year" ? String(value) : field.name === "duration" ? clock(value) : `${value} ${field.unit}`.trim());
  const ends = makeElement("div", "", "ends");
  ends.append(makeElement("span", (cut ? "\u2264 " : "") + shown(low)), makeElement("span", (cut ? "\u2265 " : "") + shown(high)));
  const unknown = field.values.filter((value) => value === null).length;
  return unknown ? [strip, ends, legendEntry({ colour: greyOf(), shape: 0 }, "(unknown)", unknown, "unknown")] : [strip, ends];
}

// Whether a row belongs to the value of the legend that is looked at.
function inFocus(row) {
  const value = state.field.kind === "words" ? state.field.codes[row] : state.field.values[row];
  if (state.focus === "unknown") return value === null || value === -1;
  return state.focus === "others" ? value >= COLOURED : value === state.focus;
}
