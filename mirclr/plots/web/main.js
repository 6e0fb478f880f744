// What is chosen and looked at, and the loop that draws it: a frame only where something changed.
const state = {
  xy: new Float32Array(), looks: null, field: null, focus: null, matches: null,
  chosen: -1, cursor: -1, hover: -1, past: [], picked: [], list: [], lasso: false, loop: [],
};
const FAINT = 26;
const FULL = 225;
let points = null;
let waiting = false;
let quiet = 0;

// Said to screen readers alone, or to everybody for some seconds.
function tell(text) {
  $("status").textContent = text;
}
function say(text) {
  tell(text);
  $("status").classList.add("shown");
  clearTimeout(quiet);
  quiet = setTimeout(() => $("status").classList.remove("shown"), 2500 + 40 * text.length);
}

function drawNow() {
  waiting = false;
  points.draw(radiusNow());
  drawMarks(marks.getContext("2d"), state);
}
function redraw() {
  if (waiting || !points) return;
  waiting = true;
  requestAnimationFrame(drawNow);
}

const shown = (row) => (!state.matches || state.matches.has(row)) && (state.focus === null || inFocus(row));

// Colours, with whatever is not looked at faint and underneath.
function recolour() {
  if (!points) return;
  const rgba = new Uint8Array(4 * music.n);
  const layers = [[], [], []];
  for (let row = 0; row < music.n; row += 1) {
    const clear = shown(row);
    rgba.set(state.looks.rgb.subarray(3 * row, 3 * row + 3), 4 * row);
    rgba[4 * row + 3] = clear ? FULL : FAINT;
    const value = state.field.kind === "words" ? state.field.codes[row] : state.field.values[row];
    const told = state.field.kind === "words" ? value >= 0 && value < COLOURED : value !== null;
    layers[clear ? 1 + told : 0].push(row);
  }
  points.looks(rgba, state.looks.shapes, Uint32Array.from(layers.flat()));
  redraw();
}

function colourBy(field) {
  Object.assign(state, { field, focus: null, looks: looksBy(field) });
  showLegend();
  recolour();
}

function placeAt(xy) {
  state.xy = xy;
  points.places(xy);
  redraw();
}

// From one layout to the next in 0.4 s, so that the eye can follow; at once for who asked for less motion.
function layOutBy(layout) {
  const from = state.xy;
  const begun = performance.now();
  const whole = view.scale === view.fitted;
  state.layout = layout;
  measure(layout.xy);
  if (whole) fitView();
  if (from.length !== layout.xy.length || matchMedia("(prefers-reduced-motion: reduce)").matches) {
    placeAt(layout.xy);
    return;
  }
  const step = (now) => {
    if (state.layout !== layout) return;
    const share = Math.min(1, (now - begun) / 400);
    const eased = share * share * (3 - 2 * share);
    placeAt(share < 1 ? from.map((value, k) => value + (layout.xy[k] - value) * eased) : layout.xy);
    if (share < 1) requestAnimationFrame(step);
  };
  requestAnimationFrame(step);
}

function keepInSight(row) {
  const [x, y] = [screenX(state.xy[2 * row]), screenY(state.xy[2 * row + 1])];
  if (x > 30 && y > 30 && x < view.width - 30 && y < view.height - 30) return;
  [view.x, view.y] = [state.xy[2 * row], state.xy[2 * row + 1]];
}

function choose(row, move, remember = true) {
  if (remember && state.chosen >= 0 && state.chosen !== row) state.past.push(state.chosen);
  Object.assign(state, { chosen: row, cursor: -1 });
  showChosen();
  showCursor();
  showNow();
  $("tip").hidden = true;
  if (row >= 0) {
    if (move) keepInSight(row);
    $("panel").scrollTop = 0;
    tell(`Chosen: ${nameOf(row)}`);
  }
  redraw();
}

function pick(rows) {
  state.picked = rows;
  showPicked();
  if (state.chosen >= 0) $("chosen-links").replaceChildren(...linksOf(state.chosen));
  say(rows.length ? `${rows.length} tracks selected` : "Nothing selected");
  redraw();
}

