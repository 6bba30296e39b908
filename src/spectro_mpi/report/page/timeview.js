// A part of the time of a figure, drawn on a canvas from the values of the store.
"use strict";

spectroMpi.timeView = (() => {
  const { make } = spectroMpi;
  const { paint, coloring } = spectroMpi.raster;
  const { scale, ticks, timeTicks } = spectroMpi.axes;
  const { clock } = spectroMpi.format;
  const MARGIN = { left: 68, right: 78, top: 22, bottom: 40 };
  const GAP = 26; // between two panels, with the label of the lower one
  const SHORTEST = 0.05; // s
  const FONT = '13px system-ui, -apple-system, "Segoe UI", "Noto Sans", sans-serif';

  // The panels of the first column: those of other columns show parts of the same.
  function panelsOf(figure) {
    const left = figure.panels[0]?.box[0];
    return figure.panels.filter((panel) => panel.box[0] === left && panel.energy && panel.time[0] !== null);
  }

  // Returns the view of a figure: {element, key}. `span`: the part to show, null for all of it;
  // `hooks`: point(described, x, y), pick(described, x, y), moved(span).
  function timeView(item, head, figure, span, hooks) {
    const panels = panelsOf(figure);
    if (!panels.length) return { element: make("p", { class: "note" }, "This figure has no values to be drawn."), key: () => false };
    const whole = panels[0].time;
    const canvas = make("canvas", { role: "img", "aria-label": "The figure, drawn for a part of its time" });
    const shown = make("output", { class: "span" });
    const state = { item, head, figure, panels, canvas, shown, whole, span: span || whole, hooks, request: 0, described: null, picture: null };
    const view = make("div", { class: "timeview" }, controls(state), canvas);
    canvas.addEventListener("pointermove", (event) => hover(state, event));
    canvas.addEventListener("pointerdown", (event) => select(state, event));
    canvas.addEventListener("dblclick", (event) => zoom(state, 0.25, timeAt(state, event)));
    let width = 0;
    new ResizeObserver(() => {
      if (view.clientWidth !== width) draw(state);
      width = view.clientWidth;
    }).observe(view);
    return { element: view, key: (name) => key(state, name) };
  }

  function controls(state) {
    const button = (label, words, act) => {
      const element = make("button", { type: "button", "aria-label": words }, label);
      element.addEventListener("click", act);
      return element;
    };
    return make("div", { class: "bar" },
      make("div", { class: "tabs", role: "group", "aria-label": "Part of the time" },
        button("‹", "Earlier", () => pan(state, -0.5)), button("−", "Longer time", () => zoom(state, 2)),
        button("all", "All of the time", () => show(state, state.whole)),
        button("+", "Shorter time", () => zoom(state, 0.5)), button("›", "Later", () => pan(state, 0.5))),
      state.shown, make("span", { class: "note" }, "Drag over the figure to choose a time."));
  }

  function key(state, name) {
    const acts = {
      "+": () => zoom(state, 0.5), "=": () => zoom(state, 0.5), "-": () => zoom(state, 2), 0: () => show(state, state.whole),
      ",": () => pan(state, -0.5), ".": () => pan(state, 0.5),
    };
    if (!acts[name]) return false;
    acts[name]();
    return true;
  }

  // --- the part that is shown

  function show(state, [begin, end]) {
    const [first, last] = state.whole;
    const length = Math.min(last - first, Math.max(SHORTEST, end - begin));
    const from = Math.min(Math.max(begin, first), last - length);
    state.span = [from, from + length];
    state.hooks.moved(length < last - first ? state.span : null);
    draw(state);
  }

  function zoom(state, by, around = null) {
    const [begin, end] = state.span;
    const at = around ?? (begin + end) / 2;
    show(state, [at - (at - begin) * by, at + (end - at) * by]);
  }

  function pan(state, by) {
    const [begin, end] = state.span;
    show(state, [begin + by * (end - begin), end + by * (end - begin)]);
  }

  // --- drawing

  function layoutOf(state) {
    const width = Math.max(220, state.canvas.parentElement.clientWidth);
    const narrow = width < 520;
    const left = narrow ? 46 : MARGIN.left;
    const right = width - (narrow ? 52 : MARGIN.right);
    const height = Math.round(Math.min(210, Math.max(90, 720 / state.panels.length)));
    const boxes = state.panels.map((_, at) => {
      const top = MARGIN.top + at * (height + GAP);
      return [left, top, right, top + height];
    });
    return { width, height: boxes.at(-1)[3] + MARGIN.bottom, boxes, narrow };
  }

  async function draw(state) {
    const layout = layoutOf(state);
    const ratio = window.devicePixelRatio || 1;
    state.request += 1;
    const { request, span, canvas } = state;
    state.shown.textContent = `${clock(span[0])} to ${clock(span[1])} UTC`;
    const images = [];
    for (const [at, panel] of state.panels.entries()) {
      const [left, top, right, bottom] = layout.boxes[at];
      const [width, height] = [Math.round((right - left) * ratio), Math.round((bottom - top) * ratio)];
      const pixels = await paint(state.item, state.head, panel, span, width, height);
      if (request !== state.request) return; // another part is wanted by now
      images.push(new ImageData(pixels, width, height));
    }
    canvas.width = Math.round(layout.width * ratio);
    canvas.height = Math.round(layout.height * ratio);
    canvas.style.aspectRatio = `${layout.width} / ${layout.height}`;
    const pen = canvas.getContext("2d");
    pen.fillStyle = "#fff";
    pen.fillRect(0, 0, canvas.width, canvas.height);
    for (const [at, image] of images.entries()) pen.putImageData(image, Math.round(layout.boxes[at][0] * ratio), Math.round(layout.boxes[at][1] * ratio));
    pen.scale(ratio, ratio);
    for (const [at, panel] of state.panels.entries()) frame(pen, panel, layout.boxes[at], layout.narrow);
    events(pen, state, layout);
    timeAxis(pen, span, layout);
    state.described = { ...state.figure, panels: state.panels.map((panel, at) => ({ ...panel, box: layout.boxes[at], time: span })) };
    canvas.dataset.span = span.join(" "); // what is drawn by now
    state.picture = copyOf(canvas);
  }

  function copyOf(canvas) {
    const copy = make("canvas", { width: canvas.width, height: canvas.height });
    copy.getContext("2d").drawImage(canvas, 0, 0);
    return copy;
  }

  function frame(pen, panel, [left, top, right, bottom], narrow) {
    Object.assign(pen, { strokeStyle: "#000", fillStyle: "#000", lineWidth: 1, font: FONT, textBaseline: "middle" });
    pen.strokeRect(left - 0.5, top - 0.5, right - left + 1, bottom - top + 1);
    pen.textAlign = "left";
    pen.fillText(fitting(pen, panel.label, right - left), left, top - 11);
    const energies = scale(panel.y_scale, ...panel.energy, panel.y_units);
    yTicks(pen, energies, left, top, bottom, -1);
    bar(pen, panel, right + 8, top, bottom);
    yTicks(pen, scale(panel.z_scale, ...panel.z), right + 20, top, bottom, 1);
    if (narrow) return;
    rotated(pen, panel.y_label || panel.y_units || "", 14, (top + bottom) / 2, bottom - top);
    rotated(pen, panel.z_label || "", right + 70, (top + bottom) / 2, bottom - top);
  }

  // A text, or as much of its beginning as fits.
  function fitting(pen, words, width) {
    let end = words.length;
    while (end > 1 && pen.measureText(end < words.length ? `${words.slice(0, end)}…` : words).width > width) end -= 1;
    return end < words.length ? `${words.slice(0, end).trimEnd()}…` : words;
  }

  function yTicks(pen, axis, x, top, bottom, side) {
    pen.textAlign = side < 0 ? "right" : "left";
    for (const { value, label } of ticks(axis, Math.max(2, Math.floor((bottom - top) / 32)))) {
      const y = Math.round(bottom - axis.fraction(value) * (bottom - top)) + 0.5;
      pen.beginPath();
      pen.moveTo(x, y);
      pen.lineTo(x + side * (label ? 5 : 3), y);
      pen.stroke();
      if (label) pen.fillText(label, x + side * 8, Math.min(Math.max(y, top + 6), bottom - 5));
    }
  }

  function bar(pen, panel, left, top, bottom) {
    const color = coloring(panel);
    const axis = scale(panel.z_scale, ...panel.z);
    for (let y = top; y < bottom; y += 1) {
      pen.fillStyle = `rgb(${[...color(axis.value((bottom - y - 0.5) / (bottom - top)))].join(" ")})`;
      pen.fillRect(left, y, 12, 1.5);
    }
    pen.fillStyle = "#000";
    pen.strokeRect(left - 0.5, top - 0.5, 13, bottom - top + 1);
  }

  function rotated(pen, words, x, y, most) {
    pen.save();
    pen.translate(x, y);
    pen.rotate(-Math.PI / 2);
    pen.textAlign = "center";
    pen.fillText(fitting(pen, words, most + GAP - 4), 0, 0);
    pen.restore();
  }

  // Lines at the start and end of the events in the part that is shown.
  function events(pen, { figure, span }, { boxes }) {
    for (const { start, end, color } of figure.events || []) {
      for (const time of new Set([start, end])) {
        if (!(time >= span[0] && time <= span[1])) continue;
        pen.fillStyle = `rgb(${color.join(" ")})`;
        for (const [left, top, right, bottom] of boxes) {
          pen.fillRect(left + ((time - span[0]) / (span[1] - span[0])) * (right - left) - 1, top, 2, bottom - top);
        }
      }
    }
    pen.fillStyle = "#000";
  }

  function timeAxis(pen, [begin, end], { boxes }) {
    const most = Math.max(2, Math.floor((boxes[0][2] - boxes[0][0]) / 90));
    const { ticks: found, label } = timeTicks(begin, end, most);
    const [left, , right, lowest] = boxes.at(-1);
    pen.textAlign = "center";
    for (const { value, label: words } of found) {
      const x = Math.round(left + ((value - begin) / (end - begin)) * (right - left)) + 0.5;
      for (const [, , , bottom] of boxes) {
        pen.beginPath();
        pen.moveTo(x, bottom);
        pen.lineTo(x, bottom + 5);
        pen.stroke();
      }
      pen.fillText(words, x, lowest + 14);
    }
    pen.fillText(label, (left + right) / 2, lowest + 31);
  }

  // --- the pointer

  function placeIn({ canvas }, event) {
    const box = canvas.getBoundingClientRect();
    const scaled = canvas.width / (window.devicePixelRatio || 1) / box.width;
    return [(event.clientX - box.left) * scaled, (event.clientY - box.top) * scaled];
  }

  function timeAt(state, event) {
    const [left, , right] = state.described.panels[0].box;
    const share = Math.min(1, Math.max(0, (placeIn(state, event)[0] - left) / (right - left)));
    return state.span[0] + share * (state.span[1] - state.span[0]);
  }

  function hover(state, event) {
    if (state.described) state.hooks.point(state.described, ...placeIn(state, event));
  }

  // A drag chooses a part of the time; a click is a pick.
  function select(state, down) {
    if (!state.described || down.button !== 0) return;
    hover(state, down);
    const [from, began] = [timeAt(state, down), down.clientX];
    const far = (event) => Math.abs(event.clientX - began) > 6;
    const shade = (event) => { if (far(event)) shaded(state, from, timeAt(state, event)); };
    const over = () => {
      removeEventListener("pointermove", shade);
      removeEventListener("pointerup", finish);
      removeEventListener("pointercancel", over);
    };
    const finish = (up) => {
      over();
      if (far(up)) show(state, [from, timeAt(state, up)].sort((one, other) => one - other));
      else state.hooks.pick(state.described, ...placeIn(state, up));
    };
    addEventListener("pointermove", shade);
    addEventListener("pointerup", finish);
    addEventListener("pointercancel", over);
  }

  function shaded({ canvas, picture, described, span }, from, to) {
    const pen = canvas.getContext("2d");
    const [left, top, right] = described.panels[0].box;
    const x = (time) => left + ((time - span[0]) / (span[1] - span[0])) * (right - left);
    pen.save();
    pen.resetTransform();
    pen.drawImage(picture, 0, 0);
    pen.restore();
    pen.fillStyle = "rgb(31 95 139 / 30%)";
    pen.fillRect(Math.min(x(from), x(to)), top, Math.abs(x(to) - x(from)), described.panels.at(-1).box[3] - top);
  }

  return { timeView };
})();
