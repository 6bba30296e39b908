// The language of the search field → conditions on items. Words that are separated by spaces must
// all hold; of words joined by commas any; numbers and times may be listed either way:
//   13312, 13400-13500 · 2000-01 · 2000-01-02 05:29 · 2000-01-02 05:00..06:00 · failed ees
//   mlt 10-12 ilat 70-75 south: in the same place of the orbit.
"use strict";

spectroMpi.search = (() => {
  const DAY = 86400;

  // Joins what belongs together: lists, spaced ranges, date and time, "mlt 10".
  function joined(text) {
    return text.toLowerCase().replace(/[–—]/g, "-")
      .replace(/\b(\d{4})\/(\d\d)\/(\d\d)\b/g, "$1-$2-$3")
      .replace(/(\d{4}-\d\d-\d\d)[ t]+(\d\d:\d\d)/g, "$1t$2")
      .replace(/(\d:\d\d(?:\.\d+)?)\s*(?:z|utc)\b/g, "$1")
      .replace(/\b(mlt|ilat)\s*[:=]?\s*(?=[-+.\d])/g, "$1:")
      .replace(/(\d)\s+(?:-|to)\s+(?=[-\d])|(\d)\s*\.\.\s*(?=[-\d])/g, (_, a, b) => `${a || b}..`)
      .replace(/(:\d\d)-(?=\d)/g, "$1..")
      .replace(/\s*,\s*/g, ",");
  }

  // --- times

  // The time that a date, in part or with a time of day, means: [from, to) in s since 1970.
  function period(word) {
    const match = /^(\d{4})(?:-(\d\d)(?:-(\d\d)(?:t(\d\d)(?::(\d\d)(?::(\d\d(?:\.\d+)?))?)?)?)?)?$/.exec(word);
    if (!match) return null;
    const [year, month, day, hour, minute, second] = match.slice(1);
    const at = (...fields) => Date.UTC(...fields) / 1000;
    const begin = at(year, (month || 1) - 1, day || 1, hour || 0, minute || 0) + Number(second || 0);
    if (Number.isNaN(begin) || month > 12 || day > 31 || hour > 23 || minute > 59) return null;
    if (second) return [begin, begin + (second.includes(".") ? 0 : 1)];
    if (minute) return [begin, begin + 60];
    if (hour) return [begin, begin + 3600];
    if (day) return [begin, begin + DAY];
    return month ? [begin, at(year, Number(month), 1)] : [begin, at(Number(year) + 1, 0, 1)];
  }

  function timeTerm(word) {
    const [from, until, ...more] = word.split("..");
    const first = period(from);
    if (!first || more.length) return null;
    if (until === undefined) return /^\d{4}$/.test(word) ? null : within(...first);
    // 2000-01-02 05:00..06:00: the end is on the same day.
    const last = period(/^\d\d(:\d\d)*(\.\d+)?$/.test(until) ? `${from.slice(0, 10)}t${until}` : until);
    if (!last || (/^\d{4}$/.test(from) && !isYear(from))) return null;
    return within(first[0], last[1]);
  }

  const isYear = (word) => /^(19|20)\d\d$/.test(word);
  const within = (from, to) => ({ kind: "time", holds: ({ begin, end }) => begin < Math.max(to, from + 1e-3) && end >= from });

  // --- numbers of items

  function idTerm(word) {
    const range = /^(\d+)(?:-|\.\.)(\d+)$/.exec(word);
    if (range) {
      const [low, high] = [Number(range[1]), Number(range[2])];
      return { kind: "id", holds: ({ id }) => /^\d+$/.test(id) && Number(id) >= low && Number(id) <= high };
    }
    if (!/^\d+$/.test(word)) return null;
    const year = isYear(word) ? within(...period(word)).holds : () => false;
    return { kind: "id", holds: (item) => item.id.startsWith(word) || year(item) };
  }

  // --- places

  // Each holds for a track: [MLT in full hours, ILAT from, to in full degrees], null if not known.
  function placeTerm(word) {
    if (word === "north" || word === "south") {
      return { kind: "place", track: ([, low]) => low !== null && (low < 0) === (word === "south") };
    }
    const match = /^(mlt|ilat):([-+]?[\d.]+?)(?:(?:-|\.\.)([-+]?[\d.]+))?$/.exec(word);
    if (!match) return null;
    const [from, to] = [Number(match[2]), Number(match[3] ?? match[2])];
    if (Number.isNaN(from) || Number.isNaN(to)) return null;
    return { kind: "place", track: match[1] === "mlt" ? inHours(from, to) : inDegrees(Math.min(from, to), Math.max(from, to)) };
  }

  // 22-2 goes through midnight; 10 is the hour from 10.
  function inHours(from, to) {
    const reaches = (low, high) => (hour) => (low === high ? Math.floor(low) === hour : hour + 1 > low && hour < high);
    const parts = from <= to ? [reaches(from, to)] : [reaches(from, 24), reaches(0, to)];
    return ([hour]) => hour !== null && parts.some((part) => part(hour));
  }

  // Degrees of either hemisphere; negative ones are of the southern one.
  function inDegrees(from, to) {
    const reaches = (low, high) => (from === to ? low <= from && from < high : high > from && low < to);
    return ([, low, high]) => low !== null && (reaches(low, high) || (from >= 0 && reaches(-high, -low)));
  }

  // --- the whole

  function term(word, knowsPlaces) {
    const text = { kind: "text", holds: (item) => item.text.includes(word) || item.id.toLowerCase().includes(word) };
    const ofPlace = knowsPlaces || word.includes(":") ? placeTerm(word) : null;
    return ofPlace || timeTerm(word) || idTerm(word) || text;
  }

  const onTrack = (tracks, groups) => tracks.some((track) => groups.every((group) => group.some((each) => each.track(track))));

  // Returns {needsPlaces, holds(item, tracks)}; `tracks` are those of the item, if they are needed.
  function parse(text, knowsPlaces) {
    const groups = [];
    for (const word of words(text)) {
      const group = word.split(",").filter(Boolean).map((each) => term(each, knowsPlaces));
      const [kind, others] = [group[0]?.kind, groups.find((other) => other.every((each) => each.kind === group[0]?.kind))];
      // No item has two numbers, so that 13312 13313 is a list; so are times.
      if (others && (kind === "id" || kind === "time") && group.every((each) => each.kind === kind)) others.push(...group);
      else if (group.length) groups.push(group);
    }
    const isPlace = (group) => group.every(({ kind }) => kind === "place");
    const places = groups.filter(isPlace);
    const others = groups.filter((group) => !isPlace(group));
    const one = (each, item, tracks) => (each.kind === "place" ? tracks.some(each.track) : each.holds(item));
    return {
      needsPlaces: groups.flat().some(({ kind }) => kind === "place"),
      holds: (item, tracks) => others.every((group) => group.some((each) => one(each, item, tracks)))
        && (!places.length || onTrack(tracks, places)),
    };
  }

  const words = (text) => joined(text).split(/\s+/).filter(Boolean);

  // Of items without a recorded end: they reach to the next one, a day at most.
  function fillEnds(items, complete) {
    for (const [at, item] of items.entries()) {
      if (item.end !== null || item.begin === null || (!complete && at === items.length - 1)) continue;
      const next = items[at + 1]?.begin;
      item.end = next > item.begin ? Math.min(next, item.begin + DAY) - 1e-3 : item.begin + DAY;
    }
  }

  return { parse, words, fillEnds };
})();
