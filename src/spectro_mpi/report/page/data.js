// The index of items, loaded chunk by chunk, as scripts: a page opened from a file system can load
// data in no other way. Names and messages come from files and are only inserted as text.
"use strict";

const spectroMpi = (() => {
  const parsed = (id) => JSON.parse(document.getElementById(id).textContent);
  const config = parsed("config");
  const scripts = parsed("scripts");
  let logs = parsed("logs");

  const items = []; // In order; grows chunk by chunk.
  const errors = []; // Chunk → {item: [[instrument, phase, reason, message, link], …]}
  const places = []; // Item → [[MLT, ILAT from, to], …], in the order of items
  let tables = null;
  let hasPlaces = false;
  const byId = new Map();
  const listeners = [];
  const loading = new Map(); // Address → promise
  const arrived = new Map(); // Address → the value that its script passed on

  function load(address) {
    if (!loading.has(address)) {
      loading.set(address, new Promise((resolve, reject) => {
        const script = document.createElement("script");
        script.src = address;
        script.dataset.address = address;
        script.onload = () => { script.remove(); resolve(arrived.get(address)); };
        script.onerror = () => {
          script.remove();
          loading.delete(address);
          reject(new Error(`${address} cannot be loaded`));
        };
        document.head.append(script);
      }));
    }
    return loading.get(address);
  }

  // Drops a script from memory; large scripts are not kept.
  function forget(address) {
    loading.delete(address);
    arrived.delete(address);
  }

  // Takes the value of the script that runs; outside a script it is that of a file in a pack.
  function hand(value) {
    if (document.currentScript) arrived.set(document.currentScript.dataset.address, value);
    return value;
  }

  // Takes a file of a pack, which is made when it is asked for.
  function packed(file, make) {
    const { address } = document.currentScript.dataset;
    if (!arrived.has(address)) arrived.set(address, new Map());
    arrived.get(address).set(file, make);
  }

  function entry(row, place) {
    const [id, start, month, state, instruments, figures, labels, previews, begin = start, length = null] = row;
    const [name, ...words] = tables.states[state];
    const date = start === null ? "" : new Date(start * 1000).toISOString().slice(0, 19);
    const item = {
      id, start, date, begin,
      end: length === null ? null : begin + length,
      place,
      month: tables.months[month],
      state: name,
      words,
      labels: tables.labels[labels],
      instruments: tables.instruments[instruments],
      figures: tables.figures[figures],
      sheet: (previews & 1) > 0,
      script: (previews & 2) > 0,
    };
    item.text = [date.replace("T", " "), name, ...words, ...item.labels, ...item.instruments].join(" ").toLowerCase();
    return item;
  }

  async function loadIndex() {
    await load(scripts.tables);
    for (const [number, chunk] of scripts.chunks.entries()) {
      for (const row of await load(chunk.items)) {
        const item = entry(row, items.length);
        items.push(item);
        byId.set(item.id, item);
      }
      forget(chunk.items);
      const last = number === scripts.chunks.length - 1;
      for (const listener of listeners) listener(last);
      // Lets the browser draw the page and react to input between two chunks.
      await new Promise((resolve) => setTimeout(resolve));
    }
    if (!scripts.chunks.length) for (const listener of listeners) listener(true);
  }

  // Replaces the index by a newer one, all at once.
  async function renewIndex(newer, newerLogs) {
    if (JSON.stringify(newer) === JSON.stringify(scripts)) return;
    await load(newer.tables);
    const fresh = [];
    for (const chunk of newer.chunks) {
      for (const row of await load(chunk.items)) fresh.push(entry(row, fresh.length));
      forget(chunk.items);
    }
    Object.assign(scripts, newer);
    logs = newerLogs;
    for (const list of [items, errors, places]) list.length = 0;
    hasPlaces = false;
    byId.clear();
    for (const item of fresh) {
      items.push(item);
      byId.set(item.id, item);
    }
    for (const listener of listeners) listener(true);
  }

  async function errorsOf(number) {
    const { errors: address } = scripts.chunks[number];
    if (address && !errors[number]) errors[number] = await load(address);
    return errors[number] || {};
  }

  // Loads where all items were; returns false if they are loaded already.
  async function loadPlaces() {
    if (hasPlaces) return false;
    const loaded = [];
    for (const chunk of scripts.chunks) {
      const rows = chunk.places ? await load(chunk.places) : Array.from({ length: chunk.count }, () => []);
      for (const numbers of rows) {
        loaded.push(Array.from({ length: numbers.length / 3 }, (_, at) => numbers.slice(3 * at, 3 * at + 3)));
      }
      if (chunk.places) forget(chunk.places);
    }
    if (hasPlaces) return false; // of another call
    hasPlaces = true;
    for (const each of loaded) places.push(each);
    return true;
  }

  const path = (...parts) => parts.map(encodeURIComponent).join("/");
  const under = (base, item, ...parts) => `${base}/${item.month}/${path(...parts)}`;

  return {
    config, scripts, items, byId, load, forget, loadIndex, renewIndex, errorsOf, loadPlaces,
    knowsPlaces: () => scripts.chunks.some((chunk) => chunk.places),
    placesOf: (item) => places[item.place] || [],
    onItems: (listener) => listeners.push(listener),
    path,
    figureOf: (item, figure) => under(`${config.root}/plots`, item, item.id, item.id + figure.tail),
    itemHash: (item) => `#item/${encodeURIComponent(item.id)}`,
    logLink(link) {
      const at = link.lastIndexOf("#");
      const page = logs[link.slice(0, at)];
      return page ? page + link.slice(at) : "";
    },
    // Called by the loaded scripts:
    tables: (value) => { tables = value; },
    known: () => tables,
    handItems: (_, rows) => hand(rows),
    handErrors: (_, table) => hand(table),
    handPlaces: (_, rows) => hand(rows),
    item: (head, parts) => hand({ head, parts }),
    part: (parts) => hand({ head: null, parts }),
    packed,
    catalogue: hand,
  };
})();

// Creates an element with attributes and children; texts are appended as text, never parsed.
spectroMpi.make = (name, attributes = {}, ...children) => {
  const element = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) {
    if (value !== null && value !== undefined && value !== false) element.setAttribute(key, value === true ? "" : value);
  }
  element.append(...children);
  return element;
};