function togglePicked(row) {
  pick(state.picked.includes(row) ? state.picked.filter((other) => other !== row) : [...state.picked, row]);
}

function toggleLasso() {
  state.lasso = !state.lasso;
  $("lasso").setAttribute("aria-pressed", String(state.lasso));
  marks.classList.toggle("lasso", state.lasso);
  say(state.lasso ? "Lasso: draw around tracks" : "Lasso off");
}

function toggleKeys() {
  $("keys").hidden = !$("keys").hidden;
  $("help").setAttribute("aria-expanded", String(!$("keys").hidden));
}

function resize() {
  const { clientWidth: width, clientHeight: height } = $("stage");
  if (!width || !height) return;
  for (const canvas of [$("points"), marks]) {
    canvas.width = Math.round(width * pixelRatio());
    canvas.height = Math.round(height * pixelRatio());
  }
  const { open, offsetLeft, offsetWidth } = $("legend");
  resizeView(width, height, open && offsetWidth < 0.4 * width ? offsetLeft + offsetWidth : 0);
  if (points) drawNow();
}

function options(select, names, act) {
  select.replaceChildren(...names.map((name, k) => Object.assign(makeElement("option", name), { value: k })));
  select.addEventListener("change", () => act(Number(select.value)));
}

function listen() {
  options($("field"), music.fields.map((field) => field.name), (k) => colourBy(music.fields[k]));
  options($("layout"), music.layouts.map((layout) => layout.name), (k) => layOutBy(music.layouts[k]));
  $("in").addEventListener("click", () => zoomBy(1.6));
  $("out").addEventListener("click", () => zoomBy(1 / 1.6));
  $("fit").addEventListener("click", KEYS[0]);
  $("lasso").addEventListener("click", toggleLasso);
  $("help").addEventListener("click", toggleKeys);
  $("save").addEventListener("click", () => save(state.picked, "selection.m3u8"));
  $("drop").addEventListener("click", () => pick([]));
  $("save-list").addEventListener("click", () => save(state.list, "playlist.m3u8"));
  $("drop-list").addEventListener("click", () => {
    state.list = [];
    showPath();
    redraw();
  });
  dark.addEventListener("change", () => {
    state.looks = looksBy(state.field);
    showLegend();
    recolour();
  });
  $("points").addEventListener("webglcontextlost", (event) => event.preventDefault());
  $("points").addEventListener("webglcontextrestored", () => {
    points.again();
    placeAt(state.xy);
    recolour();
  });
  const sizes = new ResizeObserver(resize);
  for (const name of ["stage", "legend"]) sizes.observe($(name));
}

function begin(plain) {
  takeMap(plain);
  $("wait").hidden = true;
  // A phone shows little beside the legend: it begins closed there.
  $("legend").open = !matchMedia("(max-width: 46rem)").matches;
  points = pointsByGl($("points")) ?? pointsBy2d($("points"));
  listen();
  state.list = music.playlist;
  state.layout = music.layouts[0];
  state.xy = state.layout.xy;
  measure(state.xy);
  points.places(state.xy);
  colourBy(music.fields[0]);
  resize();
  fitView();
  showChosen();
  showPath("Playlist");
  $("notes").replaceChildren(...[`${music.n} tracks.`, ...music.notes].map((note) => makeElement("p", note)));
  // For tests and for the curious: where a row is drawn, by what, and drawing it at once.
  window.mirclrMap = { at: (row) => [screenX(state.xy[2 * row]), screenY(state.xy[2 * row + 1])], by: points.kind, drawNow, state };
  document.body.dataset.ready = "yes";
}

async function beginServed() {
  $("wait").hidden = false;
  try {
    const [about, plain] = await Promise.all([ask("/api/library"), ask("/api/map")]);
    begin({ ...plain, sound: about.sound_search });
  } catch (error) {
    $("wait").textContent = error.message;
  }
}

if (served) beginServed();
else begin(JSON.parse($("data").textContent));
