// Comfort only: everything is on the page without it.
// j k: next and previous proof; e: the first one; /: only the proofs that contain a text; ?: these keys.
(() => {
  const all = () => [...document.querySelectorAll(".card[id]")].filter((card) => card.offsetParent !== null);
  let now = null;
  const go = (card) => {
    if (!card) return;
    now = card;
    card.scrollIntoView({ block: "start" });
    location.replace("#" + card.id);
  };
  const open = () => {
    let node = document.getElementById(decodeURIComponent(location.hash.slice(1)));
    if (!node) return;
    for (let up = node; up; up = up.parentElement) if (up.tagName === "DETAILS") up.open = true;
    node.scrollIntoView({ block: node.closest("svg") ? "center" : "start" });
  };
  const find = document.createElement("input");
  find.type = "search";
  find.className = "find";
  find.placeholder = "proofs that contain …";
  find.setAttribute("aria-label", find.placeholder);
  find.addEventListener("input", () => {
    const text = find.value.toLowerCase();
    for (const card of document.querySelectorAll(".card[id]")) {
      const shown = card.textContent.toLowerCase().includes(text);
      card.hidden = !shown;
      const fold = card.closest("details");
      if (fold && text && shown) fold.open = true;
    }
  });
  const keys = document.createElement("div");
  keys.className = "keys";
  keys.hidden = true;
  for (const [key, what] of [["j k", "next, previous proof"], ["e", "first proof"], ["/", "find in proofs"], ["?", "these keys"]]) {
    const line = document.createElement("div");
    const name = document.createElement("kbd");
    name.textContent = key;
    line.append(name, what);
    keys.append(line);
  }
  document.body.append(keys);
  addEventListener("hashchange", open);
  addEventListener("keydown", (event) => {
    if (event.key === "Escape") { keys.hidden = true; find.value = ""; find.dispatchEvent(new Event("input")); find.remove(); return; }
    if (event.target.closest("input,textarea") || event.ctrlKey || event.metaKey || event.altKey) return;
    const cards = all();
    const at = cards.indexOf(now);
    if (event.key === "j") go(cards[Math.min(at + 1, cards.length - 1)]);
    else if (event.key === "k") go(cards[Math.max(at - 1, 0)]);
    else if (event.key === "e") go(cards[0]);
    else if (event.key === "?") keys.hidden = !keys.hidden;
    else if (event.key === "/") { event.preventDefault(); document.querySelector("header.top").append(find); find.focus(); }
  });
  open();
})();
