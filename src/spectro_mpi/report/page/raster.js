// Values of the store → pixels of a panel, by the rules of the figures (`draw/raster.py`): what
// `values.js` reads at one pixel, for all of them.
"use strict";

spectroMpi.raster = (() => {
  const { config, values } = spectroMpi;
  const { scale } = spectroMpi.axes;
  const NO_TABLE = 0xff;
  const UNDER = [208, 208, 208];
  const colors = new Map(); // Name of a colour map → its colours, three bytes each

  function colorsOf(name) {
    if (!colors.has(name)) {
      const grey = Uint8Array.from({ length: 768 }, (_, at) => 255 - Math.floor(at / 3));
      const known = config.colormaps[name];
      colors.set(name, known ? Uint8Array.from(atob(known), (letter) => letter.charCodeAt(0)) : grey);
    }
    return colors.get(name);
  }

  // Records of several parts as one list.
  function recordsOf(parts) {
    const concat = (name) => Float64Array.from(parts.flatMap((part) => [...part[name]]));
    const places = parts.flatMap((part) => Array.from({ length: part.records }, (_, at) => [part, at]));
    return { centre: concat("centre"), start: concat("start"), end: concat("end"), places };
  }

  // The records that each of `width` pixel columns shows, as [first, one past the last].
  function columnsOf(records, begin, end, width) {
    const edge = (column) => begin + (end - begin) * (column / width);
    const cut = Array.from({ length: width + 1 }, (_, column) => values.place(records.centre, edge(column)));
    return Array.from({ length: width }, (_, column) => {
      if (cut[column] < cut[column + 1]) return [cut[column], cut[column + 1]];
      const middle = (edge(column) + edge(column + 1)) / 2;
      const covering = values.place(records.start, middle, true) - 1;
      return covering >= 0 && middle < records.end[covering] ? [covering, covering + 1] : [0, 0];
    });
  }

  // The mean of the finite values of some columns of the store at a record; NaN if there is none.
  function meanOf(spectrogram, row, part, place, columns) {
    let [total, count] = [0, 0];
    for (const column of columns) {
      const value = values.decoded(spectrogram, part.codes[(row * spectrogram.channels + column) * part.records + place]);
      if (!Number.isFinite(value)) continue;
      total += value;
      count += 1;
    }
    return count ? total / count : NaN;
  }

  // Sums and counts of finite values by channel, for each energy table that has records here.
  function sumsOf(spectrogram, row, records, [first, stop], channels) {
    const sums = new Map();
    for (let at = first; at < stop; at += 1) {
      const [part, place] = records.places[at];
      const number = part.table[place];
      if (number === NO_TABLE) continue;
      if (!sums.has(number)) sums.set(number, { total: new Float64Array(spectrogram.channels), count: new Float64Array(spectrogram.channels) });
      const { total, count } = sums.get(number);
      for (const { channel, columns } of channels[number]) {
        const value = meanOf(spectrogram, row, part, place, columns);
        if (!Number.isFinite(value)) continue;
        total[channel] += value;
        count[channel] += 1;
      }
    }
    return sums;
  }

  // Means of one column by pixel row, from the top; NaN where there is none.
  function columnMeans(sums, rows, height) {
    const means = new Float64Array(height).fill(NaN);
    for (let y = 0; y < height; y += 1) {
      let [total, weight] = [0, 0];
      for (const [number, { total: sum, count }] of sums) {
        for (const [channel, share] of rows[number][y]) {
          total += share * sum[channel];
          weight += share * count[channel];
        }
      }
      if (weight > 0) means[y] = total / weight;
    }
    return means;
  }

  // Means (column, row) of one instrument; columns that show the same records share an array.
  async function means(item, spectrogram, instrument, panel, [begin, end], width, height) {
    const row = spectrogram.category.indexOf(panel.category);
    const records = recordsOf(await values.partsBetween(item, spectrogram, instrument, begin, end));
    const rows = spectrogram.tables.map((table) => Array.from({ length: height }, (_, y) =>
      values.channelsAt(table, panel, { pixelRow: height - 1 - y, rows: height })));
    const channels = rows.map((ofTable, number) => [...new Set(ofTable.flat().map(([channel]) => channel))]
      .map((channel) => ({ channel, columns: values.columnsOf(spectrogram.tables[number], channel) })));
    let [last, column] = [[NaN, NaN], null];
    return columnsOf(records, begin, end, width).map((shown) => {
      if (shown[0] !== last[0] || shown[1] !== last[1]) column = columnMeans(sumsOf(spectrogram, row, records, shown, channels), rows, height);
      last = shown;
      return column;
    });
  }

  // The colours of values: RGBA of `width` × `height` pixels. Of several instruments the first with
  // a value counts.
  async function paint(item, head, panel, span, width, height) {
    const layers = [];
    for (const instrument of panel.instruments || [panel.instrument]) {
      const spectrogram = head.spectrograms[instrument];
      if (spectrogram?.category.includes(panel.category)) layers.push(await means(item, spectrogram, instrument, panel, span, width, height));
    }
    const pixels = new Uint8ClampedArray(4 * width * height).fill(255);
    const color = coloring(panel);
    for (let x = 0; x < width; x += 1) {
      for (let y = 0; y < height; y += 1) {
        const layer = layers.find((columns) => !Number.isNaN(columns[x][y]));
        if (layer) pixels.set(color(layer[x][y]), 4 * (y * width + x));
      }
    }
    return pixels;
  }

  // The function value → [red, green, blue] of a panel; clipped, but grey below a log scale.
  function coloring(panel) {
    const table = colorsOf(panel.colormap);
    const steps = table.length / 3;
    const axis = scale(panel.z_scale, ...panel.z);
    return (value) => {
      if (panel.z_scale === "log" && value < panel.z[0]) return UNDER;
      const step = Math.floor(Math.min(Math.max(axis.fraction(value) * steps, 0), steps - 1));
      return table.subarray(3 * step, 3 * step + 3);
    };
  }

  return { paint, coloring };
})();
