// The live list: rows that the server renders come in at the top, a bounded number
// stays. And on a message's own page a field, its bit and its bytes belong together.

const keep = 300;
const list = document.querySelector("[data-messages]");

if (list) {
  const state = document.getElementById("stream-state");
  const pause = document.getElementById("stream-pause");
  const missedLine = document.getElementById("stream-missed");
  let source = null;
  let missed = 0;

  const open = () => {
    if (source) return;
    source = new EventSource(list.dataset.messages);
    source.addEventListener("hello", () => (state.textContent = "live"));
    source.addEventListener("error", () => (state.textContent = "reconnecting"));
    source.addEventListener("missed", (event) => {
      missed += Number(event.data);
      missedLine.textContent = `${missed} more passed than can be shown.`;
      missedLine.hidden = false;
    });
    source.addEventListener("messages", (event) => {
      document.getElementById("messages-empty")?.remove();
      const rows = document.createElement("tbody");
      rows.innerHTML = event.data;
      for (const row of [...rows.rows]) list.prepend(row);
      while (list.rows.length > keep) list.lastElementChild.remove();
    });
  };
  const close = (word) => {
    source?.close();
    source = null;
    state.textContent = word;
  };
  let wanted = true;
  pause.hidden = false;
  pause.addEventListener("click", () => {
    wanted = !wanted;
    pause.textContent = wanted ? "Pause" : "Go on";
    if (wanted) open();
    else close("paused");
  });
  document.addEventListener("visibilitychange", () => {
    if (document.hidden) close("");
    else if (wanted) open();
  });
  addEventListener("pagehide", () => close(""));
  addEventListener("pageshow", () => wanted && open());
  if (!document.hidden) open();
}

for (const message of document.querySelectorAll("[data-message]")) {
  const mark = (field) => {
    for (const part of message.querySelectorAll("[data-field]")) part.toggleAttribute("data-current", part.dataset.field === field);
  };
  const over = (event) => {
    const part = event.target.closest("[data-field]");
    if (part) mark(part.dataset.field);
  };
  message.addEventListener("pointerover", over);
  message.addEventListener("focusin", over);
  message.addEventListener("click", over);
}
