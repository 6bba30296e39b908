// What is told below the figure of an item: where it came from, and what failed.
"use strict";

spectroMpi.details = (() => {
  const { make, config, logLink, gallery } = spectroMpi;
  const { number, clock } = spectroMpi.format;

  const spans = (pair) => pair.map(number).join(" to ");
  const times = (panel) => (panel.time[0] === null ? "–" : panel.time.map((time) => clock(time)).join(" to "));

  function table(label, names, rows) {
    return make("div", { class: "wide", tabindex: "0", role: "region", "aria-label": label }, make("table", {},
      make("thead", {}, make("tr", {}, ...names.map((name) => make("th", { scope: "col" }, name)))),
      make("tbody", {}, ...rows)));
  }

  // The description of a figure: its sources, versions, events and panels.
  function metadata(described) {
    const fact = (name, ...content) => make("div", {}, make("dt", {}, name), make("dd", {}, ...content));
    const panels = described.panels.filter(({ energy, y }) => energy || y);
    return [
      make("h2", {}, "This figure"),
      make("dl", { class: "facts" },
        fact("sources", described.sources.join(", ")),
        ...(described.sha256 || []).filter(Boolean).map((digest) => fact("SHA-256", digest)),
        fact("drawing version", described.version),
        fact("limits", gallery.LIMITS[described.limits] || described.limits),
        ...(described.events || []).map((event) => fact(event.label || "event", `${clock(event.start)} to ${clock(event.end)} UTC`))),
      table("Panels", ["panel", "time (UTC)", "y axis", "scale", "colours", "scale"], panels.map((panel) => make("tr", {},
        make("th", { scope: "row" }, panel.label), make("td", {}, times(panel)),
        make("td", {}, `${spans(panel.energy || panel.y)} ${panel.y_units || "eV"}`), make("td", {}, panel.y_scale),
        make("td", {}, panel.z ? spans(panel.z) : "–"), make("td", {}, panel.z_scale || "–")))),
    ];
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
    return table("Failures", names, rows.map((row) => failureRow(row, withItem)));
  }

  // In place of the figure of an instrument that failed: why there is none.
  function instead(item, instrument, failures) {
    const told = failures.map(([, phase, reason, message, link]) => {
      const page = link ? logLink(link) : "";
      return make("li", {}, make("strong", {}, reason), ` in ${phase}: ${message} `, page ? make("a", { href: page }, "log") : "");
    });
    return make("div", { class: "callout instead", role: "note" },
      make("p", {}, `There is no figure of ${instrument} for ${config.item.toLowerCase()} ${item.id}:`), make("ul", {}, ...told));
  }

  return { metadata, failureRow, failureTable, instead };
})();
