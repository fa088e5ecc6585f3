// What every page has beside its HTML: the slash key leads to the search field,
// the clock goes on, and parts that the server streams are kept fresh.

import "./bands.js";
import "./builder.js";
import "./messages.js";

const field = document.getElementById("find");

document.addEventListener("keydown", (event) => {
  if (event.key !== "/" || event.ctrlKey || event.metaKey || event.altKey) return;
  const at = event.target;
  if (at instanceof HTMLElement && (at.isContentEditable || /^(INPUT|SELECT|TEXTAREA)$/.test(at.tagName))) return;
  event.preventDefault();
  field?.focus();
  field?.select();
});

// The server's clock, which may be a moved one: only what has gone by since the
// page was made is taken from this machine.
const clock = document.querySelector("time[data-clock='real']");
if (clock) {
  const made = Date.parse(clock.dateTime);
  const loaded = performance.now();
  setInterval(() => {
    const now = new Date(made + performance.now() - loaded);
    clock.dateTime = now.toISOString();
    clock.textContent = now.toISOString().slice(0, 19).replace("T", " ");
  }, 1000);
}

// A part is replaced as a whole by what the server renders. Nobody reads a page
// that is hidden, and the server is told so.
for (const part of document.querySelectorAll("[data-stream]")) {
  let source = null;
  const open = () => {
    if (source) return;
    source = new EventSource(part.dataset.stream);
    source.addEventListener("live", (event) => {
      if (part.contains(document.activeElement)) return; // not under somebody's hands
      part.innerHTML = event.data;
    });
  };
  const close = () => {
    source?.close();
    source = null;
  };
  document.addEventListener("visibilitychange", () => (document.hidden ? close() : open()));
  addEventListener("pagehide", close);
  addEventListener("pageshow", open);
  if (!document.hidden) open();
}
