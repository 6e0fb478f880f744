// What is drawn above the points: the chosen track and its neighbours, the playlist's path, the lasso.
function drawMarks(context, state) {
  const ratio = pixelRatio();
  const radius = radiusNow();
  context.setTransform(ratio, 0, 0, ratio, 0, 0);
  context.clearRect(0, 0, view.width, view.height);
  context.lineJoin = context.lineCap = "round";
  const at = (row) => [screenX(state.xy[2 * row]), screenY(state.xy[2 * row + 1])];
  const ring = (row, r, width, colour) => {
    context.beginPath();
    context.arc(...at(row), r, 0, 7);
    context.lineWidth = width;
    context.strokeStyle = colour;
    context.stroke();
  };
  const line = (points, width, colour, closed = false) => {
    context.beginPath();
    points.forEach(([x, y], k) => (k ? context.lineTo(x, y) : context.moveTo(x, y)));
    if (closed) context.closePath();
    context.lineWidth = width;
    context.strokeStyle = colour;
    context.stroke();
  };
  const own = (row) => {
    context.save();
    context.translate(...at(row));
    drawShape(context, state.looks.shapes[row], radius + 1, `rgb(${state.looks.rgb.subarray(3 * row, 3 * row + 3).join(",")})`);
    context.restore();
  };
  const ink = inkOf();
  const accent = accentOf();
  const ground = `rgb(${groundOf().join(",")})`;

  if (state.list.length) {
    const points = state.list.map(at);
    line(points, 5, ground);
    line(points, 2, ink);
    state.list.forEach((row, k) => {
      own(row);
      ring(row, radius + 2.5, 1.5, ink);
      if (state.list.length <= 60) number(context, at(row), k + 1, radius, ink, ground);
    });
  }
  for (const row of state.picked) ring(row, radius + 2, 1.5, ink);
  if (state.chosen >= 0) {
    const near = music.neighbours[state.chosen];
    context.globalAlpha = 0.55;
    for (const row of near) line([at(state.chosen), at(row)], 1.25, accent);
    context.globalAlpha = 1;
    for (const row of near) {
      own(row);
      ring(row, radius + 3, 1.75, accent);
    }
    own(state.chosen);
    ring(state.chosen, radius + 5, 3.5, ground);
    ring(state.chosen, radius + 5, 2.5, ink);
    if (state.cursor >= 0) {
      ring(near[state.cursor], radius + 7, 5, ground);
      ring(near[state.cursor], radius + 7, 3, accent);
    }
  }
  if (state.hover >= 0) {
    own(state.hover);
    ring(state.hover, radius + 3, 2, ink);
  }
  if (state.loop.length > 1) {
    context.fillStyle = accent;
    context.globalAlpha = 0.12;
    line(state.loop, 2, accent, true);
    context.fill();
    context.globalAlpha = 1;
    context.setLineDash([6, 5]);
    line(state.loop, 2, accent, true);
    context.setLineDash([]);
  }
}

function number(context, [x, y], text, radius, ink, ground) {
  context.font = "600 11px system-ui, sans-serif";
  context.textAlign = "left";
  context.lineWidth = 3;
  context.strokeStyle = ground;
  context.fillStyle = ink;
  context.strokeText(text, x + radius + 4, y - radius - 1);
  context.fillText(text, x + radius + 4, y - radius - 1);
}
