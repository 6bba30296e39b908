// The value under the pointer, in words.
"use strict";

spectroMpi.readout = (() => {
  const { make, values, config } = spectroMpi;
  const { number, clock } = spectroMpi.format;
  const element = () => document.getElementById("readout");
  let latest = 0; // Number of the latest request for a value

  function say(text) {
    latest += 1;
    element().textContent = text;
  }

  // Reads pixel (x, y) of a figure, by its description, and shows it.
  async function read(item, head, described, x, y) {
    latest += 1;
    const request = latest;
    const reading = await values.at(item, head, described, x, y);
    if (request === latest) element().replaceChildren(...words(reading));
  }

  function words(reading) {
    if (!reading) return ["The pointer is not over a panel."];
    if (reading.lines) return wordsOfLines(reading);
    const { panel, cells, spectrogram } = reading;
    const exact = cells.length === 1 ? cells[0].time : reading.time;
    const label = panel.instruments && cells.length ? `${panel.label}: ${reading.instrument}` : panel.label;
    const text = [make("span", {}, label), make("span", {}, `${clock(exact)} UTC`), make("span", {}, `${number(reading.energy)} ${panel.y_units || "eV"}`)];
    if (!spectrogram) text.push(make("span", {}, config.values ? "no values" : "this run stores no values (report.values)"));
    else if (!cells.length) text.push(make("span", {}, "no data here"));
    else text.push(...valueWords(reading));
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

  function valueWords({ panel, cells, spectrogram, value, averaged }) {
    const shown = Number.isNaN(value) ? "no value" : `${number(value)} ${spectrogram.units}`.trim();
    const records = cells.map(({ record }) => record);
    const [first, last] = [Math.min(...records), Math.max(...records)];
    const which = first === last ? `record ${first}` : `records ${first} to ${last}`;
    const edges = cells[0].edges.map(number).join(" to ");
    return [make("strong", { id: "value", title: spectrogram.quantity }, shown), make("small", {}, cells.length > 1
      ? `mean of ${averaged} values of ${which}`
      : `record ${first}, channel ${cells[0].channel}: ${edges} ${panel.y_units || "eV"}`)];
  }

  return { say, read };
})();
