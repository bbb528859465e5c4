(() => {
  "use strict";
  const page = document.body, search = document.getElementById("search"), status = document.getElementById("status");
  const numbers = document.getElementById("numbers"), cards = [...document.querySelectorAll(".card")];
  const found = cards.map((card) => [...card.querySelectorAll(".t")].map((token) => token.textContent).join("\n"));
  const tokens = found.map((text) => text.toLowerCase());
  const number = (card) => card.id.slice("feature-".length);
  const shown = () => cards.filter((card) => !card.hidden);

  const filter = () => {
    const words = search.value.toLowerCase().split(/\s+/).filter(Boolean).map((word) => word.replace(/^#(?=\d+$)/, ""));
    cards.forEach((card, place) => {
      card.hidden = !words.every((word) => word === number(card) || tokens[place].includes(word));
    });
    status.textContent = `${shown().length} of ${cards.length} features`;
  };
  const go = (card) => {
    if (!card) return;
    card.scrollIntoView({ block: "start" });
    card.focus({ preventScroll: true });
  };
  const current = () => shown().indexOf(document.activeElement.closest(".card"));
  const exact = () => shown().find((card) => number(card) === search.value.trim().replace(/^#/, ""));
  const toAnchor = () => {
    const card = cards.find((one) => `#${one.id}` === location.hash);
    if (card && card.hidden) { search.value = ""; filter(); }
    go(card);
  };
  const keys = {
    "/": () => { search.focus(); search.select(); },
    j: () => go(shown()[current() + 1]),
    k: () => go(shown()[Math.max(current() - 1, 0)]),
    n: () => { numbers.checked = !numbers.checked; page.classList.toggle("numbers", numbers.checked); },
  };
  document.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    if (event.target === search) {
      if (event.key === "Enter") go(exact() || shown()[0]);
      if (event.key === "Escape") { search.value = ""; filter(); search.blur(); }
    } else if (Object.hasOwn(keys, event.key)) {
      event.preventDefault();
      keys[event.key]();
    }
  });
  search.addEventListener("input", filter);
  numbers.addEventListener("change", () => page.classList.toggle("numbers", numbers.checked));
  addEventListener("hashchange", toAnchor);
  filter();
  if (location.hash) toAnchor();
})();
