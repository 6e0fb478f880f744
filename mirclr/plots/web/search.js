// Search as one types: names and tags here, sound by words on a server that has a joint space.
const SHOWN = 8; // in the list, without scrolling; the map shows all of them
const SOUNDS = 40;
const finding = { rows: [], at: -1, text: "" };

function closeFound() {
  $("found").hidden = true;
  $("find").setAttribute("aria-expanded", "false");
  $("find").removeAttribute("aria-activedescendant");
  finding.at = -1;
}

function clearSearch() {
  $("find").value = "";
  state.matches = null;
  closeFound();
  recolour();
}

function showFound(rows, said) {
  finding.rows = rows.slice(0, SHOWN);
  const items = finding.rows.map((row, k) => {
    const item = makeElement("li", titleOf(row));
    item.append(makeElement("small", artistOf(row)));
    Object.assign(item, { id: `found-${k}`, role: "option" });
    item.setAttribute("aria-selected", "false");
    item.addEventListener("pointerdown", (event) => {
      event.preventDefault();
      take(k);
    });
    return item;
  });
  const line = makeElement("li", said);
  line.role = "presentation";
  $("found").replaceChildren(line, ...items, ...soundItem());
  $("found").hidden = false;
  $("find").setAttribute("aria-expanded", "true");
  finding.at = -1;
}

// A last entry that asks the server what sounds like the words.
function soundItem() {
  if (!music.sound) return [];
  const item = makeElement("li", `What sounds like \u201c${finding.text}\u201d?`);
  Object.assign(item, { id: `found-${finding.rows.length}`, role: "option" });
  item.setAttribute("aria-selected", "false");
  item.addEventListener("pointerdown", (event) => {
    event.preventDefault();
    searchSound();
  });
  return [item];
}

function look() {
  finding.text = $("find").value.trim();
  if (!folded(finding.text)) {
    clearSearch();
    return;
  }
  const rows = findRows(finding.text, music.n);
  state.matches = new Set(rows);
  showFound(rows, rows.length ? `${rows.length} track${rows.length === 1 ? "" : "s"} on the map` : "Nothing has these words");
  recolour();
}

async function searchSound() {
  try {
    const found = await ask(`/api/search?by=sound&q=${encodeURIComponent(finding.text)}&limit=${SOUNDS}`);
    const rows = found.tracks.map((track) => music.rowOf.get(track.id)).filter((row) => row !== undefined);
    state.matches = new Set(rows);
    showFound(rows, ["Sounds like it, best first", ...found.notes].join("; "));
    recolour();
  } catch (error) {
    say(error.message);
  }
}

function take(k) {
  if (k === finding.rows.length && music.sound) {
    searchSound();
    return;
  }
  const row = finding.rows[k];
  closeFound();
  if (row === undefined) return;
  choose(row, true);
  $("marks").focus();
}

function moveFound(step) {
  const options = [...$("found").querySelectorAll('[role="option"]')];
  if ($("found").hidden || !options.length) return;
  finding.at = (finding.at + step + options.length) % options.length;
  options.forEach((item, k) => item.setAttribute("aria-selected", String(k === finding.at)));
  $("find").setAttribute("aria-activedescendant", `found-${finding.at}`);
  options[finding.at].scrollIntoView({ block: "nearest" });
}

$("find").addEventListener("input", look);
$("find").addEventListener("focus", () => $("find").value && $("found").hidden && look());
$("find").addEventListener("blur", closeFound);
$("find").addEventListener("keydown", (event) => {
  if (event.key === "ArrowDown" || event.key === "ArrowUp") moveFound(event.key === "ArrowDown" ? 1 : finding.at < 0 ? 0 : -1);
  else if (event.key === "Enter") take(Math.max(0, finding.at));
  else if (event.key === "Escape") {
    clearSearch();
    $("marks").focus();
  } else return;
  event.preventDefault();
  event.stopPropagation();
});
