// Shows one section of the page at a time, handles keys, and loads the index.
"use strict";

(() => {
  const { gallery, viewer, details, items, scripts, make, onItems, loadIndex, renewIndex, errorsOf, live } = spectroMpi;
  const { copyButton } = spectroMpi.format;
  const element = (id) => document.getElementById(id);
  let current = "";
  let complete = false; // Whether the whole index is loaded

  function route(initial) {
    const hash = location.hash.slice(1) || "overview";
    const [path, parameters = ""] = hash.split(/\?(.*)/s);
    const [name, ...rest] = path.split("/");
    const sections = [...document.querySelectorAll("main > section")];
    const known = sections.some(({ id }) => id === name) ? name : "overview";
    for (const section of sections) section.hidden = section.id !== known;
    mark(known);
    if (known === "gallery") gallery.adopt(parameters);
    if (known === "item" && items.length) viewer.open(decoded(rest[0] || ""), decoded(rest[1] || ""), new URLSearchParams(parameters), complete);
    else document.title = `${known[0].toUpperCase()}${known.slice(1)} · ${document.querySelector(".brand a").textContent}`;
    if (known !== current) {
      // Keyboards and screen readers continue from here.
      if (!initial) element(`${known}-title`).focus({ preventScroll: true });
      requestAnimationFrame(() => window.scrollTo(0, 0));
    }
    current = known;
  }

  // Marks the section in the navigation.
  function mark(known) {
    for (const link of document.querySelectorAll("header nav a")) {
      const isCurrent = link.getAttribute("href") === `#${known === "item" ? "gallery" : known}`;
      if (isCurrent) link.setAttribute("aria-current", "page");
      else link.removeAttribute("aria-current");
    }
  }

  function decoded(text) {
    try {
      return decodeURIComponent(text);
    } catch {
      return text;
    }
  }

  function keys(event) {
    if (event.ctrlKey || event.metaKey || event.altKey || event.target.closest("input, select, textarea")) {
      if (event.key === "Escape") event.target.blur();
      return;
    }
    let done = false;
    if (event.key === "/") {
      if (current !== "gallery") location.hash = gallery.address();
      setTimeout(() => element("query").focus());
      done = true;
    } else if (event.key === "g") {
      location.hash = gallery.address();
      done = true;
    } else if (event.key === "?" && current === "item") {
      element("help").click();
      done = true;
    } else if (current === "item") done = viewer.key(event.key);
    else if (current === "gallery") {
      const by = { ArrowLeft: -1, p: -1, ArrowRight: 1, n: 1 }[event.key];
      if (by) gallery.turn(by);
      done = Boolean(by);
    }
    if (done) event.preventDefault();
  }

  // Shows a few thumbnails of the whole run on the overview.
  function taste() {
    const drawn = items.filter(({ sheet, figures }) => sheet && figures.length);
    const some = [0, 1, 2, 3, 4, 5].map((i) => drawn[Math.floor((i * drawn.length) / 6)]);
    const shown = [...new Set(some.filter(Boolean))];
    element("taste").replaceChildren(...shown.map((item) => {
      const link = gallery.thumbnail(item, item.figures[0]);
      link.lastChild.textContent = `${item.id} · ${link.lastChild.textContent}`;
      return link;
    }));
    element("taste").hidden = !shown.length;
  }

  // Adds 200 more failures of a reason to its table; loads them chunk by chunk.
  async function more(button) {
    const group = button.closest("details");
    const { reason } = group.dataset;
    const shown = Number(button.dataset.shown);
    const rows = [];
    let passed = 0;
    for (let chunk = 0; chunk < scripts.chunks.length && rows.length < 201; chunk += 1) {
      for (const [id, failures] of Object.entries(await errorsOf(chunk))) {
        for (const failure of failures) {
          if (failure[2] === reason) {
            passed += 1;
            if (passed > shown && rows.length < 201) rows.push([id, ...failure]);
          }
        }
      }
    }
    group.querySelector("tbody").append(...rows.slice(0, 200).map((row) => details.failureRow(row, true)));
    button.dataset.shown = String(shown + Math.min(rows.length, 200));
    if (rows.length <= 200) button.parentElement.remove();
    else button.nextElementSibling.textContent = `${button.dataset.shown} shown`;
  }

  gallery.start();
  viewer.start();
  element("gallerylink").append(copyButton("copy link", () => location.href));
  let first = true;
  onItems((last) => {
    const waiting = current === "item" && !complete && (last || first);
    const newer = complete;
    complete = last;
    gallery.grown(last);
    if (first || element("taste").hidden) taste();
    first = false;
    if (waiting) route(true);
    else if (newer && current === "item") viewer.renew();
  });

  // A newer page is there, of a run that is going on.
  async function renew(newer, logs) {
    mark(current);
    await renewIndex(newer, logs);
  }

  addEventListener("hashchange", () => route(false));
  addEventListener("keydown", keys);
  addEventListener("click", ({ target }) => { if (target.matches("button.more")) more(target); });
  document.documentElement.classList.add("scripted");
  route(true);
  loadIndex().then(() => live.follow(renew)).catch((error) => {
    element("found").textContent = String(error.message);
    document.getElementById("overview").prepend(make("p", { class: "callout" }, `The index of items cannot be loaded: ${error.message}`));
  });
})();
