// One item: its figures at full size, what they were made from, and the value under the pointer.
"use strict";

spectroMpi.viewer = (() => {
  const { make, gallery, values, itemHash, figureOf, byId, scripts, errorsOf, logLink, config } = spectroMpi;
  const element = (id) => document.getElementById(id);
  const ZOOMS = [1, 1.5, 2, 3, 4, 6];
  let item = null;
  let cell = 0; // Of the figure shown
  let both = false;
  let zoom = 0;
  let head = null;
  let asked = 0; // The latest reading of a value that was asked for

  const figure = () => item.figures.find((one) => one.cell === cell) || item.figures[0];
  const like = (one, limits) => item.figures.find((other) =>
    other.kind === one.kind && other.instrument === one.instrument && other.scales === one.scales && other.limits === limits);

  // Show an item; `wanted` is the cell of a figure, or empty: a figure like the one before.
  async function open(id, wanted, complete) {
    const before = item && item.figures.length ? figure() : null;
    const next = byId.get(id);
    const another = next !== item;
    item = next || null;
    head = another ? null : head;
    document.title = `${id} · ${document.querySelector(".brand a").textContent}`;
    element("item-title").textContent = next || !complete ? `${config.item} ${id}` : `There is no ${config.item.toLowerCase()} ${id}`;
    for (const name of ["figures", "failures", "metadata", "kinds", "limitsbar"]) if (another || !next) element(name).replaceChildren();
    element("previous").hidden = element("next").hidden = !next;
    element("back").href = gallery.address();
    if (!next) return;
    if (wanted !== "") {
      const [number, side] = wanted.split("+");
      cell = Number(number);
      both = side === "both";
    } else if (before) {
      cell = (item.figures.find((one) => one.kind === before.kind && one.instrument === before.instrument
        && one.scales === before.scales && one.limits === before.limits) || item.figures[0] || { cell: 0 }).cell;
    } else cell = item.figures.length ? item.figures[0].cell : 0;
    steps();
    show();
    if (another) {
      showFailures(item);
      await showMetadata(item);
    } else showMetadata(item);
  }

  function steps() {
    for (const [id, by] of [["previous", -1], ["next", 1]]) {
      const other = gallery.neighbour(item, by);
      element(id).hidden = !other;
      if (other) {
        element(id).href = itemHash(other);
        element(id).textContent = by < 0 ? `← ${other.id}` : `${other.id} →`;
      }
    }
  }

  const address = (number, side) => `${itemHash(item)}/${number}${side ? "+both" : ""}`;

  function tab(label, target, current) {
    return make("a", { href: target, "aria-current": current ? "true" : null }, label);
  }

  function show() {
    const one = figure();
    element("readout").textContent = one ? "Move the pointer over a panel to read its value." : `No figure was drawn of this ${config.item.toLowerCase()}.`;
    if (!one) {
      element("figures").replaceChildren();
      return;
    }
    const kinds = item.figures.filter(({ limits }) => limits === one.limits);
    element("kinds").replaceChildren(...kinds.map((other) => tab(gallery.kindOf(other), address(other.cell, both), other === one)));
    const limits = config.limits.map((name) => like(one, name)).filter(Boolean);
    element("limitsbar").replaceChildren(...limits.map((other) =>
      tab(gallery.LIMITS[other.limits] || other.limits, address(other.cell, false), !both && other === one)));
    if (limits.length > 1) element("limitsbar").append(tab("side by side", address(one.cell, true), both));
    const shown = both && limits.length > 1 ? limits : [one];
    element("figures").classList.toggle("both", shown.length > 1);
    element("figures").replaceChildren(...shown.map(frame));
    applyZoom();
  }

  function frame(one) {
    const source = figureOf(item, one);
    const image = make("img", { alt: describe(one), src: source, draggable: "false" });
    image.addEventListener("error", () => image.replaceWith(make("p", { class: "callout" }, "The figure cannot be read: ", source)));
    const scroller = make("div", { class: "scroller", tabindex: "0", role: "group", "aria-label": "Figure; scrolls when enlarged" }, image);
    image.addEventListener("pointermove", (event) => read(one, image, event));
    image.addEventListener("pointerdown", (event) => { read(one, image, event); drag(scroller, event); });
    image.addEventListener("dblclick", (event) => zoomTo(Math.min(zoom + 2, ZOOMS.length - 1), scroller, event));
    scroller.addEventListener("scroll", () => {
      for (const other of document.querySelectorAll(".scroller")) {
        if (other !== scroller && (other.scrollLeft !== scroller.scrollLeft || other.scrollTop !== scroller.scrollTop)) other.scrollTo(scroller.scrollLeft, scroller.scrollTop);
      }
    });
    return make("figure", {}, scroller,
      make("figcaption", {}, gallery.LIMITS[one.limits] || one.limits, " · ", make("a", { href: source }, item.id + one.tail)));
  }

  function describe(one) {
    const when = item.date ? ` from ${item.date.replace("T", " ")} UTC` : "";
    return `Spectrograms. ${gallery.titleOf(item, one)}, scales ${one.scales}${when}.`;
  }

  // --- size

  function applyZoom() {
    for (const image of document.querySelectorAll(".scroller img")) image.style.width = `${100 * ZOOMS[zoom]}%`;
    for (const scroller of document.querySelectorAll(".scroller")) scroller.classList.toggle("zoomed", zoom > 0);
    element("smaller").disabled = zoom === 0;
    element("larger").disabled = zoom === ZOOMS.length - 1;
    element("fit").textContent = zoom ? `${100 * ZOOMS[zoom]} %` : "fit";
  }

  // The point under the pointer, or the middle, stays where it is.
  function zoomTo(step, scroller = document.querySelector(".scroller"), event = null) {
    if (!scroller || step < 0 || step >= ZOOMS.length) return;
    const box = scroller.getBoundingClientRect();
    const [x, y] = event ? [event.clientX - box.left, event.clientY - box.top] : [box.width / 2, Math.min(box.height, innerHeight) / 2];
    const by = ZOOMS[step] / ZOOMS[zoom];
    const [left, top] = [(scroller.scrollLeft + x) * by - x, (scroller.scrollTop + y) * by - y];
    zoom = step;
    applyZoom();
    scroller.scrollTo(left, top);
  }

  function drag(scroller, down) {
    if (down.pointerType !== "mouse" || down.button !== 0 || zoom === 0) return;
    down.preventDefault();
    const [left, top] = [scroller.scrollLeft, scroller.scrollTop];
    const move = (event) => scroller.scrollTo(left - (event.clientX - down.clientX), top - (event.clientY - down.clientY));
    addEventListener("pointermove", move);
    addEventListener("pointerup", () => removeEventListener("pointermove", move), { once: true });
  }

  // --- the value under the pointer

  async function read(one, image, event) {
    if (!head || !image.naturalWidth) return;
    const box = image.getBoundingClientRect();
    const x = ((event.clientX - box.left) / box.width) * image.naturalWidth;
    const y = ((event.clientY - box.top) / box.height) * image.naturalHeight;
    const described = head.figures[one.tail];
    if (!described) return;
    asked += 1;
    const mine = asked;
    const found = await values.at(item, head, described, x, y);
    if (mine === asked) element("readout").replaceChildren(...words(found));
  }

  const number = (value) => (Number.isInteger(value) && Math.abs(value) < 1e7 ? String(value) : String(Number(value.toPrecision(4))));
  const clock = (seconds) => (Number.isNaN(seconds) ? "–" : new Date(Math.floor(seconds * 10) * 100).toISOString().replace("T", " ").slice(0, 21));

  function words(found) {
    if (!found) return ["Not over a panel."];
    const { panel, cells, spectrogram } = found;
    const exact = cells.length === 1 ? cells[0].time : found.time;
    const text = [make("span", {}, panel.label), make("span", {}, `${clock(exact)} UTC`), make("span", {}, `${number(found.energy)} ${panel.y_units || "eV"}`)];
    if (!spectrogram) text.push(make("span", {}, config.values ? "no values" : "values are not kept with this run (report.values)"));
    else if (!cells.length) text.push(make("span", {}, "no data here"));
    else {
      const value = Number.isNaN(found.value) ? "no value" : number(found.value);
      text.push(make("strong", { id: "value", title: spectrogram.quantity }, `${value} ${Number.isNaN(found.value) ? "" : spectrogram.units}`.trim()));
      const records = cells.map(({ record }) => record);
      const [first, last] = [Math.min(...records), Math.max(...records)];
      const edges = cells[0].edges.map(number).join(" to ");
      text.push(make("small", {}, cells.length > 1
        ? `mean of ${found.averaged} values of records ${first} to ${last}`
        : `record ${first}, channel ${cells[0].channel}: ${edges} ${panel.y_units || "eV"}`));
    }
    return text;
  }

  // --- what it is made from, and what failed

  async function showMetadata(shown) {
    if (!shown.script) {
      element("metadata").replaceChildren(make("p", { class: "note" }, shown.figures.length ? "No preview was made of this orbit: `spectro-mpi report` makes it." : ""));
      return;
    }
    try {
      const loaded = await values.headOf(shown);
      if (shown !== item) return;
      head = loaded;
    } catch (error) {
      element("metadata").replaceChildren(make("p", { class: "callout" }, String(error.message)));
      return;
    }
    const one = figure();
    const described = one && head.figures[one.tail];
    if (!described) return;
    const fact = (name, ...content) => make("div", {}, make("dt", {}, name), make("dd", {}, ...content));
    const spans = (pair) => pair.map(number).join(" to ");
    element("metadata").replaceChildren(
      make("h2", {}, "This figure"),
      make("dl", { class: "facts" },
        fact("sources", described.sources.join(", ")),
        fact("drawn by", `spectro-mpi ${described.version}`),
        fact("limits", gallery.LIMITS[described.limits] || described.limits),
        ...(described.events || []).map((event) => fact(event.label || "event", `${clock(event.start)} to ${clock(event.end)} UTC`))),
      make("div", { class: "wide", tabindex: "0", role: "region", "aria-label": "Panels" },
        make("table", {},
          make("thead", {}, make("tr", {}, ...["panel", "time (UTC)", "y axis", "scale", "colours", "scale"].map((name) => make("th", { scope: "col" }, name)))),
          make("tbody", {}, ...described.panels.map((panel) => make("tr", {},
            make("th", { scope: "row" }, panel.label),
            make("td", {}, panel.time[0] === null ? "–" : panel.time.map(clock).join(" to ")),
            make("td", {}, `${spans(panel.energy)} ${panel.y_units || "eV"}`), make("td", {}, panel.y_scale),
            make("td", {}, spans(panel.z)), make("td", {}, panel.z_scale)))))));
  }

  async function showFailures(shown) {
    if (shown.state !== "failed") return;
    const chunk = Math.floor(shown.place / config.chunkItems);
    const failures = (await errorsOf(chunk))[shown.id] || [];
    if (shown !== item) return;
    element("failures").replaceChildren(make("h2", {}, "Failures"), failureTable(failures.map((one) => [shown.id, ...one]), false));
  }

  function failureRow([id, instrument, phase, reason, message, link], withItem) {
    const page = link ? logLink(link) : "";
    const name = link.replace(".log#L", ", line ");
    return make("tr", {},
      make("td", {}, withItem ? make("a", { href: `#item/${encodeURIComponent(id)}` }, id) : reason),
      make("td", {}, instrument), make("td", {}, phase), make("td", { class: "message" }, message),
      make("td", {}, page ? make("a", { href: page }, name) : ""));
  }

  function failureTable(rows, withItem) {
    const names = [withItem ? "orbit" : "reason", "instrument", "phase", "message", "log"];
    return make("div", { class: "wide", tabindex: "0", role: "region", "aria-label": "Failures" }, make("table", {},
      make("thead", {}, make("tr", {}, ...names.map((name) => make("th", { scope: "col" }, name)))),
      make("tbody", {}, ...rows.map((row) => failureRow(row, withItem)))));
  }

  // --- keys

  function key(name) {
    if (!item) return false;
    const go = (hash) => { location.hash = hash; return true; };
    const step = (by) => { const other = gallery.neighbour(item, by); return other ? go(itemHash(other)) : false; };
    const one = figure();
    switch (name) {
      case "ArrowLeft": case "p": return step(-1);
      case "ArrowRight": case "n": return step(1);
      case "+": case "=": zoomTo(zoom + 1); return true;
      case "-": zoomTo(zoom - 1); return true;
      case "0": zoomTo(0); return true;
      default:
    }
    if (!one) return false;
    if (name === "k" || name === "K") {
      const kinds = item.figures.filter(({ limits }) => limits === one.limits);
      const place = kinds.indexOf(one) + (name === "k" ? 1 : kinds.length - 1);
      return go(address(kinds[place % kinds.length].cell, both));
    }
    if (name === "l") {
      const others = config.limits.map((limits) => like(one, limits)).filter(Boolean);
      return go(address(others[(others.indexOf(one) + 1) % others.length].cell, false));
    }
    if (name === "b") return go(address(one.cell, !both));
    return false;
  }

  function start() {
    element("smaller").addEventListener("click", () => zoomTo(zoom - 1));
    element("larger").addEventListener("click", () => zoomTo(zoom + 1));
    element("fit").addEventListener("click", () => zoomTo(0));
    element("help").addEventListener("click", () => {
      const hidden = !element("keys").hidden;
      element("keys").hidden = hidden;
      element("help").setAttribute("aria-expanded", String(!hidden));
    });
  }

  return { open, key, start, failureRow };
})();
