// Maps of the atlas, drawn from the data in this page. Texts are only inserted as text.
"use strict";

(() => {
  const { instruments, grid, colors, itemWord } = JSON.parse(document.getElementById("atlas").textContent);
  const form = document.getElementById("choice");
  const maps = document.getElementById("maps");
  const readout = document.getElementById("readout");
  const details = document.getElementById("cell");
  const NS = "http://www.w3.org/2000/svg";
  const SIZE = 360, RADIUS = 150, MIDDLE = SIZE / 2;
  const state = { instrument: 0, map: 0, statistic: 0, altitude: 0 };
  let chosen = null; // [hemisphere, ilat, mlt]

  function make(name, attributes = {}, text = "") {
    const svg = ["svg", "path", "circle", "line", "text", "defs", "pattern", "rect", "g"].includes(name);
    const element = svg ? document.createElementNS(NS, name) : document.createElement(name);
    for (const [key, value] of Object.entries(attributes)) element.setAttribute(key, value);
    if (text) element.textContent = text;
    return element;
  }

  const point = (radius, hours) => {
    const angle = ((hours - 6) * Math.PI) / 12;
    return [MIDDLE + radius * Math.cos(angle), MIDDLE - radius * Math.sin(angle)];
  };
  const radiusOf = (latitude) => (RADIUS * (90 - latitude)) / (90 - grid.ilat[0]);
  const fixed = (pair) => pair.map((each) => each.toFixed(2)).join(" ");

  function outline(ilat, mlt) {
    const [low, high] = [grid.ilat[ilat], grid.ilat[ilat + 1]].map(radiusOf);
    const [from, to] = [grid.mlt[mlt], grid.mlt[mlt + 1]];
    const large = to - from > 12 ? 1 : 0;
    return `M${fixed(point(low, from))}A${low.toFixed(2)} ${low.toFixed(2)} 0 ${large} 0 ${fixed(point(low, to))}` +
      `L${fixed(point(high, to))}A${high.toFixed(2)} ${high.toFixed(2)} 0 ${large} 1 ${fixed(point(high, from))}Z`;
  }

  const instrument = () => instruments[state.instrument];
  const level = () => instrument().levels[state.altitude];
  const shown = () => instrument().maps[state.map];
  const statistics = () => (state.altitude ? shown().few : shown().all);
  const values = () => level().values[statistics()[state.statistic].key];
  const area = () => (grid.ilat.length - 1) * (grid.mlt.length - 1);
  const cellOf = (hemisphere, ilat, mlt) => hemisphere * area() + ilat * (grid.mlt.length - 1) + mlt;
  const placeOf = (cell) => [Math.floor(cell / area()), Math.floor((cell % area()) / (grid.mlt.length - 1)), cell % (grid.mlt.length - 1)];

  function number(value) {
    if (value === null || value === undefined) return "no value";
    if (Number.isInteger(value) && Math.abs(value) < 1e6) return value.toLocaleString("en").replaceAll(",", "\u202f");
    return Math.abs(value) >= 1e5 || Math.abs(value) < 1e-3 ? value.toExponential(2) : Number(value.toPrecision(4)).toString();
  }

  const unitsOf = ({ key }) => (key.endsWith("/n") || !shown().units ? "" : ` ${shown().units}`);

  function scaleOf(all) {
    const map = shown();
    const known = all.filter((value) => value !== null && (!map.log || value > 0)).sort((a, b) => a - b);
    if (!known.length) return { low: 0, high: 1, log: false };
    const at = (share) => known[Math.round(share * (known.length - 1))];
    const low = map.low ?? at(0.02);
    const high = Math.max(map.high ?? at(0.98), map.log ? low * 1.3 : low + 1e-9);
    return { low, high, log: map.log };
  }

  function colorOf(value, { low, high, log }) {
    const share = log ? Math.log(Math.max(value, low) / low) / Math.log(high / low) : (value - low) / (high - low);
    const map = colors[shown().colors];
    return map[Math.min(map.length - 1, Math.max(0, Math.floor(share * map.length)))];
  }

  function dial(hemisphere, scale) {
    const name = ["North", "South"][hemisphere];
    const svg = make("svg", { viewBox: `0 0 ${SIZE} ${SIZE}`, role: "application", tabindex: "0", "aria-label": `${name}: ${shown().label}. Arrow keys move from cell to cell.` });
    const defs = make("defs");
    const hatch = make("pattern", { id: "hatch", width: 6, height: 6, patternUnits: "userSpaceOnUse", patternTransform: "rotate(45)" });
    hatch.append(make("rect", { class: "ground", width: 6, height: 6 }), make("line", { class: "hatch", x1: 0, y1: 0, x2: 0, y2: 6 }));
    defs.append(hatch);
    svg.append(defs, make("circle", { class: "disc", cx: MIDDLE, cy: MIDDLE, r: RADIUS }));
    const { cells } = level();
    values().forEach((value, row) => {
      const [side, ilat, mlt] = placeOf(cells[row]);
      if (side !== hemisphere || value === null) return;
      const color = colorOf(value, scale);
      svg.append(make("path", { class: "cell", d: outline(ilat, mlt), fill: color, stroke: color, "data-cell": cells[row] }));
    });
    for (let ring = Math.ceil((grid.ilat[0] + 0.1) / 10) * 10; ring < 90; ring += 10) {
      svg.append(make("circle", { class: "ring", cx: MIDDLE, cy: MIDDLE, r: radiusOf(ring) }));
      const [x, y] = point(radiusOf(ring), 15);
      svg.append(make("text", { x, y, "text-anchor": "middle" }, `${ring}°`));
    }
    [[0, "00", 14], [6, "06", 4], [12, "12", -6], [18, "18", 4]].forEach(([hours, text, down]) => {
      const [x, y] = point(RADIUS + (hours % 12 ? 14 : 2), hours);
      svg.append(make("text", { x, y: y + down, "text-anchor": "middle" }, text));
    });
    if (chosen && chosen[0] === hemisphere) {
      for (const kind of ["chosen", "chosen inner"]) svg.append(make("path", { class: kind, d: outline(chosen[1], chosen[2]) }));
    }
    svg.addEventListener("pointermove", (event) => tell(event.target.dataset?.cell));
    svg.addEventListener("click", (event) => choose(event.target.dataset?.cell));
    svg.addEventListener("keydown", (event) => step(event, hemisphere));
    const figure = make("figure");
    const records = level().records.reduce((sum, each, row) => sum + (placeOf(cells[row])[0] === hemisphere ? each : 0), 0);
    figure.append(svg, make("figcaption", {}, `${name}: ${number(records)} records`));
    return figure;
  }

  function bar(scale) {
    const svg = make("svg", { viewBox: "0 0 104 300", role: "img", "aria-label": `Colour scale: ${shown().label}, ${number(scale.low)} to ${number(scale.high)}` });
    const map = colors[shown().colors];
    map.forEach((color, place) => svg.append(make("rect", { x: 0, y: 290 - ((place + 1) * 280) / map.length, width: 16, height: 280 / map.length + 0.5, fill: color })));
    for (let tick = 0; tick <= 4; tick += 1) {
      const share = tick / 4;
      const value = scale.log ? scale.low * (scale.high / scale.low) ** share : scale.low + share * (scale.high - scale.low);
      svg.append(make("text", { x: 21, y: 294 - share * 280 }, Math.abs(value) >= 1e4 ? value.toExponential(1) : Number(value.toPrecision(2)).toString()));
    }
    return svg;
  }

  function where([hemisphere, ilat, mlt]) {
    return `${["north", "south"][hemisphere]}, ${grid.mlt[mlt]} to ${grid.mlt[mlt + 1]} h MLT, ${grid.ilat[ilat]} to ${grid.ilat[ilat + 1]}° ILAT`;
  }

  function tell(cell) {
    if (cell === undefined) return;
    const row = level().cells.indexOf(Number(cell));
    const value = row < 0 ? null : values()[row];
    const units = value === null ? "" : unitsOf(statistics()[state.statistic]);
    readout.textContent = `${where(placeOf(Number(cell)))}: ${number(value)}${units}; ${number(row < 0 ? 0 : level().records[row])} records`;
  }

  function choose(cell) {
    if (cell === undefined) return;
    chosen = placeOf(Number(cell));
    draw();
  }

  function step(event, hemisphere) {
    const by = { ArrowUp: [-1, 0], ArrowDown: [1, 0], ArrowLeft: [0, 1], ArrowRight: [0, -1] }[event.key];
    if (!by) return;
    event.preventDefault();
    const [latitudes, hours] = [grid.ilat.length - 1, grid.mlt.length - 1];
    const at = chosen && chosen[0] === hemisphere ? chosen : [hemisphere, Math.floor(latitudes / 2) - by[0], 0 - by[1]];
    chosen = [hemisphere, Math.min(latitudes - 1, Math.max(0, at[1] + by[0])), (at[2] + by[1] + hours) % hours];
    draw();
    maps.querySelectorAll("svg[role=application]")[hemisphere].focus();
  }

  function describe() {
    details.hidden = !chosen;
    if (!chosen) return;
    const cell = cellOf(...chosen);
    tell(cell);
    const row = level().cells.indexOf(cell);
    details.replaceChildren(make("h2", {}, `${where(chosen)}, ${level().name}`));
    if (row < 0) {
      details.append(make("p", {}, "No record lies in this cell."));
      return;
    }
    details.append(make("p", {}, `${number(level().records[row])} records of ${number(level().items[row])} ${itemWord}s. ${shown().label}:`));
    const table = make("table");
    for (const { key, name } of statistics()) {
      const line = make("tr");
      line.append(make("th", { scope: "row" }, name), make("td", {}, number(level().values[key][row]) + unitsOf({ key })));
      table.append(line);
    }
    details.append(table, make("p", {}, `The ${itemWord}s with the most records here:`));
    const list = make("ol");
    for (const [item, records] of level().top[row]) {
      const entry = make("li");
      entry.append(make("a", { href: `index.html#item/${encodeURIComponent(item)}` }, item), ` ${number(records)} records`);
      list.append(entry);
    }
    details.append(list);
  }

  function draw() {
    const scale = scaleOf(values());
    const scaled = make("div", { class: "bar" });
    scaled.append(bar(scale), make("p", { class: "note" }, unitsOf(statistics()[state.statistic])));
    maps.replaceChildren(dial(0, scale), dial(1, scale), scaled);
    describe();
  }

  function menu(label, key, names) {
    const select = make("select");
    names.forEach((name, place) => select.append(make("option", { value: place }, name)));
    state[key] = Math.min(state[key], names.length - 1);
    select.value = state[key];
    select.addEventListener("change", () => { state[key] = Number(select.value); menus(key); draw(); });
    const wrapped = make("label", {}, label);
    wrapped.append(select);
    return [wrapped, select];
  }

  function menus(focused = "") {
    const made = [
      ["Instrument", "instrument", instruments.map(({ title }) => title)],
      ["Map", "map", instrument().maps.map(({ label }) => label)],
      ["Altitude", "altitude", instrument().levels.map(({ name }) => name)],
    ].map(([label, key, names]) => [key, ...menu(label, key, names)]);
    made.push(["statistic", ...menu("Statistic", "statistic", statistics().map(({ name }) => name))]);
    form.replaceChildren(...made.map(([, label]) => label));
    made.find(([key]) => key === focused)?.[2].focus();
  }

  form.addEventListener("submit", (event) => event.preventDefault());
  if (!instruments.length) {
    readout.textContent = "The maps are empty.";
    return;
  }
  menus();
  draw();
})();
