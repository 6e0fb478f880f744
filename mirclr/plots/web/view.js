// From the plane (-1..1, up is positive) to pixels of the page, and back. `left`: pixels there that the legend takes.
const view = { width: 1, height: 1, left: 0, x: 0, y: 0, scale: 1, fitted: 1, wide: 2, high: 2 };
const CLOSEST = 400;
const MARGIN = 28;

const fitting = () =>
  Math.max(20, Math.min((view.width - view.left - 2 * MARGIN) / view.wide, (view.height - 2 * MARGIN) / view.high));

// How wide and high the points lie around the middle.
function measure(xy) {
  Object.assign(view, { wide: 0.02, high: 0.02 });
  for (let k = 0; k < xy.length; k += 2) {
    view.wide = Math.max(view.wide, 2 * Math.abs(xy[k]));
    view.high = Math.max(view.high, 2 * Math.abs(xy[k + 1]));
  }
}

function fitView() {
  view.fitted = fitting();
  Object.assign(view, { x: -view.left / 2 / view.fitted, y: 0, scale: view.fitted });
}

function resizeView(width, height, left) {
  const [zoom, home] = [view.scale / view.fitted, view.left / 2 / view.fitted];
  Object.assign(view, { width, height, left });
  view.fitted = fitting();
  view.scale = view.fitted * zoom;
  if (zoom === 1) view.x += home - left / 2 / view.fitted; // who has zoomed in keeps the middle of what is seen
}

const screenX = (x) => view.width / 2 + (x - view.x) * view.scale;
const screenY = (y) => view.height / 2 - (y - view.y) * view.scale;

function zoomAt(px, py, factor) {
  const scale = Math.min(view.fitted * CLOSEST, Math.max(view.fitted * 0.4, view.scale * factor));
  const x = view.x + (px - view.width / 2) / view.scale;
  const y = view.y - (py - view.height / 2) / view.scale;
  view.x = x - (px - view.width / 2) / scale;
  view.y = y + (py - view.height / 2) / scale;
  view.scale = scale;
}

function panBy(dx, dy) {
  view.x = Math.min(1.2, Math.max(-1.2, view.x - dx / view.scale));
  view.y = Math.min(1.2, Math.max(-1.2, view.y + dy / view.scale));
}

// Points grow while one zooms in, slower than the gaps between them.
function radiusNow() {
  const base = Math.min(5.5, Math.max(1.9, 26 / Math.pow(music.n, 0.27)));
  return Math.min(9, base * Math.pow(Math.max(1, view.scale / view.fitted), 0.3));
}

const pixelRatio = () => Math.min(3, window.devicePixelRatio || 1);
