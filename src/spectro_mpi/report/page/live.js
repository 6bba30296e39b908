// Follows a run that is going on, where `spectro-mpi serve` gives the page: its state is asked for
// every few seconds, and parts of the page that have changed are replaced, without a reload.
"use strict";

spectroMpi.live = (() => {
  const { make } = spectroMpi;
  const { source } = document.body.dataset; // Address of the state; none: the page is not served
  const SECONDS = 3;
  const KEPT = ["gallery", "item"]; // They follow the index.
  let version = document.body.dataset.version;

  async function fetched(address) {
    const answer = await fetch(address, { cache: "no-store" });
    if (!answer.ok) throw new Error(`${address}: ${answer.status}`);
    return answer;
  }

  // The state of the run, and how far each phase is.
  function showState({ state, items, phases, now }) {
    const badge = document.querySelector(".brand .state");
    badge.textContent = state;
    badge.className = `state ${state}`;
    for (const part of ["done", "total", "failed", "left"]) {
      const place = document.querySelector(`.lead .${part}`);
      place.textContent = spectroMpi.format.count(items[part]);
      const some = place.closest(".some");
      if (some) some.hidden = !items[part];
    }
    for (const { phase, done, total, others } of phases) {
      const tile = document.querySelector(`.tile[data-phase="${CSS.escape(phase)}"]`);
      if (!tile) continue;
      tile.querySelector(".done").textContent = spectroMpi.format.count(done);
      tile.querySelector(".total").textContent = spectroMpi.format.count(total);
      tile.querySelector(".others").textContent = others;
      Object.assign(tile.querySelector("progress"), { max: Math.max(total, 1), value: done });
    }
    const line = document.getElementById("now");
    line.textContent = now;
    line.hidden = !now;
  }

  // Replaces the parts of the page that a newer one has in another form, and loads its index.
  async function update(again) {
    const text = await (await fetched("index.html")).text();
    const page = new DOMParser().parseFromString(text, "text/html");
    const taste = document.getElementById("taste");
    for (const next of page.querySelectorAll("main > section")) if (!KEPT.includes(next.id)) replace(next);
    document.getElementById("taste").replaceWith(taste);
    document.querySelector("header nav").replaceWith(page.querySelector("header nav"));
    document.querySelector("footer").replaceWith(page.querySelector("footer"));
    Object.assign(spectroMpi.config, JSON.parse(page.getElementById("config").textContent));
    await again(JSON.parse(page.getElementById("scripts").textContent), JSON.parse(page.getElementById("logs").textContent));
    version = page.body.dataset.version;
  }

  // Replaces the content of a section; one that was not there comes before the settings.
  function replace(next) {
    const now = document.getElementById(next.id);
    if (!now) {
      next.hidden = true;
      document.getElementById("settings").before(next);
    } else if (now.innerHTML !== next.innerHTML && !isBeingRead(now)) {
      const open = [...now.querySelectorAll("details[open]")].map(({ dataset }) => dataset.reason);
      now.replaceChildren(...next.childNodes);
      for (const group of now.querySelectorAll("details")) group.open ||= open.includes(group.dataset.reason);
    }
  }

  // Whether the focus is in a part of the page, beside its title: it would be lost.
  const isBeingRead = (section) => section.contains(document.activeElement) && !document.activeElement.matches("h1");

  // `again(scripts, logs)` is called when there is a newer index.
  async function follow(again) {
    if (!source) return;
    for (;;) {
      try {
        const told = await (await fetched(source)).json();
        if (told.version !== version) await update(again);
        showState(told);
        lost(false);
      } catch {
        lost(true);
      }
      await new Promise((resolve) => setTimeout(resolve, 1000 * SECONDS));
    }
  }

  // Says that the server does not answer, until it does.
  function lost(isLost) {
    const words = document.getElementById("lost");
    if (isLost && !words) document.querySelector(".brand").append(make("span", { id: "lost", class: "count", role: "status" }, "spectro-mpi serve does not answer"));
    else if (!isLost) words?.remove();
  }

  return { follow };
})();
