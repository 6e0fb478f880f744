// Rows whose points lie inside a loop of pixels: the even-odd rule, after the loop's own box.
function rowsInside(loop, xy) {
  const xs = loop.map((point) => point[0]);
  const ys = loop.map((point) => point[1]);
  const box = [Math.min(...xs), Math.max(...xs), Math.min(...ys), Math.max(...ys)];
  const rows = [];
  for (let row = 0; row < music.n; row += 1) {
    const x = screenX(xy[2 * row]);
    const y = screenY(xy[2 * row + 1]);
    if (x >= box[0] && x <= box[1] && y >= box[2] && y <= box[3] && isInside(loop, x, y)) rows.push(row);
  }
  return rows;
}

function isInside(loop, x, y) {
  let inside = false;
  for (let k = 0, before = loop.length - 1; k < loop.length; before = k, k += 1) {
    const [ax, ay] = loop[k];
    const [bx, by] = loop[before];
    if (ay > y !== by > y && x < ((bx - ax) * (y - ay)) / (by - ay) + ax) inside = !inside;
  }
  return inside;
}
