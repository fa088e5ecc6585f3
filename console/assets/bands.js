// The slider over the times at which a cancel would be this or that. The table
// below it has every answer; here one of them is said for the chosen instant.

const words = { VOID: "a void: the money never leaves", REFUND: "a refund: the money goes back", REVIEW: "a refund that a person decides", DECLINE: "declined" };

for (const part of document.querySelectorAll("[data-bands]")) {
  const label = part.querySelector(".slider");
  const slider = label.querySelector("input");
  const output = part.querySelector("output");
  const from = Date.parse(part.dataset.from);
  const bands = [...part.querySelectorAll("tr[data-from]")].map((row) => ({ row, at: Date.parse(row.dataset.from), ...row.dataset }));
  const local = new Intl.DateTimeFormat("en-GB", { dateStyle: "medium", timeStyle: "short", timeZone: part.dataset.zone });

  const show = () => {
    const at = from + slider.valueAsNumber * 60_000;
    const band = bands.findLast((one) => one.at <= at) ?? bands[0];
    const text = `At ${new Date(at).toISOString().slice(0, 16).replace("T", " ")} UTC (${local.format(at)} ${part.dataset.zone}) it is ${words[band.verdict]}, by rule ${band.rule}.`;
    output.textContent = text;
    slider.setAttribute("aria-valuetext", text);
    for (const one of bands) one.row.toggleAttribute("data-current", one === band);
  };
  label.hidden = false;
  output.hidden = false;
  slider.addEventListener("input", show);
  show();
}
