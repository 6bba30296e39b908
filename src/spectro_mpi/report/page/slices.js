// Slices through a panel where it is clicked: all energies at that time, and all times at that
// energy, from the values of the store.
"use strict";

spectroMpi.slices = (() => {
  const { make, values, config } = spectroMpi;
  const { chart, file, COLORS } = spectroMpi.chart;
  const { scale, scaleOf } = spectroMpi.axes;
  const { clock, number, csv, copyButton, saveButton } = spectroMpi.format;

  const NO_TABLE = 0xff;
  // Values that are no small whole numbers are kept to four digits.
  const quantityOf = ({ quantity, coding, source }) => `${quantity}${coding === "digits" ? ", to four digits" : ""}, ${source}`;
  const named = (label, units) => (units ? `${label} (${units})` : label);
  // "Energy (eV)" → ["energy", "eV"]; a panel of pitch angles has degrees.
  const axisOf = (panel) => ({
    words: (panel.y_label || "energy").replace(/\s*\([^)]*\)\s*$/, "").toLowerCase() || "energy",
    units: panel.y_units || "eV",
  });

  // The channels of a record as steps, lowest first: {from, to, value} with values of one category.
  function spectrumOf(spectrogram, row, [part, at]) {
    const number = part.table[at];
    if (number === NO_TABLE) return [];
    const table = spectrogram.tables[number];
    const channels = [...table.edges.keys()].filter((channel) => table.edges[channel]);
    return channels.map((channel) => {
      const [from, to] = table.edges[channel];
      return { from, to, value: values.valueOf(spectrogram, row, [part, at], table, [channel, 1]).value };
    }).sort((one, other) => one.from - other.from);
  }

  // The values of all records between two times at an energy: {from, to, centre, low, high, value}.
  async function profileOf(item, spectrogram, instrument, row, energy, [begin, end]) {
    const steps = [];
    for (const part of await values.partsBetween(item, spectrogram, instrument, begin, end)) {
      for (let at = values.place(part.end, begin, true); at < part.records && part.start[at] < end; at += 1) {
        const table = spectrogram.tables[part.table[at]];
        const channel = table ? table.edges.findIndex((pair) => pair && pair[0] <= energy && energy < pair[1]) : -1;
        const value = channel < 0 ? NaN : values.valueOf(spectrogram, row, [part, at], table, [channel, 1]).value;
        const [low, high] = channel < 0 ? [NaN, NaN] : table.edges[channel];
        steps.push({ from: part.start[at], to: part.end[at], centre: part.centre[at], low, high, value });
      }
    }
    return steps;
  }

  // The record at a time: the one that covers it, else one that the pixel there shows.
  async function recordAt(item, spectrogram, instrument, axes) {
    const [covering] = await values.recordsAt(item, spectrogram, instrument, { begin: axes.time, end: axes.time, time: axes.time });
    return covering || (await values.recordsAt(item, spectrogram, instrument, axes))[0] || null;
  }

  function panelOf(title, drawing, notes, name, table) {
    const save = saveButton("save SVG", `${name}.svg`, () => file(drawing), "image/svg+xml");
    const copy = copyButton("copy CSV", () => csv(notes, table.header, table.rows));
    return make("figure", { class: "slice" }, make("figcaption", {}, title), drawing, make("div", { class: "buttons" }, copy, save));
  }

  function spectrumPanel(item, { panel, spectrogram, instrument, energy, spectra, record, row, about }) {
    const axis = axisOf(panel);
    const main = spectra[row];
    const order = [row, ...spectra.keys()].filter((one, at, all) => all.indexOf(one) === at);
    const y = scaleOf(panel.z_scale, spectra.flat().map(({ value }) => value));
    const x = scale(panel.y_scale, ...panel.energy, axis.units);
    const title = `${about}: at ${clock(record.time)} UTC`;
    if (!y) return make("p", { class: "note" }, `${title}, no value.`);
    const drawing = chart({
      x: { axis: x, label: named(axis.words, axis.units) }, y: { axis: y, label: panel.z_label || spectrogram.quantity }, mark: energy,
      series: order.map((one, at) => ({ label: spectrogram.category[one], color: COLORS[at % COLORS.length], steps: spectra[one] })),
      description: `${panel.z_label || "Value"} by ${axis.words}, ${title}`,
    });
    const table = {
      header: [named(`${axis.words} from`, axis.units), named(`${axis.words} to`, axis.units), ...spectrogram.category.map((name) => named(name, spectrogram.units))],
      rows: main.map(({ from, to }, at) => [from, to, ...spectra.map((steps) => steps[at].value)]),
    };
    const notes = [`${config.item} ${item.id}, ${about}, record ${record.number}, ${clock(record.time, 3)} UTC`, quantityOf(spectrogram)];
    return panelOf(title, drawing, notes, `${item.id}_${instrument}_record-${record.number}`, table);
  }

  function profilePanel(item, { panel, spectrogram, instrument, energy, time, profile, span, about }) {
    const axis = axisOf(panel);
    const channel = profile.find(({ from, to }) => from <= time && time < to) || profile.find(({ low }) => Number.isFinite(low));
    const between = channel && Number.isFinite(channel.low) ? `${number(channel.low)} to ${number(channel.high)} ${axis.units}` : `${number(energy)} ${axis.units}`;
    const title = `${about}: ${axis.words} ${between}`;
    const y = scaleOf(panel.z_scale, profile.map(({ value }) => value));
    if (!y) return make("p", { class: "note" }, `${title}, no value.`);
    const drawing = chart({
      x: { axis: scale("linear", ...span), isTime: true }, y: { axis: y, label: panel.z_label || spectrogram.quantity }, mark: time,
      series: [{ label: panel.category, color: COLORS[0], steps: profile }],
      description: `${panel.z_label || "Value"} against time, ${title}`,
    });
    const table = {
      header: ["time (UTC)", named(`${axis.words} from`, axis.units), named(`${axis.words} to`, axis.units), named(panel.category, spectrogram.units)],
      rows: profile.map(({ centre, low, high, value }) => [`${clock(centre, 3).replace(" ", "T")}Z`, low, high, value]),
    };
    const notes = [`${config.item} ${item.id}, ${about}, ${axis.words} ${number(energy)} ${axis.units}`, quantityOf(spectrogram)];
    return panelOf(title, drawing, notes, `${item.id}_${instrument}_${number(energy)}${axis.units}`, table);
  }

  // The slices at what `values.at` read; null where there are no values. `span`: times of the profile.
  async function slicesAt(item, head, reading, span) {
    const { panel, spectrogram, instrument, energy } = reading || {};
    const row = spectrogram ? spectrogram.category.indexOf(panel.category) : -1;
    if (row < 0) return null;
    const found = await recordAt(item, spectrogram, instrument, reading);
    if (!found) return null;
    const [part, at] = found;
    const record = { number: part.order[at], time: part.centre[at] };
    const shared = { panel, spectrogram, instrument, energy, time: reading.time, row, record, span, about: `${instrument}, ${panel.label}` };
    const spectra = spectrogram.category.map((_, each) => spectrumOf(spectrogram, each, found));
    const profile = await profileOf(item, spectrogram, instrument, row, energy, span);
    return [spectrumPanel(item, { ...shared, spectra }), profilePanel(item, { ...shared, profile })];
  }

  return { slicesAt };
})();
