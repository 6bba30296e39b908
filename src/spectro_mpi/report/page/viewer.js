// One item: its figures at full size, their metadata, and the value under the pointer.
"use strict";

spectroMpi.viewer = (() => {
  const { make, gallery, values, itemHash, figureOf, byId, scripts, errorsOf, logLink, config } = spectroMpi;
  const element = (id) => document.getElementById(id);
  const ZOOMS = [1, 1.5, 2, 3, 4, 6];
  let item = null;
  let cell = 0; // Cell of the current figure
  let both = false;
  let zoom = 0;
  let head = null;
  let latest = 0; // Number of the latest request for a value

  const currentFigure = () => item.figures.find((figure) => figure.cell === cell) || item.figures[0];
  const like = (figure, limits) => item.figures.find((other) =>
    other.kind === figure.kind && other.instrument === figure.instrument && other.scales === figure.scales && other.limits === limits);

  // Shows an item; `selection` is the cell of a figure; empty: a figure like the last one.
  async function open(id, selection, complete) {
    const before = item && item.figures.length ? currentFigure() : null;
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
    if (selection !== "") {
      const [number, side] = selection.split("+");
      cell = Number(number);
      both = side === "both";
    } else if (before) {
      cell = (item.figures.find((figure) => figure.kind === before.kind && figure.instrument === before.instrument
        && figure.scales === before.scales && figure.limits === before.limits) || item.figures[0] || { cell: 0 }).cell;
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
    const figure = currentFigure();
    element("readout").textContent = figure ? "Move the pointer over a panel to read values." : `No figure was drawn for this ${config.item.toLowerCase()}.`;
    if (!figure) {
      element("figures").replaceChildren();
      return;
    }
    const kinds = item.figures.filter(({ limits }) => limits === figure.limits);
    element("kinds").replaceChildren(...kinds.map((other) => tab(gallery.kindOf(other), address(other.cell, both), other === figure)));
    const limits = config.limits.map((name) => like(figure, name)).filter(Boolean);
    element("limitsbar").replaceChildren(...limits.map((other) =>
      tab(gallery.LIMITS[other.limits] || other.limits, address(other.cell, false), !both && other === figure)));
    if (limits.length > 1) element("limitsbar").append(tab("side by side", address(figure.cell, true), both));
    const shown = both && limits.length > 1 ? limits : [figure];
    element("figures").classList.toggle("both", shown.length > 1);
    element("figures").replaceChildren(...shown.map(frame));
    applyZoom();
  }

  function frame(figure) {
    const source = figureOf(item, figure);
    const image = make("img", { alt: describe(figure), src: source, draggable: "false" });
    image.addEventListener("error", () => image.replaceWith(make("p", { class: "callout" }, "The figure cannot be loaded: ", source)));
    const scroller = make("div", { class: "scroller", tabindex: "0", role: "group", "aria-label": "Figure; scrolls when enlarged" }, image);
    image.addEventListener("pointermove", (event) => read(figure, image, event));
    image.addEventListener("pointerdown", (event) => { read(figure, image, event); drag(scroller, event); });
    image.addEventListener("dblclick", (event) => zoomTo(Math.min(zoom + 2, ZOOMS.length - 1), scroller, event));
    scroller.addEventListener("scroll", () => {
      for (const other of document.querySelectorAll(".scroller")) {
        if (other !== scroller && (other.scrollLeft !== scroller.scrollLeft || other.scrollTop !== scroller.scrollTop)) other.scrollTo(scroller.scrollLeft, scroller.scrollTop);
      }
    });
    return make("figure", {}, scroller,
      make("figcaption", {}, gallery.LIMITS[figure.limits] || figure.limits, " · ", make("a", { href: source }, item.id + figure.tail)));
  }

  function describe(figure) {
    const when = item.date ? ` from ${item.date.replace("T", " ")} UTC` : "";
    return `Spectrograms. ${gallery.titleOf(item, figure)}, scales ${figure.scales}${when}.`;
  }

  // --- zoom

  function applyZoom() {
    for (const image of document.querySelectorAll(".scroller img")) image.style.width = `${100 * ZOOMS[zoom]}%`;
    for (const scroller of document.querySelectorAll(".scroller")) scroller.classList.toggle("zoomed", zoom > 0);
    element("smaller").disabled = zoom === 0;
    element("larger").disabled = zoom === ZOOMS.length - 1;
    element("fit").textContent = zoom ? `${100 * ZOOMS[zoom]} %` : "fit";
  }

  // Keeps the point under the pointer, or the middle, in place.
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

  async function read(figure, image, event) {
    if (!head || !image.naturalWidth) return;
    const box = image.getBoundingClientRect();
    const x = ((event.clientX - box.left) / box.width) * image.naturalWidth;
    const y = ((event.clientY - box.top) / box.height) * image.naturalHeight;
    const described = head.figures[figure.tail];
    if (!described) return;
    latest += 1;
    const request = latest;
    const reading = await values.at(item, head, described, x, y);
    if (request === latest) element("readout").replaceChildren(...words(reading));
  }

  const number = (value) => (Number.isInteger(value) && Math.abs(value) < 1e7 ? String(value) : String(Number(value.toPrecision(4))));
  const clock = (seconds) => (Number.isNaN(seconds) ? "–" : new Date(Math.floor(seconds * 10) * 100).toISOString().replace("T", " ").slice(0, 21));

  function words(reading) {
    if (!reading) return ["The pointer is not over a panel."];
    if (reading.lines) return wordsOfLines(reading);
    const { panel, cells, spectrogram } = reading;
    const exact = cells.length === 1 ? cells[0].time : reading.time;
    const label = panel.instruments && cells.length ? `${panel.label}: ${reading.instrument}` : panel.label;
    const text = [make("span", {}, label), make("span", {}, `${clock(exact)} UTC`), make("span", {}, `${number(reading.energy)} ${panel.y_units || "eV"}`)];
    if (!spectrogram) text.push(make("span", {}, config.values ? "no values" : "this run stores no values (report.values)"));
    else if (!cells.length) text.push(make("span", {}, "no data here"));
    else {
      const value = Number.isNaN(reading.value) ? "no value" : number(reading.value);
      text.push(make("strong", { id: "value", title: spectrogram.quantity }, `${value} ${Number.isNaN(reading.value) ? "" : spectrogram.units}`.trim()));
      const records = cells.map(({ record }) => record);
      const [first, last] = [Math.min(...records), Math.max(...records)];
      const which = first === last ? `record ${first}` : `records ${first} to ${last}`;
      const edges = cells[0].edges.map(number).join(" to ");
      text.push(make("small", {}, cells.length > 1
        ? `mean of ${reading.averaged} values of ${which}`
        : `record ${first}, channel ${cells[0].channel}: ${edges} ${panel.y_units || "eV"}`));
    }
    return text;
  }

  // The values of all lines of a panel, at one time.
  function wordsOfLines({ panel, time, lines }) {
    const text = [make("span", {}, panel.label), make("span", {}, `${clock(time)} UTC`)];
    if (!lines.some(({ spectrogram }) => spectrogram)) text.push(make("span", {}, config.values ? "no values" : "this run stores no values (report.values)"));
    for (const { label, value, spectrogram, averaged } of lines.filter((line) => line.spectrogram)) {
      const known = Number.isNaN(value) ? "no value" : `${number(value)} ${spectrogram.units}`;
      text.push(make("strong", { class: "value", title: spectrogram.quantity }, [label, known].filter(Boolean).join(": ")));
      if (averaged > 1) text.push(make("small", {}, `mean of ${averaged} records`));
    }
    return text;
  }

  // --- metadata and failures

  async function showMetadata(shown) {
    if (!shown.script) {
      element("metadata").replaceChildren(make("p", { class: "note" }, shown.figures.length ? `This ${config.item.toLowerCase()} has no preview; \`spectro-mpi report\` makes it.` : ""));
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
    const figure = currentFigure();
    const described = figure && head.figures[figure.tail];
    if (!described) return;
    const fact = (name, ...content) => make("div", {}, make("dt", {}, name), make("dd", {}, ...content));
    const spans = (pair) => pair.map(number).join(" to ");
    element("metadata").replaceChildren(
      make("h2", {}, "This figure"),
      make("dl", { class: "facts" },
        fact("sources", described.sources.join(", ")),
        ...(described.sha256 || []).filter(Boolean).map((digest) => fact("SHA-256", digest)),
        fact("drawing version", described.version),
        fact("limits", gallery.LIMITS[described.limits] || described.limits),
        ...(described.events || []).map((event) => fact(event.label || "event", `${clock(event.start)} to ${clock(event.end)} UTC`))),
      make("div", { class: "wide", tabindex: "0", role: "region", "aria-label": "Panels" },
        make("table", {},
          make("thead", {}, make("tr", {}, ...["panel", "time (UTC)", "y axis", "scale", "colours", "scale"].map((name) => make("th", { scope: "col" }, name)))),
          make("tbody", {}, ...described.panels.map((panel) => make("tr", {},
            make("th", { scope: "row" }, panel.label),
            make("td", {}, panel.time[0] === null ? "–" : panel.time.map(clock).join(" to ")),
            make("td", {}, `${spans(panel.energy || panel.y)} ${panel.y_units || "eV"}`), make("td", {}, panel.y_scale),
            make("td", {}, panel.z ? spans(panel.z) : "–"), make("td", {}, panel.z_scale || "–")))))));
  }

  async function showFailures(shown) {
    if (shown.state !== "failed") return;
    const chunk = Math.floor(shown.place / config.chunkItems);
    const failures = (await errorsOf(chunk))[shown.id] || [];
    if (shown !== item) return;
    element("failures").replaceChildren(make("h2", {}, "Failures"), failureTable(failures.map((failure) => [shown.id, ...failure]), false));
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
    const names = [withItem ? config.item.toLowerCase() : "reason", "instrument", "phase", "message", "log"];
    return make("div", { class: "wide", tabindex: "0", role: "region", "aria-label": "Failures" }, make("table", {},
      make("thead", {}, make("tr", {}, ...names.map((name) => make("th", { scope: "col" }, name)))),
      make("tbody", {}, ...rows.map((row) => failureRow(row, withItem)))));
  }

  // --- keys

  function key(name) {
    if (!item) return false;
    const go = (hash) => { location.hash = hash; return true; };
    const step = (by) => { const other = gallery.neighbour(item, by); return other ? go(itemHash(other)) : false; };
    const figure = currentFigure();
    switch (name) {
      case "ArrowLeft": case "p": return step(-1);
      case "ArrowRight": case "n": return step(1);
      case "+": case "=": zoomTo(zoom + 1); return true;
      case "-": zoomTo(zoom - 1); return true;
      case "0": zoomTo(0); return true;
      default:
    }
    if (!figure) return false;
    if (name === "k" || name === "K") {
      const kinds = item.figures.filter(({ limits }) => limits === figure.limits);
      const place = kinds.indexOf(figure) + (name === "k" ? 1 : kinds.length - 1);
      return go(address(kinds[place % kinds.length].cell, both));
    }
    if (name === "l") {
      const others = config.limits.map((limits) => like(figure, limits)).filter(Boolean);
      return go(address(others[(others.indexOf(figure) + 1) % others.length].cell, false));
    }
    if (name === "b") return go(address(figure.cell, !both));
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
