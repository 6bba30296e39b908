// A small line chart as SVG. It has presentation attributes only, so that it looks the same when it
// is saved, and its ink is `currentColor`, so that it follows the colours of the page.
"use strict";

spectroMpi.chart = (() => {
  const { ticks, timeTicks } = spectroMpi.axes;
  const COLORS = ["#2f7fb5", "#cf4a5a", "#2b8a57", "#a8791a", "#8666ad", "#6d7883"];
  const [WIDTH, HEIGHT] = [640, 320];
  const BOX = { left: 74, right: 624, top: 30, bottom: 268 };

  function svg(name, attributes = {}, ...children) {
    const element = document.createElementNS("http://www.w3.org/2000/svg", name);
    for (const [key, value] of Object.entries(attributes)) element.setAttribute(key, value);
    element.append(...children);
    return element;
  }

  const text = (x, y, anchor, content, more = {}) => svg("text", { x, y, "text-anchor": anchor, fill: "currentColor", ...more }, content);
  const line = (x1, y1, x2, y2, more = {}) => svg("line", { x1, y1, x2, y2, stroke: "currentColor", ...more });

  // Positions in the chart; `y` is NaN for what a log axis cannot show.
  const atX = (axis, value) => BOX.left + axis.fraction(value) * (BOX.right - BOX.left);
  const atY = (axis, value) => (axis.kind === "log" && value <= 0 ? NaN : BOX.bottom - axis.fraction(value) * (BOX.bottom - BOX.top));

  function horizontal({ axis, label, isTime }) {
    const time = isTime ? timeTicks(axis.low, axis.high, 7) : null;
    return [
      ...(time ? time.ticks : ticks(axis, 8)).flatMap(({ value, label: words }) => {
        const x = atX(axis, value);
        return [line(x, BOX.bottom, x, BOX.bottom + (words ? 6 : 3)), ...(words ? [text(x, BOX.bottom + 21, "middle", words)] : [])];
      }),
      text((BOX.left + BOX.right) / 2, BOX.bottom + 42, "middle", time ? `time, ${time.label}` : label),
    ];
  }

  function vertical({ axis, label }) {
    const middle = (BOX.top + BOX.bottom) / 2;
    return [
      ...ticks(axis, 5).flatMap(({ value, label: words }) => {
        const y = atY(axis, value);
        return [line(BOX.left - (words ? 6 : 3), y, BOX.left, y), ...(words ? [text(BOX.left - 10, y + 5, "end", words)] : [])];
      }),
      text(18, middle, "middle", label, { transform: `rotate(-90 18 ${middle})` }),
    ];
  }

  // Steps {from, to, value} as a path; it breaks where steps do not meet or have no value.
  function path(steps, x, y) {
    let [d, end] = ["", NaN];
    for (const { from, to, value } of steps) {
      const [left, right, height] = [atX(x, from), atX(x, to), atY(y, value)];
      if (!Number.isFinite(height)) end = NaN;
      else {
        d += `${Math.abs(left - end) < 0.01 ? "L" : "M"}${left.toFixed(2)} ${height.toFixed(2)}H${right.toFixed(2)}`;
        end = right;
      }
    }
    return d;
  }

  // The names of the lines, in a row above the chart, as many as fit; the main one is first.
  function legend(series) {
    let left = BOX.left;
    return series.flatMap(({ label, color }) => {
      const at = left;
      left += 36 + 8.2 * label.length;
      if (left > BOX.right) return [];
      return [line(at, BOX.top - 14, at + 16, BOX.top - 14, { stroke: color, "stroke-width": 3 }), text(at + 21, BOX.top - 9, "start", label)];
    });
  }

  // A chart of `series` {label, color, steps}, the main one first; `mark` is a place on the x axis.
  function chart({ x, y, series, mark, description }) {
    const clip = `clip-${chart.count = (chart.count || 0) + 1}`;
    const lines = series.map(({ steps, color }, place) => svg("path", {
      d: path(steps, x.axis, y.axis), fill: "none", stroke: color, "stroke-width": place ? 1.2 : 2.4, "stroke-linejoin": "round",
    })).reverse();
    const at = atX(x.axis, mark);
    return svg("svg", {
      xmlns: "http://www.w3.org/2000/svg", viewBox: `0 0 ${WIDTH} ${HEIGHT}`, role: "img", "aria-label": description,
      "font-family": "system-ui, sans-serif", "font-size": 14,
    },
      svg("clipPath", { id: clip }, svg("rect", { x: BOX.left, y: BOX.top, width: BOX.right - BOX.left, height: BOX.bottom - BOX.top })),
      svg("g", { "clip-path": `url(#${clip})` }, line(at, BOX.top, at, BOX.bottom, { "stroke-dasharray": "3 4", opacity: 0.6 }), ...lines),
      svg("rect", { x: BOX.left, y: BOX.top, width: BOX.right - BOX.left, height: BOX.bottom - BOX.top, fill: "none", stroke: "currentColor" }),
      ...horizontal(x), ...vertical(y), ...(series.length > 1 ? legend(series) : []));
  }

  // The chart as a file of its own, dark on white.
  function file(element) {
    const copy = element.cloneNode(true);
    copy.setAttribute("color", "#1c2127");
    copy.prepend(svg("rect", { width: WIDTH, height: HEIGHT, fill: "#ffffff" }));
    return `<?xml version="1.0" encoding="UTF-8"?>\n${new XMLSerializer().serializeToString(copy)}\n`;
  }

  return { chart, file, COLORS };
})();
