// Loads previews of items. Those of a month are packed in a few scripts, with a catalogue; those
// that a run has written since, and those of earlier versions, are files of their own.
"use strict";

spectroMpi.previews = (() => {
  const { config, load: loadScript, forget: forgetScript, figureOf, path } = spectroMpi;
  const PACKS_KEPT = 12;
  const SHEETS_KEPT = 200;
  const folder = (month) => `${config.previews}/${month}`;
  const catalogues = new Map(); // Key of a month → promise of {file → pack}
  const packs = []; // Addresses of packs in memory, the latest last.
  const sheets = new Map(); // Key of the month and file → promise of the address of a picture

  // A month as it is packed: a page of a run that goes on learns when that changes.
  const keyOf = (month) => `${month}?${config.packed[month] || ""}`;

  // What the packs of a month have; `again`: as it is on disk now, if this page is older.
  function catalogueOf(month, again) {
    const known = config.packed[month];
    const key = keyOf(month);
    if (!known && !again && !catalogues.has(key)) return new Map();
    if (again || !catalogues.has(key)) {
      const version = again ? `${Date.now()}` : known;
      const listed = loadScript(`${folder(month)}/packs/catalogue.js?${version}`).catch(() => ({}));
      catalogues.set(key, listed.then((all) => new Map(
        Object.entries(all).flatMap(([pack, files]) => files.map((file) => [file, pack])))));
    }
    return catalogues.get(key);
  }

  // The value of a file in a pack; undefined if no pack has it.
  async function unpacked(month, file, again) {
    const pack = (await catalogueOf(month, again)).get(file);
    if (!pack) return undefined;
    const address = `${folder(month)}/packs/${encodeURIComponent(pack)}`;
    const files = await loadScript(address);
    if (packs.includes(address)) packs.splice(packs.indexOf(address), 1);
    packs.push(address);
    if (packs.length > PACKS_KEPT) forgetScript(packs.shift());
    return files.get(file)();
  }

  const single = (month, file) => `${folder(month)}/${path(file)}`;

  // What the script of a preview holds. It may have been packed since this page was made.
  async function load({ month, file }) {
    try {
      const value = await unpacked(month, file, false);
      return value === undefined ? await loadScript(single(month, file)) : value;
    } catch (error) {
      const value = await unpacked(month, file, true);
      if (value === undefined) throw error;
      return value;
    }
  }

  // Drops a script from memory; packs are dropped by themselves.
  const forget = ({ month, file }) => forgetScript(single(month, file));

  const scripts = new Map(); // "month/file" → {month, file}: one object each, to compare

  // A script of an item; after the first, the end of its name, which earlier versions numbered "-1".
  function scriptOf(item, script) {
    const end = typeof script === "string" ? script : script ? `-${script}` : "";
    const file = `${item.id}${end}.js`;
    const key = `${item.month}/${file}`;
    if (!scripts.has(key)) scripts.set(key, { month: item.month, file });
    return scripts.get(key);
  }

  function asPicture(base64) {
    const bytes = Uint8Array.from(atob(base64), (letter) => letter.charCodeAt(0));
    return URL.createObjectURL(new Blob([bytes], { type: "image/jpeg" }));
  }

  // The address of the sheet of thumbnails of an item.
  function sheetOf(item, again) {
    const file = `${item.id}.jpg`;
    const key = `${keyOf(item.month)}/${file}`;
    if (again || !sheets.has(key)) {
      sheets.set(key, unpacked(item.month, file, again).catch(() => undefined)
        .then((base64) => (base64 === undefined ? single(item.month, file) : asPicture(base64))));
    }
    const oldest = sheets.keys().next().value;
    if (sheets.size > SHEETS_KEPT) {
      sheets.get(oldest).then((address) => { if (address.startsWith("blob:")) URL.revokeObjectURL(address); });
      sheets.delete(oldest);
    }
    return sheets.get(key);
  }

  const waiting = new WeakMap(); // Image that has not come into view → its item
  const observer = new IntersectionObserver((entries) => {
    for (const { target, isIntersecting } of entries) {
      if (isIntersecting) fetchSheet(target);
    }
  }, { rootMargin: "400px" });

  function fetchSheet(image) {
    const item = waiting.get(image);
    if (!item) return;
    waiting.delete(image);
    observer.unobserve(image);
    sheetOf(item, false).then((address) => { image.src = address; });
  }

  // Loads a picture that has not come into view, so that the whole page can be printed.
  function loadNow(image) {
    image.loading = "eager";
    fetchSheet(image);
  }

  // Shows the sheet of thumbnails of an item, or a figure if it has none, once it comes into view.
  function show(image, item, figure) {
    if (!item.sheet) {
      image.src = figureOf(item, figure);
      return;
    }
    const again = () => sheetOf(item, true).then((address) => { image.src = address; });
    image.addEventListener("error", again, { once: true });
    waiting.set(image, item);
    observer.observe(image);
  }

  return { load, forget, scriptOf, show, loadNow };
})();
