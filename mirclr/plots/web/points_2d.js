// The same without WebGL: one small picture for every look, copied to where the points are.
function shapePath(context, shape, r) {
  const polygon = (points) => points.forEach(([x, y], k) => (k ? context.lineTo(x * r, y * r) : context.moveTo(x * r, y * r)));
  const plus = [[-0.36, -1], [0.36, -1], [0.36, -0.36], [1, -0.36], [1, 0.36], [0.36, 0.36], [0.36, 1], [-0.36, 1], [-0.36, 0.36], [-1, 0.36], [-1, -0.36], [-0.36, -0.36]];
  context.beginPath();
  if (shape === 0) context.arc(0, 0, 0.9 * r, 0, 7);
  else if (shape === 1) context.rect(-0.82 * r, -0.82 * r, 1.64 * r, 1.64 * r);
  else if (shape === 2) polygon([[0, -1.12], [1, 0.62], [-1, 0.62]]);
  else if (shape === 3) polygon([[0, -1.12], [1.12, 0], [0, 1.12], [-1.12, 0]]);
  else if (shape === 4) polygon([[0, 1.12], [1, -0.62], [-1, -0.62]]);
  else polygon(shape === 5 ? plus : plus.map(([x, y]) => [(x - y) * 0.707, (x + y) * 0.707]));
  context.closePath();
}

function drawShape(context, shape, r, colour) {
  shapePath(context, shape, r);
  context.fillStyle = colour;
  context.fill();
}

function pointsBy2d(canvas) {
  const context = canvas.getContext("2d", { alpha: false });
  let xy = new Float32Array();
  let looks = { rgba: new Uint8Array(), shapes: new Uint8Array(), order: new Uint32Array() };
  let pictures = new Map();
  let drawn = 0;

  function picture(key, radius, row) {
    const ratio = pixelRatio();
    const made = document.createElement("canvas");
    made.width = made.height = Math.ceil(2.4 * radius * ratio) + 2;
    const pen = made.getContext("2d");
    pen.translate(made.width / 2, made.height / 2);
    const [r, g, b, a] = looks.rgba.subarray(4 * row, 4 * row + 4);
    drawShape(pen, looks.shapes[row], radius * ratio, `rgba(${r},${g},${b},${a / 255})`);
    pictures.set(key, made);
    return made;
  }

  return {
    kind: "canvas",
    again: () => {},
    places: (places) => {
      xy = places;
    },
    looks: (rgba, shapes, order) => {
      looks = { rgba, shapes, order, words: new Uint32Array(rgba.buffer) };
      pictures = new Map();
    },
    draw: (radius) => {
      const ratio = pixelRatio();
      if (radius !== drawn) pictures = new Map();
      drawn = radius;
      context.fillStyle = `rgb(${groundOf().join(",")})`;
      context.fillRect(0, 0, canvas.width, canvas.height);
      for (const row of looks.order) {
        const x = screenX(xy[2 * row]) * ratio;
        const y = screenY(xy[2 * row + 1]) * ratio;
        if (x < -20 || y < -20 || x > canvas.width + 20 || y > canvas.height + 20) continue;
        const key = looks.words[row] * 8 + looks.shapes[row];
        const small = pictures.get(key) ?? picture(key, radius, row);
        context.drawImage(small, Math.round(x - small.width / 2), Math.round(y - small.height / 2));
      }
    },
  };
}
