// Reads the values of the store at a pixel of a figure, by the rules that the figure was drawn by:
// a pixel column shows the records whose centres lie in it or, if there are none, the record that
// covers it; a pixel row shows the channel at its energy, or several thin ones by their heights;
// several finite values are averaged.
"use strict";

spectroMpi.values = (() => {
  const { load, forget, scriptOf } = spectroMpi.previews;
  const KEPT = 24; // decompressed parts
  const ITEMS_KEPT = 12; // loaded scripts
  const MISSING = 0xffff;
  const parts = new Map(); // "item instrument number" → promise of a part

  async function inflated(base64) {
    const bytes = Uint8Array.from(atob(base64), (letter) => letter.charCodeAt(0));
    const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("deflate"));
    return new Uint8Array(await new Response(stream).arrayBuffer());
  }

  // Restores numbers that are stored as all first bytes, then all second bytes, and so on.
  function whole(bytes, at, count, size) {
    const numbers = new Uint8Array(count * size);
    for (let byte = 0; byte < size; byte += 1) {
      for (let i = 0, from = at + byte * count, to = byte; i < count; i += 1, to += size) numbers[to] = bytes[from + i];
    }
    return numbers.buffer;
  }

  async function readPart(item, spectrogram, instrument, number) {
    const { script, records, times } = spectrogram.parts[number];
    const address = scriptOf(item, script);
    const bytes = await inflated((await load(address)).parts[`${instrument}/${number}`]);
    if (script) forget(address);
    const cells = spectrogram.category.length * spectrogram.channels * records;
    const float = spectrogram.coding === "float";
    const seconds = (at) => new Float64Array(whole(bytes, at, records, 8)).map((micros) => times[0] + micros / 1e6);
    const codes = whole(bytes, 29 * records, cells, float ? 4 : 2);
    return {
      records,
      order: new Uint32Array(whole(bytes, 0, records, 4)),
      start: seconds(4 * records),
      centre: seconds(12 * records),
      end: seconds(20 * records),
      table: bytes.subarray(28 * records, 29 * records),
      codes: float ? new Float32Array(codes) : new Uint16Array(codes),
    };
  }

  function partOf(item, spectrogram, instrument, number) {
    const key = `${item.id} ${instrument} ${number}`;
    if (!parts.has(key)) {
      parts.set(key, readPart(item, spectrogram, instrument, number));
      if (parts.size > KEPT) parts.delete(parts.keys().next().value);
    }
    return parts.get(key);
  }

  function decoded(spectrogram, code) {
    if (spectrogram.coding === "float") return code;
    if (code === MISSING) return NaN;
    if (spectrogram.coding === "whole" || code === 0) return code;
    const decade = Math.floor((code - 1) / 9000);
    const digits = 1000 + ((code - 1) % 9000);
    return Number(`${digits}e${spectrogram.low + decade - 3}`);
  }

  // The first index whose number is not below (with `after`: is above) `value`.
  function place(numbers, value, after = false) {
    let [low, high] = [0, numbers.length];
    while (low < high) {
      const middle = (low + high) >> 1;
      if (numbers[middle] < value || (after && numbers[middle] === value)) low = middle + 1;
      else high = middle;
    }
    return low;
  }

  function panelAt(figure, x, y) {
    return figure.panels.find(({ box: [left, top, right, bottom] }) => x >= left && x < right && y >= top && y < bottom);
  }

  // The energy and the times of a pixel, by the axes of a panel.
  function axesAt(panel, x, y) {
    const [left, top, right, bottom] = panel.box;
    const [t0, t1] = panel.time;
    const [e0, e1] = panel.energy;
    const column = Math.floor(x) - left;
    const width = right - left;
    const rows = bottom - top;
    const pixelRow = rows - 1 - (Math.floor(y) - top); // from the bottom
    const height = (pixelRow + 0.5) / rows;
    const energy = panel.y_scale === "log"
      ? 10 ** (Math.log10(e0) + height * (Math.log10(e1) - Math.log10(e0)))
      : e0 + height * (e1 - e0);
    if (t0 === null) return { energy, pixelRow, rows, begin: NaN, end: NaN, time: NaN };
    const [begin, end] = [t0 + (t1 - t0) * (column / width), t0 + (t1 - t0) * ((column + 1) / width)];
    return { energy, pixelRow, rows, begin, end, time: (begin + end) / 2 };
  }

  // The parts of a spectrogram with records between two times.
  function partsBetween(item, spectrogram, instrument, begin, end) {
    const wanted = [...spectrogram.parts.keys()].filter((number) => {
      const { times } = spectrogram.parts[number];
      return times[0] <= end && times[1] >= begin;
    });
    return Promise.all(wanted.map((number) => partOf(item, spectrogram, instrument, number)));
  }

  // The records that a pixel column shows, each as [part, index in it].
  async function recordsAt(item, spectrogram, instrument, { begin, end, time }) {
    const inside = [];
    let covering = null;
    for (const part of await partsBetween(item, spectrogram, instrument, begin, end)) {
      const stop = place(part.centre, end);
      for (let at = place(part.centre, begin); at < stop; at += 1) inside.push([part, at]);
      const last = place(part.start, time, true) - 1;
      if (last >= 0) covering = time < part.end[last] ? [part, last] : null;
    }
    return inside.length || !covering ? inside : [covering];
  }

  // Earlier versions wrote the edges of channels that touch, as one more number than channels.
  function withPairs(table) {
    if (typeof table.edges[0] !== "number") return table;
    const pairs = table.edges.slice(1).map((edge, at) => [table.edges[at], edge]);
    return Object.assign(table, { edges: pairs, logEdges: pairs });
  }

  // The channels of a table that a pixel row shows, each as [channel, weight] (`draw/rows.py`).
  function channelsAt(table, panel, { pixelRow, rows }) {
    const isLog = panel.y_scale === "log";
    const [low, high] = isLog ? panel.energy.map(Math.log10) : panel.energy;
    const position = (edge) => {
      const at = (((isLog ? Math.log10(edge) : edge) - low) / (high - low)) * rows;
      const whole = Math.round(at);
      return Math.abs(at - whole) < 1e-6 ? whole : at;
    };
    const clipped = (at) => Math.min(rows, Math.max(0, at));
    const parts = [];
    let covering = null;
    let hidden = false;
    for (const [channel, edges] of (isLog ? table.logEdges : table.edges).entries()) {
      if (!edges) continue;
      const [from, to] = edges.map(position);
      const [begin, end] = [clipped(from), clipped(to)];
      const weight = Math.min(end, pixelRow + 1) - Math.max(begin, pixelRow);
      if (weight <= 0) continue;
      const thin = to - from < 1;
      parts.push({ channel, weight, thin });
      if (begin <= pixelRow + 0.5 && pixelRow + 0.5 < end) covering = channel;
      else if (thin && Math.ceil(begin - 0.5) >= Math.ceil(end - 0.5)) {
        hidden ||= Math.min(rows - 1, Math.floor((begin + end) / 2)) === pixelRow;
      }
    }
    if (covering === null && !hidden) return [];
    if (!parts.some(({ thin }) => thin)) return [[covering, 1]];
    return parts.map(({ channel, weight }) => [channel, weight]);
  }

  // The columns of the store that a channel of a table shows.
  function columnsOf(table, channel) {
    const repeated = table.repeated.find(([repeatedChannel]) => repeatedChannel === channel);
    return repeated ? repeated[1] : [table.lead[channel]];
  }

  function valueOf(spectrogram, row, [part, at], table, [channel, weight]) {
    const columns = columnsOf(table, channel);
    const finite = columns
      .map((column) => decoded(spectrogram, part.codes[(row * spectrogram.channels + column) * part.records + at]))
      .filter(Number.isFinite);
    const value = finite.length ? finite.reduce((sum, number) => sum + number, 0) / finite.length : NaN;
    return { value, weight, record: part.order[at], channel: columns[0], time: part.centre[at], edges: table.edges[channel] };
  }

  // Reads pixel (x, y) of a figure; null outside its panels. Of a panel of several instruments it is
  // the first that has a value there, as drawn; if none has, the first with a channel there.
  async function at(item, head, figure, x, y) {
    const panel = panelAt(figure, x, y);
    if (!panel) return null;
    if (panel.lines) return ofLines(item, head, panel, x, y);
    const axes = axesAt(panel, x, y);
    let first = null;
    for (const instrument of panel.instruments || [panel.instrument]) {
      const read = await ofInstrument(item, head, panel, instrument, axes);
      if (Number.isFinite(read.value)) return read;
      if (!first || (!first.cells.length && read.cells.length)) first = read;
    }
    return first;
  }

  // The values of the lines of a panel at the time of a pixel; a series has one channel, from 0.5 to 1.5.
  async function ofLines(item, head, panel, x, y) {
    const lines = [];
    let time = NaN;
    for (const line of panel.lines) {
      const channel = { ...panel, category: line.category, energy: [0.5, 1.5], y_scale: "linear" };
      const axes = axesAt(channel, x, y);
      ({ time } = axes);
      lines.push({ ...await ofInstrument(item, head, channel, line.instrument, axes), label: line.label || "" });
    }
    return { panel, time, lines };
  }

  async function ofInstrument(item, head, panel, instrument, axes) {
    const read = { panel, time: axes.time, energy: axes.energy, cells: [], value: NaN, spectrogram: null, instrument };
    const spectrogram = head.spectrograms[instrument];
    const row = spectrogram ? spectrogram.category.indexOf(panel.category) : -1;
    if (row < 0 || Number.isNaN(axes.time)) return read;
    read.spectrogram = spectrogram;
    const channels = spectrogram.tables.map((table) => channelsAt(table, panel, axes));
    for (const record of await recordsAt(item, spectrogram, instrument, axes)) {
      const number = record[0].table[record[1]];
      for (const channel of channels[number] || []) {
        read.cells.push(valueOf(spectrogram, row, record, spectrogram.tables[number], channel));
      }
    }
    const finite = read.cells.filter(({ value }) => Number.isFinite(value));
    const total = finite.reduce((sum, { weight }) => sum + weight, 0);
    read.value = finite.length === 1
      ? finite[0].value
      : finite.reduce((sum, { value, weight }) => sum + value * weight, 0) / total; // NaN if none
    read.averaged = finite.length;
    return read;
  }

  const heads = []; // Addresses of the scripts in memory, the latest last.

  // The descriptions of the figures of an item, and of its values.
  async function headOf(item) {
    const address = scriptOf(item, 0);
    const { head } = await load(address);
    for (const { tables } of Object.values(head.spectrograms)) tables.forEach(withPairs);
    if (heads.includes(address)) heads.splice(heads.indexOf(address), 1);
    heads.push(address);
    if (heads.length > ITEMS_KEPT) forget(heads.shift());
    return head;
  }

  // Drops what is in memory of an item: it has been written anew.
  function forgetItem(item) {
    forget(scriptOf(item, 0));
    for (const key of [...parts.keys()]) if (key.startsWith(`${item.id} `)) parts.delete(key);
  }

  return { at, headOf, forgetItem, partsBetween, recordsAt, channelsAt, columnsOf, valueOf, decoded, place };
})();
