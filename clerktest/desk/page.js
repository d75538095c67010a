// Puts what has changed into the page, and keeps the focus where it is.
"use strict";

const counts = () => ({
  mails: document.querySelectorAll(".mail").length,
  members: document.querySelectorAll("#people li:not(.small)").length,
});

let before = counts();

function say(now) {
  const mails = now.mails - before.mails;
  const members = now.members - before.members;
  const said = [];
  if (mails > 0) said.push(mails === 1 ? "An invitation has arrived." : mails + " invitations have arrived.");
  if (members > 0) said.push(members === 1 ? "Somebody has joined." : members + " people have joined.");
  if (said.length) document.getElementById("said").textContent = said.join(" ");
  before = now;
}

function show(changed) {
  const focused = document.activeElement;
  const id = focused && focused.id;
  for (const [section, html] of Object.entries(changed)) {
    const place = document.getElementById(section);
    const scrolled = place.querySelector(".scroll");
    const top = scrolled ? scrolled.scrollTop : 0;
    place.innerHTML = html; // made by the server's template, which escapes
    const scrolls = place.querySelector(".scroll");
    if (scrolls) scrolls.scrollTop = top;
  }
  if (focused && !focused.isConnected) {
    const again = (id && document.getElementById(id)) || document.getElementById("inbox-title");
    if (!again.matches("button, a")) again.tabIndex = -1;
    again.focus({ preventScroll: true });
  }
  say(counts());
}

new EventSource("events").onmessage = (event) => show(JSON.parse(event.data));

// Without a script the forms work too, and load the page again.
document.addEventListener("submit", async (event) => {
  event.preventDefault();
  const fields = new URLSearchParams(new FormData(event.target, event.submitter));
  const answer = await fetch("do", { method: "POST", body: fields, redirect: "manual" });
  if (answer.type !== "opaqueredirect" && !answer.ok) {
    document.getElementById("said").textContent = await answer.text();
  }
});
