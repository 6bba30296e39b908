// Numbers, times and tables as text; and the way of a text into the clipboard.
"use strict";

spectroMpi.format = (() => {
  const { make } = spectroMpi;

  // With four digits, but for whole numbers below ten millions; from there on as in 1.5e9.
  function number(value) {
    const isLarge = Math.abs(value) >= 1e7;
    if (Number.isInteger(value) && !isLarge) return String(value);
    const rounded = Number(value.toPrecision(4));
    return isLarge ? rounded.toExponential().replace("+", "") : String(rounded);
  }
  const count = (n) => n.toLocaleString("en").replaceAll(",", "\u202f");

  // Whether a number, which may be of an address, is a time that a date can be made of.
  const isTime = (seconds) => Math.abs(seconds) < 8.64e12;

  // A time in s since 1970 as UTC, without "UTC": the nearest tenth of a second, or `digits` decimals.
  function clock(seconds, digits = 1) {
    if (!isTime(seconds)) return "–";
    const scale = 10 ** digits;
    const text = new Date(Math.round(seconds * scale) * (1000 / scale)).toISOString().replace("T", " ");
    return text.slice(0, digits ? 20 + digits : 19);
  }

  // Rows as comma-separated values; `notes` are lines before them.
  function csv(notes, header, rows) {
    const quoted = (cell) => (/[",\n]/.test(cell) ? `"${String(cell).replaceAll('"', '""')}"` : String(cell));
    const shown = (cell) => (typeof cell === "number" && !Number.isFinite(cell) ? "" : quoted(cell));
    return [...notes.map((note) => `# ${note}`), ...[header, ...rows].map((row) => row.map(shown).join(","))].join("\n") + "\n";
  }

  // Copies a text; also where the browser has no clipboard for the page (http from another host).
  async function copy(text) {
    try {
      await navigator.clipboard.writeText(text);
      return true;
    } catch {
      const area = make("textarea", { class: "offscreen", "aria-hidden": "true", readonly: true });
      area.value = text;
      document.body.append(area);
      area.select();
      const done = document.execCommand("copy");
      area.remove();
      return done;
    }
  }

  // A button that copies what `text` returns, and says so.
  function copyButton(label, text) {
    const button = make("button", { type: "button" }, label);
    button.addEventListener("click", async () => {
      button.textContent = (await copy(text())) ? "copied" : "not copied: the browser refuses";
      document.getElementById("said").textContent = button.textContent;
      setTimeout(() => { button.textContent = label; }, 1500);
    });
    return button;
  }

  // A button that saves what `text` returns as a file.
  function saveButton(label, name, text, type) {
    const button = make("button", { type: "button" }, label);
    button.addEventListener("click", () => {
      const link = make("a", { href: URL.createObjectURL(new Blob([text()], { type })), download: name });
      link.click();
      setTimeout(() => URL.revokeObjectURL(link.href), 1000);
    });
    return button;
  }

  return { number, count, isTime, clock, csv, copy, copyButton, saveButton };
})();
