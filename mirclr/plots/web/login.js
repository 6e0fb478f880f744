"use strict";
// The token may come in the fragment of a link, which browsers send to nobody; it is taken out of the address at once.
(() => {
  const field = document.getElementById("token");
  const status = document.getElementById("status");
  async function send(token) {
    status.textContent = "";
    const answer = await fetch("/login", {
      method: "POST",
      headers: { "Content-Type": "application/json" },
      body: JSON.stringify({ token }),
    });
    if (answer.ok) {
      location.replace("/");
    } else {
      status.textContent = answer.status === 401 ? "That is not the token." : `The server said ${answer.status}.`;
      field.select();
    }
  }
  document.getElementById("login").addEventListener("submit", (event) => {
    event.preventDefault();
    send(field.value);
  });
  const given = decodeURIComponent(location.hash.slice(1));
  if (given) {
    history.replaceState(null, "", location.pathname);
    send(given);
  }
})();
