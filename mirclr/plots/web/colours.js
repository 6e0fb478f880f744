// Colours that colour-blind readers tell apart (Okabe and Ito, 2008), each with a shape; numbers in viridis. On a dark
// ground yellow takes the place of black. The ends of viridis that drown in the ground are left out.
const dark = matchMedia("(prefers-color-scheme: dark)");
const WORDS = ["0072B2", "E69F00", "009E73", "CC79A7", "56B4E9", "D55E00"];
const VIRIDIS = ["440154", "482475", "414487", "355F8D", "2A788E", "21918C", "22A884", "44BF70", "7AD151", "BDDF26", "FDE725"];
const COLOURED = 14;
const SHAPES = 7;

const rgb = (hex) => [0, 2, 4].map((at) => parseInt(hex.slice(at, at + 2), 16));
const palette = () => [...WORDS, dark.matches ? "F0E442" : "000000"].map(rgb);
const greyOf = () => (dark.matches ? [108, 114, 126] : [160, 160, 156]);
const groundOf = () => (dark.matches ? [20, 22, 27] : [246, 245, 242]);
const inkOf = () => (dark.matches ? "#e9e9ec" : "#1b1d22");
const accentOf = () => (dark.matches ? "#7cc4f2" : "#005a93");

function viridis(share) {
  const [low, high] = dark.matches ? [0.22, 1] : [0, 0.9];
  const at = (low + (high - low) * Math.min(1, Math.max(0, share))) * (VIRIDIS.length - 1);
  const left = rgb(VIRIDIS[Math.min(Math.floor(at), VIRIDIS.length - 2)]);
  const right = rgb(VIRIDIS[Math.min(Math.floor(at) + 1, VIRIDIS.length - 1)]);
  const part = at - Math.min(Math.floor(at), VIRIDIS.length - 2);
  return left.map((value, k) => Math.round(value + (right[k] - value) * part));
}

// From the second round of colours on another shape each, so that no two values look alike.
const lookOfCode = (code) => ({ colour: palette()[code % SHAPES], shape: (code + Math.floor(code / SHAPES)) % SHAPES });

// Between the 2nd and the 98th percentile, so that one odd value does not grey the rest.
function rangeOf(field) {
  const known = field.values.filter((value) => value !== null).sort((a, b) => a - b);
  const at = (share) => known[Math.round(share * (known.length - 1))];
  return { low: at(0.02), high: at(0.98), cut: at(0.02) > known[0] || at(0.98) < known.at(-1) };
}

// Colour and shape of every row by a field: `rgb` (3N) and `shapes` (N).
function looksBy(field) {
  const out = { rgb: new Uint8Array(3 * music.n), shapes: new Uint8Array(music.n) };
  const range = field.kind === "number" ? rangeOf(field) : null;
  const codes = range ? null : Array.from({ length: Math.min(COLOURED, field.names.length) }, (_, code) => lookOfCode(code));
  const grey = greyOf();
  for (let row = 0; row < music.n; row += 1) {
    const value = range ? field.values[row] : field.codes[row];
    const known = range ? value !== null : value >= 0 && value < COLOURED;
    const share = range && range.high > range.low ? (value - range.low) / (range.high - range.low) : 0.5;
    const look = !known ? { colour: grey, shape: 0 } : range ? { colour: viridis(share), shape: 0 } : codes[value];
    out.rgb.set(look.colour, 3 * row);
    out.shapes[row] = look.shape;
  }
  return out;
}
