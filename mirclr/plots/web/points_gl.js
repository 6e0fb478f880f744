// All points in one draw call of WebGL 2; shapes are distance functions, so that edges are smooth at every size.
const VERTEX = `#version 300 es
in vec2 place; in vec4 colour; in float shape;
uniform vec2 centre, reach; uniform float size;
out vec4 tint; flat out int kind;
void main() {
  gl_Position = vec4((place - centre) * reach, 0.0, 1.0);
  gl_PointSize = size;
  tint = colour; kind = int(shape + 0.5);
}`;
const FRAGMENT = `#version 300 es
precision highp float;
in vec4 tint; flat in int kind;
uniform float size; uniform vec3 ground;
out vec4 result;
float away(vec2 p) {
  vec2 q = abs(p);
  if (kind == 1) return max(q.x, q.y) - 0.82;
  if (kind == 2) return max(q.x * 0.866 + p.y * 0.5 - 0.56, -p.y - 0.62);
  if (kind == 3) return (q.x + q.y - 1.12) * 0.707;
  if (kind == 4) return max(q.x * 0.866 - p.y * 0.5 - 0.56, p.y - 0.62);
  if (kind == 5) return min(max(q.x - 1.0, q.y - 0.36), max(q.y - 1.0, q.x - 0.36));
  if (kind == 6) {
    vec2 r = abs(vec2(p.x + p.y, p.x - p.y)) * 0.707;
    return min(max(r.x - 1.0, r.y - 0.36), max(r.y - 1.0, r.x - 0.36));
  }
  return length(p) - 0.9;
}
void main() {
  float radius = size / 2.0 - 1.0;
  vec2 p = (gl_PointCoord * 2.0 - 1.0) * (size / 2.0) / radius;
  float d = away(vec2(p.x, -p.y)) * radius;
  float cover = clamp(0.5 - d, 0.0, 1.0) * tint.a;
  if (cover <= 0.0) discard;
  float rim = radius > 4.5 ? clamp(d + 1.6, 0.0, 1.0) * 0.65 : 0.0;
  result = vec4(mix(tint.rgb, ground, rim), cover);
}`;

// Where WebGL itself is drawn by the processor, the plain canvas is faster. Asked of a canvas that is thrown away: one
// that has given WebGL gives nothing else.
function hasCard() {
  const gl = document.createElement("canvas").getContext("webgl2");
  const told = gl?.getExtension("WEBGL_debug_renderer_info");
  const card = told ? gl.getParameter(told.UNMASKED_RENDERER_WEBGL) : "";
  gl?.getExtension("WEBGL_lose_context")?.loseContext();
  return gl !== null && !/swiftshader|llvmpipe|softpipe|software|basic render/i.test(card);
}

function pointsByGl(canvas) {
  const gl = hasCard() ? canvas.getContext("webgl2", { antialias: false, alpha: false }) : null;
  if (!gl) return null;
  let parts = null;

  function shader(kind, source) {
    const made = gl.createShader(kind);
    gl.shaderSource(made, source);
    gl.compileShader(made);
    if (!gl.getShaderParameter(made, gl.COMPILE_STATUS) && !gl.isContextLost()) throw new Error(gl.getShaderInfoLog(made));
    return made;
  }

  function prepare() {
    const program = gl.createProgram();
    gl.attachShader(program, shader(gl.VERTEX_SHADER, VERTEX));
    gl.attachShader(program, shader(gl.FRAGMENT_SHADER, FRAGMENT));
    gl.linkProgram(program);
    gl.useProgram(program);
    gl.enable(gl.BLEND);
    gl.blendFunc(gl.SRC_ALPHA, gl.ONE_MINUS_SRC_ALPHA);
    const uniform = (name) => gl.getUniformLocation(program, name);
    parts = { places: gl.createBuffer(), colours: gl.createBuffer(), shapes: gl.createBuffer(), order: gl.createBuffer() };
    parts.at = Object.fromEntries(["centre", "reach", "size", "ground"].map((name) => [name, uniform(name)]));
    const attribute = (name, buffer, count, type, normal) => {
      const place = gl.getAttribLocation(program, name);
      gl.bindBuffer(gl.ARRAY_BUFFER, buffer);
      gl.enableVertexAttribArray(place);
      gl.vertexAttribPointer(place, count, type, normal, 0, 0);
    };
    attribute("place", parts.places, 2, gl.FLOAT, false);
    attribute("colour", parts.colours, 4, gl.UNSIGNED_BYTE, true);
    attribute("shape", parts.shapes, 1, gl.UNSIGNED_BYTE, false);
    gl.bindBuffer(gl.ELEMENT_ARRAY_BUFFER, parts.order);
  }

  function fill(buffer, values, kind = gl.ARRAY_BUFFER) {
    gl.bindBuffer(kind, buffer);
    gl.bufferData(kind, values, gl.DYNAMIC_DRAW);
  }

  prepare();
  return {
    kind: "WebGL",
    again: prepare,
    places: (xy) => fill(parts.places, xy),
    looks: (rgba, shapes, order) => {
      fill(parts.colours, rgba);
      fill(parts.shapes, shapes);
      fill(parts.order, order, gl.ELEMENT_ARRAY_BUFFER);
    },
    draw: (radius) => {
      const ratio = pixelRatio();
      const ground = groundOf().map((value) => value / 255);
      gl.viewport(0, 0, canvas.width, canvas.height);
      gl.clearColor(...ground, 1);
      gl.clear(gl.COLOR_BUFFER_BIT);
      gl.uniform2f(parts.at.centre, view.x, view.y);
      gl.uniform2f(parts.at.reach, (2 * view.scale) / view.width, (2 * view.scale) / view.height);
      gl.uniform1f(parts.at.size, 2 * radius * ratio + 2);
      gl.uniform3f(parts.at.ground, ...ground);
      gl.drawElements(gl.POINTS, music.n, gl.UNSIGNED_INT, 0);
    },
  };
}
