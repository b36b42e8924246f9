// Comfort only: j and k walk through the proofs, e jumps to the first one. Everything is on the page without it.
(() => {
  const cards = [...document.querySelectorAll(".card[id]")];
  let at = -1;
  const go = (i) => { if (cards[i]) { at = i; cards[i].scrollIntoView({ behavior: "smooth" }); history.replaceState(null, "", "#" + cards[i].id); } };
  addEventListener("keydown", (event) => {
    if (event.target.closest("input,textarea") || event.ctrlKey || event.metaKey || event.altKey) return;
    if (event.key === "j") go(Math.min(at + 1, cards.length - 1));
    if (event.key === "k") go(Math.max(at - 1, 0));
    if (event.key === "e") go(0);
  });
})();
