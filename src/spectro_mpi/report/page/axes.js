// Axes of the figures that the page draws: positions and ticks, as in the figures of the run.
"use strict";

spectroMpi.axes = (() => {
  const STEPS = [0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 15, 30,
    ...[1, 2, 5, 10, 15, 30].map((minutes) => 60 * minutes), ...[1, 2, 3, 6, 12, 24, 48, 120, 240, 720].map((hours) => 3600 * hours)];

  // A linear or logarithmic axis: `fraction` is 0 at `low` and 1 at `high`; `units` choose the ticks.
  function scale(kind, low, high, units = "") {
    const log = kind === "log";
    const of = log ? Math.log10 : (value) => value;
    const [from, to] = [of(low), of(high)];
    return {
      kind, low, high, units,
      fraction: (value) => (of(value) - from) / (to - from),
      value: (fraction) => (log ? 10 ** (from + fraction * (to - from)) : from + fraction * (to - from)),
    };
  }

  // A scale round all finite values; a log one round the positive ones. Null if there are none.
  function scaleOf(kind, values) {
    const usable = values.filter((value) => Number.isFinite(value) && (kind !== "log" || value > 0));
    if (!usable.length) return null;
    let low = usable.reduce((a, b) => Math.min(a, b));
    let high = usable.reduce((a, b) => Math.max(a, b));
    if (kind === "log") return low === high ? scale(kind, low / 2, high * 2) : scale(kind, low / 1.2, high * 1.2);
    const margin = 0.05 * (high - low) || Math.abs(high) / 2 || 1;
    [low, high] = [low >= 0 && low < high / 2 ? 0 : low - margin, high + margin];
    return scale(kind, low, high);
  }

  function power(exponent) {
    if (exponent >= -1 && exponent <= 2) return String(Number(`1e${exponent}`));
    return `10${[...String(exponent)].map((digit) => (digit === "-" ? "⁻" : "⁰¹²³⁴⁵⁶⁷⁸⁹"[digit])).join("")}`;
  }

  // Ticks as {value, label}; those without a label are minor.
  function ticks(axis, most = 6) {
    return axis.kind === "log" ? logTicks(axis, most) : linearTicks(axis, most);
  }

  function logTicks({ low, high }, most) {
    const [first, last] = [Math.ceil(Math.log10(low) - 1e-9), Math.floor(Math.log10(high) + 1e-9)];
    const every = Math.max(1, Math.ceil((last - first + 1) / most));
    const found = [];
    for (let decade = first - 1; decade <= last; decade += 1) {
      for (let digit = 1; digit < 10; digit += 1) {
        const value = digit * 10 ** decade;
        if (value < low * (1 - 1e-9) || value > high * (1 + 1e-9)) continue;
        const few = last - first < 1 && (digit === 2 || digit === 5);
        const shown = digit === 1 ? (decade - first) % every === 0 : few;
        found.push({ value, label: !shown ? "" : digit === 1 ? power(decade) : String(Number(value.toPrecision(3))) });
      }
    }
    return found;
  }

  function linearTicks({ low, high, units }, most) {
    const raw = (high - low) / most;
    const unit = 10 ** Math.floor(Math.log10(raw));
    const degrees = units === "degrees" && raw > 10 ? [15, 30, 45, 90, 180] : [];
    const step = [...degrees, ...[1, 2, 5, 10].map((digit) => digit * unit)].find((size) => size >= raw * (1 - 1e-9));
    const found = [];
    for (let at = Math.ceil(low / step - 1e-9); at * step <= high * (1 + 1e-12); at += 1) {
      found.push({ value: at * step, label: String(Number((at * step).toPrecision(6))) });
    }
    return found;
  }

  // Ticks of an axis of times in s since 1970, labelled in UTC; `label` is the label of the axis.
  function timeTicks(begin, end, most) {
    const step = STEPS.find((size) => (end - begin) / size <= most) || STEPS.at(-1);
    const digits = step >= 60 ? 5 : step >= 1 ? 8 : 8 + 1 + Math.ceil(-Math.log10(step));
    const found = [];
    for (let at = Math.ceil(begin / step - 1e-6); at * step <= end + 1e-9; at += 1) {
      const text = new Date(Math.round(at * step * 1000)).toISOString();
      found.push({ value: at * step, label: step >= 86400 ? text.slice(5, 10) : text.slice(11, 11 + digits) });
    }
    return { ticks: found, label: `${new Date(begin * 1000).toISOString().slice(0, 10)} UTC` };
  }

  return { scale, scaleOf, ticks, timeTicks };
})();
