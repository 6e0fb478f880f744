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

// A small picture laid over a large one at (left, top), pixel by pixel: thousands of calls to the canvas cost more.
function stamp(large, small, left, top) {
  const [from, to] = [Math.max(0, -left), Math.min(small.width, large.width - left)];
  const bottom = Math.min(small.height, large.height - top);
  for (let y = Math.max(0, -top); y < bottom; y += 1) {
    let source = 4 * (y * small.width + from);
    let target = 4 * ((top + y) * large.width + left + from);
    for (let x = from; x < to; x += 1, source += 4, target += 4) {
      const cover = small.data[source + 3] / 255;
      if (cover === 0) continue;
      large.data[target] += (small.data[source] - large.data[target]) * cover;
      large.data[target + 1] += (small.data[source + 1] - large.data[target + 1]) * cover;
      large.data[target + 2] += (small.data[source + 2] - large.data[target + 2]) * cover;
    }
  }
}

function pointsBy2d(canvas) {
  const context = canvas.getContext("2d", { alpha: false, willReadFrequently: true });
  let xy = new Float32Array();
  let looks = { rgba: new Uint8Array(), shapes: new Uint8Array(), order: new Uint32Array() };
  let pictures = new Map();
  let drawn = 0;

  function picture(key, radius, row) {
    const made = document.createElement("canvas");
    made.width = made.height = Math.ceil(2.4 * radius) + 2;
    const pen = made.getContext("2d", { willReadFrequently: true });
    pen.translate(made.width / 2, made.height / 2);
    const [r, g, b, a] = looks.rgba.subarray(4 * row, 4 * row + 4);
    drawShape(pen, looks.shapes[row], radius, `rgba(${r},${g},${b},${a / 255})`);
    const pixels = pen.getImageData(0, 0, made.width, made.height);
    pictures.set(key, pixels);
    return pixels;
  }

  function ground() {
    const [r, g, b] = groundOf();
    const large = context.createImageData(canvas.width, canvas.height);
    new Uint32Array(large.data.buffer).fill(new Uint32Array(new Uint8Array([r, g, b, 255]).buffer)[0]);
    return large;
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
      if (radius * ratio !== drawn) pictures = new Map();
      drawn = radius * ratio;
      const large = ground();
      for (const row of looks.order) {
        const key = looks.words[row] * 8 + looks.shapes[row];
        const small = pictures.get(key) ?? picture(key, drawn, row);
        const left = Math.round(screenX(xy[2 * row]) * ratio - small.width / 2);
        const top = Math.round(screenY(xy[2 * row + 1]) * ratio - small.height / 2);
        stamp(large, small, left, top);
      }
      context.putImageData(large, 0, 0);
    },
  };
}
