// Pointers and keys on the map.
const pointers = new Map();
const REACH = { mouse: 8, pen: 10, touch: 20 };
let moved = false;

const spotOf = (event) => {
  const box = $("marks").getBoundingClientRect();
  return [event.clientX - box.left, event.clientY - box.top];
};

function nearestRow([px, py], reach) {
  let best = -1;
  let least = (radiusNow() + reach) ** 2;
  for (let row = 0; row < music.n; row += 1) {
    if (!shown(row)) continue;
    const away = (screenX(state.xy[2 * row]) - px) ** 2 + (screenY(state.xy[2 * row + 1]) - py) ** 2;
    if (away < least) [best, least] = [row, away];
  }
  return best;
}

function hover(row, spot) {
  if (row === state.hover) return;
  state.hover = row;
  $("marks").classList.toggle("over", row >= 0);
  showTip(row, spot);
  redraw();
}

function showTip(row, [px, py]) {
  const tip = $("tip");
  tip.hidden = row < 0;
  if (row < 0) return;
  const lines = music.fields.filter((field) => field.name !== "artist").map((field) => [field.name, shownValue(field, row)]);
  const tags = lines.filter(([, value]) => value !== null).map(([name, value]) => makeElement("span", `${name}: ${value}`));
  tip.replaceChildren(makeElement("strong", titleOf(row)), makeElement("span", artistOf(row)), ...tags);
  const { offsetWidth: width, offsetHeight: height } = tip;
  tip.style.left = `${Math.max(8, px + 16 + width > view.width ? px - width - 16 : px + 16)}px`;
  tip.style.top = `${Math.max(8, Math.min(view.height - height - 8, py + 16))}px`;
}

function pinch(event) {
  const [[ax, ay], [bx, by]] = [...pointers.values()];
  const before = Math.hypot(ax - bx, ay - by);
  const middle = [(ax + bx) / 2, (ay + by) / 2];
  pointers.set(event.pointerId, spotOf(event));
  const [[cx, cy], [dx, dy]] = [...pointers.values()];
  panBy((cx + dx) / 2 - middle[0], (cy + dy) / 2 - middle[1]);
  zoomAt((cx + dx) / 2, (cy + dy) / 2, Math.hypot(cx - dx, cy - dy) / Math.max(1, before));
}

const marks = $("marks");
marks.addEventListener("pointerdown", (event) => {
  if (event.button !== 0 || pointers.size > 1) return;
  marks.setPointerCapture(event.pointerId);
  pointers.set(event.pointerId, spotOf(event));
  moved = false;
  state.loop = pointers.size === 1 && (state.lasso || event.shiftKey) ? [spotOf(event)] : [];
});
marks.addEventListener("pointermove", (event) => {
  const spot = spotOf(event);
  if (!pointers.has(event.pointerId)) {
    if (event.pointerType !== "touch") hover(nearestRow(spot, REACH.mouse), spot);
    return;
  }
  const [fx, fy] = pointers.get(event.pointerId);
  moved ||= Math.hypot(spot[0] - fx, spot[1] - fy) > (event.pointerType === "touch" ? 8 : 3);
  if (pointers.size === 2) pinch(event);
  else if (!moved) return;
  else if (state.loop.length) state.loop.push(spot);
  else {
    marks.classList.add("dragging");
    hover(-1, spot);
    panBy(spot[0] - fx, spot[1] - fy);
  }
  pointers.set(event.pointerId, spot);
  redraw();
});
function release(event) {
  if (!pointers.delete(event.pointerId)) return;
  marks.classList.remove("dragging");
  const loop = state.loop;
  state.loop = [];
  if (event.type === "pointerup" && moved && loop.length > 2) pick(rowsInside(loop, state.xy));
  else if (event.type === "pointerup" && !moved && !pointers.size) {
    const row = nearestRow(spotOf(event), REACH[event.pointerType] ?? REACH.mouse);
    if (row >= 0) {
      choose(row, false);
      play(row);
    }
  }
  moved ||= pointers.size > 0;
  redraw();
}
marks.addEventListener("pointerup", release);
marks.addEventListener("pointercancel", release);
marks.addEventListener("pointerleave", (event) => hover(-1, spotOf(event)));
marks.addEventListener("wheel", (event) => {
  event.preventDefault();
  zoomAt(...spotOf(event), Math.exp(-event.deltaY * (event.deltaMode ? 0.05 : 0.0018)));
  redraw();
}, { passive: false });

function zoomBy(factor) {
  zoomAt(view.width / 2, view.height / 2, factor);
  redraw();
}

// The neighbour that the arrow keys stand on; without a chosen track, the one in the middle becomes it.
function moveCursor(step) {
  if (state.chosen < 0) {
    const row = nearestRow([view.width / 2, view.height / 2], 1e6);
    if (row >= 0) choose(row, false);
    return;
  }
  const near = music.neighbours[state.chosen];
  state.cursor = state.cursor < 0 ? (step > 0 ? 0 : near.length - 1) : (state.cursor + step + near.length) % near.length;
  const row = near[state.cursor];
  showCursor();
  keepInSight(row);
  showTip(row, [screenX(state.xy[2 * row]), screenY(state.xy[2 * row + 1])]);
  tell(`Neighbour ${state.cursor + 1} of ${near.length}: ${nameOf(row)}`);
  redraw();
}

const standing = () => (state.cursor >= 0 ? music.neighbours[state.chosen][state.cursor] : state.chosen);

function goBack() {
  const before = state.past.pop();
  if (before !== undefined) choose(before, false, false);
}

function letGo() {
  if (!$("keys").hidden) toggleKeys();
  else if (state.loop.length) state.loop = [];
  else if (state.cursor >= 0) {
    state.cursor = -1;
    showCursor();
    $("tip").hidden = true;
  } else if (state.matches) clearSearch();
  else if (state.focus !== null) {
    state.focus = null;
    showLegend();
    recolour();
  } else if (state.chosen >= 0) choose(-1, false);
  else if (state.picked.length) pick([]);
  else fitView();
  redraw();
}

const KEYS = {
  ArrowRight: () => moveCursor(1),
  ArrowLeft: () => moveCursor(-1),
  ArrowUp: () => (state.cursor < 0 ? moveCursor(1) : choose(standing(), true)),
  ArrowDown: goBack,
  Enter: () => play(standing()),
  s: () => standing() >= 0 && togglePicked(standing()),
  l: () => toggleLasso(),
  "+": () => zoomBy(1.4),
  "=": () => zoomBy(1.4),
  "-": () => zoomBy(1 / 1.4),
  0: () => {
    fitView();
    redraw();
  },
};
marks.addEventListener("keydown", (event) => {
  const act = KEYS[event.key.length === 1 ? event.key.toLowerCase() : event.key];
  if (!act || event.ctrlKey || event.metaKey || event.altKey || !music.n) return;
  event.preventDefault();
  act();
});
document.addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey || event.target.matches("input, select")) return;
  if (event.key === "/") $("find").focus();
  else if (event.key === "?") toggleKeys();
  else if (event.key === "Escape") letGo();
  else return;
  event.preventDefault();
});
