// One item: its figures as pictures or drawn for a part of their time, slices through them, and what
// is known of them. Its address, "#item/ID/FIGURE+VIEW?from=…&to=…&at=…", says all that is shown.
"use strict";

spectroMpi.viewer = (() => {
  const { make, gallery, values, itemHash, byId, errorsOf, config, picture, readout, details } = spectroMpi;
  const { timeView } = spectroMpi.timeView;
  const { slicesAt } = spectroMpi.slices;
  const { copyButton } = spectroMpi.format;
  const element = (id) => document.getElementById(id);
  const NARROW = matchMedia("(max-width: 60rem)");
  const HINT = "Point at a panel to read values; click for slices through it.";
  const FAILED = "failed-";

  let item = null;
  let cell = 0; // Cell of the current figure
  let failed = ""; // Instrument that failed and is shown instead
  let view = ""; // "": one picture; "both": two side by side; "slider": two on each other; "time"
  let part = null; // Times that the view "time" shows; null: all
  let at = null; // Where the slices are: {label, time, energy}
  let head = null;
  let failures = [];
  let redrawn = null; // The view "time"

  const currentFigure = () => item.figures.find((figure) => figure.cell === cell) || item.figures[0];
  const sameKind = (one, other) => one.kind === other.kind && one.instrument === other.instrument && one.scales === other.scales;
  const like = (figure, limits) => item.figures.find((other) => sameKind(figure, other) && other.limits === limits);
  const describedOf = (figure) => head?.figures[figure.tail];
  const limitsName = (figure) => gallery.LIMITS[figure.limits] || figure.limits;

  // --- the address

  const address = (number, side) => `${itemHash(item)}/${number}${side ? `+${side}` : ""}`;

  // Puts what is shown into the address, without a step in the history.
  function remember() {
    const parameters = new URLSearchParams();
    if (part && view === "time") [["from", part[0]], ["to", part[1]]].forEach(([key, time]) => parameters.set(key, time.toFixed(3)));
    if (at) parameters.set("at", [at.time.toFixed(3), at.energy.toPrecision(6), at.label].join(","));
    const text = parameters.toString();
    history.replaceState(null, "", `${address(cell, view)}${text ? `?${text}` : ""}`);
  }

  // Adopts the selection of an address; empty: a figure like the last one.
  function select(selection, parameters, before) {
    const [number, side = ""] = selection.split("+");
    failed = selection.startsWith(FAILED) ? selection.slice(FAILED.length) : "";
    if (selection && !failed) {
      [cell, view] = [Number(number), side];
    } else if (before && !failed) {
      const same = item.figures.find((figure) => sameKind(before, figure) && figure.limits === before.limits);
      cell = (same || item.figures[0] || { cell: 0 }).cell;
    } else if (!failed) cell = item.figures[0]?.cell ?? 0;
    const span = ["from", "to"].map((key) => Number.parseFloat(parameters.get(key)));
    part = span[0] < span[1] && span.every(spectroMpi.format.isTime) ? span : null;
    const [time, energy, ...label] = (parameters.get("at") || "").split(",");
    at = label.length && spectroMpi.format.isTime(Number(time)) ? { time: Number(time), energy: Number(energy), label: label.join(",") } : null;
  }

  // --- opening

  // Shows an item; `complete`: whether the whole index is loaded.
  async function open(id, selection, parameters, complete) {
    const before = item?.figures.length ? currentFigure() : null;
    const next = byId.get(id) || null;
    const another = next !== item;
    item = next;
    document.title = `${id} · ${document.querySelector(".brand a").textContent}`;
    element("item-title").textContent = next || !complete ? `${config.item} ${id}` : `There is no ${config.item.toLowerCase()} ${id}`;
    element("back").href = gallery.address();
    element("controls").hidden = element("readout").hidden = !next;
    if (another) clear();
    if (!next) return;
    select(selection, parameters, before);
    steps();
    show();
    await Promise.all([another ? loadFailures(item) : showFailures(), loadHead(item)]);
  }

  // There is a newer index: shows the item again if it has changed in it.
  function renew() {
    const next = item && byId.get(item.id);
    if (!next) return;
    const looks = ({ state, script, words, figures }) => JSON.stringify([state, script, words, figures]);
    if (looks(next) === looks(item)) {
      item = next;
      steps();
    } else {
      values.forgetItem(item);
      open(item.id, failed ? FAILED + failed : `${cell}${view ? `+${view}` : ""}`, new URLSearchParams(location.hash.split("?")[1]), true);
    }
  }

  function clear() {
    [head, failures, redrawn] = [null, [], null];
    for (const name of ["figures", "slices", "failures", "metadata", "kinds", "limitsbar", "views"]) element(name).replaceChildren();
    element("previous").hidden = element("next").hidden = true;
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

  async function loadHead(shown) {
    if (!shown.script) {
      if (shown.figures.length) note(make("p", { class: "note" }, `This ${config.item.toLowerCase()} has no preview; \`spectro-mpi report\` makes it.`));
      return;
    }
    try {
      const loaded = await values.headOf(shown);
      if (shown !== item) return;
      head = loaded;
    } catch (error) {
      if (shown === item) note(make("p", { class: "callout" }, String(error.message)));
      return;
    }
    const described = currentFigure() && describedOf(currentFigure());
    note(...(described && !failed ? details.metadata(described) : []));
    if (view === "time" && !failed) showTime();
    await showSlices();
  }

  const note = (...content) => element("metadata").replaceChildren(...content);

  // --- figures

  function tab(label, target, current, more = {}) {
    return make("a", { href: target, "aria-current": current ? "true" : null, ...more }, label);
  }

  function show() {
    tabs();
    element("slices").replaceChildren();
    const figure = currentFigure();
    for (const id of ["size", "views"]) element(id).hidden = !figure || Boolean(failed) || (id === "size" && view === "time");
    if (failed || !figure) showInstead();
    else if (view === "time") showTime();
    else showPictures(figure);
  }

  function tabs() {
    const figure = currentFigure();
    const kinds = figure ? item.figures.filter(({ limits }) => limits === figure.limits) : [];
    element("kinds").replaceChildren(
      ...kinds.map((other) => tab(gallery.kindOf(other), address(other.cell, view), !failed && other === figure)),
      ...failedInstruments().map((name) => tab(`${name} · failed`, address(`${FAILED}${encodeURIComponent(name)}`), name === failed, { class: "failed" })));
    const limits = figure && !failed ? config.limits.map((name) => like(figure, name)).filter(Boolean) : [];
    const side = view === "time" ? "time" : "";
    element("limitsbar").replaceChildren(...limits.map((other) => tab(limitsName(other), address(other.cell, side), (view === side) && other === figure)));
    if (limits.length > 1) {
      element("limitsbar").append(tab("side by side", address(figure.cell, "both"), view === "both"), tab("slider", address(figure.cell, "slider"), view === "slider"));
    }
    if (figure) {
      element("views").replaceChildren(tab("picture", address(figure.cell, side ? "" : view), view !== "time"), tab("zoom in time", address(figure.cell, "time"), view === "time"));
    }
  }

  function showPictures(figure) {
    readout.say(HINT);
    const hooks = { point: read, pick };
    const two = config.limits.map((limits) => like(figure, limits)).filter(Boolean);
    const isTwo = two.length > 1 && (view === "both" || view === "slider");
    const isCurtain = isTwo && (view === "slider" || NARROW.matches);
    element("figures").classList.toggle("both", isTwo && !isCurtain);
    element("figures").replaceChildren(...(isCurtain
      ? [picture.curtain(item, two.slice(0, 2), describe, two.map(limitsName), hooks)]
      : (isTwo ? two : [figure]).map((one) => picture.frame(item, one, describe(one), limitsName(one), hooks))));
    picture.applyZoom();
  }

  function describe(figure) {
    const when = item.date ? ` from ${item.date.replace("T", " ")} UTC` : "";
    return `Spectrograms. ${gallery.titleOf(item, figure)}, scales ${figure.scales}${when}.`;
  }

  function showTime() {
    const described = describedOf(currentFigure());
    element("figures").classList.remove("both");
    if (!described) {
      element("figures").replaceChildren(make("p", { class: "note" }, item.script ? "Loading the values …" : "There are no values to draw."));
      return;
    }
    const moved = (span) => {
      part = span;
      remember();
    };
    const read = (figure, x, y) => readout.read(item, head, figure, x, y);
    redrawn = timeView(item, head, described, part, { point: read, pick: pickAt, moved });
    element("figures").replaceChildren(redrawn.element);
    readout.say(HINT);
  }

  // --- failures

  const failedInstruments = () => [...new Set(failures.map(([instrument]) => instrument))]
    .filter((name) => !item.figures.some(({ instrument }) => instrument === name));

  async function loadFailures(shown) {
    if (shown.state !== "failed") return;
    const loaded = (await errorsOf(Math.floor(shown.place / config.chunkItems)))[shown.id] || [];
    if (shown !== item) return;
    failures = loaded;
    tabs();
    showFailures();
    if (failed || !currentFigure()) showInstead();
  }

  function showFailures() {
    const rows = failures.map((failure) => [item.id, ...failure]);
    element("failures").replaceChildren(...(rows.length ? [make("h2", {}, "Failures"), details.failureTable(rows, false)] : []));
  }

  // What is shown in place of a figure: why an instrument has none.
  function showInstead() {
    const names = failed ? [failed] : failedInstruments();
    readout.say(`No figure was drawn ${failed ? `of ${failed} ` : ""}for this ${config.item.toLowerCase()}.`);
    element("figures").classList.remove("both");
    element("figures").replaceChildren(...names.map((name) => details.instead(item, name, failures.filter(([instrument]) => instrument === name))));
    if (failed) note();
  }

  // --- values

  function read(figure, x, y) {
    const described = describedOf(figure);
    if (described && Number.isFinite(x)) readout.read(item, head, described, x, y);
  }

  function pick(figure, x, y) {
    const described = describedOf(figure);
    if (described) pickAt(described, x, y);
  }

  async function pickAt(described, x, y) {
    const reading = await values.at(item, head, described, x, y);
    if (!reading?.spectrogram) return;
    at = { label: reading.panel.label, time: reading.time, energy: reading.energy };
    remember();
    await showSlices(true);
  }

  function closeSlices() {
    at = null;
    remember();
    showSlices();
  }

  // Shows the slices at `at`, in the panel with that label of the current figure.
  async function showSlices(scroll = false) {
    const [wanted, shown] = [at, item];
    const panel = at && !failed && currentFigure() && describedOf(currentFigure())?.panels.find(({ label }) => label === at.label);
    if (!panel?.energy) return element("slices").replaceChildren();
    const span = view === "time" && part ? part : panel.time;
    const reading = await values.at(item, head, pixelAt(panel, at), 0.5, 0.5);
    const found = reading && await slicesAt(item, head, { ...reading, ...wanted, panel }, span);
    if (wanted !== at || shown !== item) return;
    if (!found) return element("slices").replaceChildren();
    const close = make("button", { type: "button", "aria-label": "Close the slices" }, "×");
    close.addEventListener("click", closeSlices);
    element("slices").replaceChildren(make("h2", { class: "offscreen" }, "Slices"), close, make("div", { class: "slices" }, ...found));
    if (scroll) element("slices").scrollIntoView({ block: "nearest" });
  }

  // A description of one pixel, at a time and an energy.
  function pixelAt(panel, { time, energy }) {
    const near = panel.y_scale === "log" ? [energy * (1 - 1e-6), energy * (1 + 1e-6)] : [energy - 1e-6, energy + 1e-6];
    return { panels: [{ ...panel, box: [0, 0, 1, 1], time: [time - 1e-4, time + 1e-4], energy: near }] };
  }

  // --- keys

  function key(name) {
    if (!item) return false;
    const go = (hash) => { location.hash = hash; return true; };
    const step = (by) => { const other = gallery.neighbour(item, by); return other ? go(itemHash(other)) : false; };
    if (name === "ArrowLeft" || name === "p") return step(-1);
    if (name === "ArrowRight" || name === "n") return step(1);
    if (name === "Escape" && !element("keys").hidden) return element("help").click(), true;
    const figure = currentFigure();
    if (!figure || failed) return false;
    if (view === "time" && redrawn?.key(name)) return true;
    if (name === "Escape" && at) return closeSlices(), true;
    const views = { b: "both", s: "slider", t: "time" };
    if (views[name]) return go(address(figure.cell, view === views[name] ? "" : views[name]));
    if (name === "k" || name === "K") return go(address(nextKind(figure, name === "k" ? 1 : -1).cell, view));
    if (name === "l") return go(address(nextLimits(figure).cell, view === "time" ? view : ""));
    const sizes = { "+": "larger", "=": "larger", "-": "smaller", 0: "fit" };
    if (!sizes[name]) return false;
    picture[sizes[name]]();
    return true;
  }

  function nextKind(figure, by) {
    const kinds = item.figures.filter(({ limits }) => limits === figure.limits);
    return kinds[(kinds.indexOf(figure) + by + kinds.length) % kinds.length];
  }

  function nextLimits(figure) {
    const others = config.limits.map((limits) => like(figure, limits)).filter(Boolean);
    return others[(others.indexOf(figure) + 1) % others.length];
  }

  function start() {
    picture.start();
    NARROW.addEventListener("change", () => { if (item && view === "both" && !failed) show(); });
    element("copylink").append(copyButton("copy link", () => location.href));
    element("help").addEventListener("click", () => {
      const hidden = !element("keys").hidden;
      element("keys").hidden = hidden;
      element("help").setAttribute("aria-expanded", String(!hidden));
    });
  }

  return { open, renew, key, start };
})();
