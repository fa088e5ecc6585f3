// The message builder without loading the page anew, and copying of what it made.

const form = document.getElementById("builder");
const result = document.getElementById("builder-result");

const offerCopies = () => {
  if (!navigator.clipboard) return;
  for (const button of result.querySelectorAll("[data-copy]")) {
    button.hidden = false;
    button.addEventListener("click", async () => {
      await navigator.clipboard.writeText(button.parentElement.querySelector("pre").textContent);
      button.textContent = "Copied";
    });
  }
};

if (form) {
  const terminal = form.elements.namedItem("terminal");
  const card = form.elements.namedItem("card");
  // A card of another currency is a test of its own, but not the usual one: last in the list.
  const sortCards = () => {
    const currency = terminal.selectedOptions[0]?.dataset.currency;
    const fits = (option) => option.value === "" || option.dataset.currency === currency;
    const chosen = card.value;
    card.append(...[...card.options].sort((a, b) => fits(b) - fits(a)));
    card.value = chosen;
  };
  terminal.addEventListener("change", sortCards);
  sortCards();

  let under = false;
  form.addEventListener("submit", async (event) => {
    if (!event.submitter || under) return;
    event.preventDefault();
    under = true;
    result.setAttribute("aria-busy", "true");
    try {
      const answer = await fetch(form.action, { method: "POST", body: new URLSearchParams(new FormData(form, event.submitter)) });
      const page = new DOMParser().parseFromString(await answer.text(), "text/html");
      const fresh = page.getElementById("builder-result");
      if (!fresh) {
        form.requestSubmit(event.submitter); // an error has a page of its own
        return;
      }
      result.replaceChildren(...fresh.childNodes);
      form.elements.namedItem("hex").value = page.querySelector("#builder [name=hex]").value;
      document.getElementById("originals").replaceWith(page.getElementById("originals"));
      offerCopies();
    } finally {
      under = false;
      result.removeAttribute("aria-busy");
    }
  });
  offerCopies();
}
