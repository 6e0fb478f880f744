// One player for the page. A file that the browser cannot play is asked for as an excerpt, where there is a server.
const audio = $("audio");
let playing = -1;

function play(row) {
  if (row < 0) return;
  if (row === playing && !audio.paused) {
    audio.pause();
    return;
  }
  if (row !== playing) {
    playing = row;
    audio.dataset.excerpt = "no";
    audio.src = soundOf(row);
    audio.hidden = false;
    audio.setAttribute("aria-label", `Player: ${nameOf(row)}`);
  }
  start();
  showNow();
}

// What is heard, where it is not the track that the panel shows.
function showNow() {
  $("now").textContent = playing < 0 || playing === state.chosen ? "" : `Playing ${nameOf(playing)}`;
}

// A browser may refuse to begin without a click, and a newer call stops an older one: neither is an error of the file.
function start() {
  audio.play().catch((error) => {
    if (error.name === "NotAllowedError") say("Press play: this browser waits for it.");
  });
}

audio.addEventListener("error", () => {
  if (playing < 0) return;
  if (served && audio.dataset.excerpt === "no") {
    audio.dataset.excerpt = "yes";
    audio.src = `/api/tracks/${music.ids[playing]}/preview`;
    start();
    return;
  }
  say(`${nameOf(playing)}: this browser cannot play the file, or it is not there any more.`);
});
audio.addEventListener("playing", () => tell(`Playing ${nameOf(playing)}`));
