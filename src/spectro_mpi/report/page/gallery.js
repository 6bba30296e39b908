// The gallery: search, and the results as pages of thumbnails.
"use strict";

spectroMpi.gallery = (() => {
  const { items, make, itemHash, previews, config, knowsPlaces, loadPlaces, placesOf } = spectroMpi;
  const { parse, words, fillEnds } = spectroMpi.search;
  const number = spectroMpi.format.count;
  const PER_PAGE = 24;
  const REST_SECONDS = 1;
  const LIMITS = { given_extrema: "common limits", raw: "own limits" };
  const element = (id) => document.getElementById(id);
  const criteria = { query: "", state: "", event: "", instrument: "", kind: "", limits: "", page: 0 };
  let matches = [];
  let complete = false;
  let rest = 0; // Timer of the pictures below the screen

  // Finds the items; where they were is loaded when a search asks for it.
  function search() {
    const { needsPlaces, holds } = parse(criteria.query, knowsPlaces());
    if (needsPlaces) loadPlaces().then((loaded) => { if (loaded) again(); });
    const conditions = [(item) => holds(item, needsPlaces ? placesOf(item) : [])];
    if (criteria.state) conditions.push(({ state, words }) => state === criteria.state || words.includes(criteria.state));
    if (criteria.event) conditions.push(({ labels }) => labels.includes(criteria.event));
    if (criteria.instrument) conditions.push(({ instruments }) => instruments.includes(criteria.instrument));
    matches = items.filter((item) => conditions.every((condition) => condition(item)));
  }

  function again() {
    search();
    show();
  }

  // The name of a kind of figure: that of its instrument, with the kind if it is another than usual.
  function kindOf({ kind, instrument, scales }) {
    const name = !instrument ? kind : kind === "pitch-angle" ? instrument : `${instrument} ${kind}`;
    return config.scales > 1 ? `${name} ${scales}` : name;
  }

  const titleOf = (item, figure) =>
    `${config.item} ${item.id}, ${figure.label}, ${LIMITS[figure.limits] || figure.limits}`;

  // One cell of the sheet of thumbnails of an item, or the figure itself if there is no sheet.
  function thumbnail(item, figure) {
    const image = make("img", { loading: "lazy", decoding: "async", alt: "" });
    previews.show(image, item, figure);
    if (item.sheet) image.style.objectPosition = `0 ${figure.cells > 1 ? (100 * figure.cell) / (figure.cells - 1) : 0}%`;
    image.classList.toggle("whole", !item.sheet);
    const label = figure.limits === "raw" && config.limits.length > 1 ? `${kindOf(figure)} · own` : kindOf(figure);
    return make("a", { class: "thumbnail", href: `${itemHash(item)}/${figure.cell}`, "aria-label": titleOf(item, figure) },
      image, make("span", { "aria-hidden": "true" }, label));
  }

  const shown = (figure) => (!criteria.limits || figure.limits === criteria.limits) && (!criteria.kind || kindOf(figure) === criteria.kind);

  function card(item) {
    const figures = item.figures.filter(shown);
    const badges = [
      ...[item.state === "done" ? "" : item.state, ...item.words].filter(Boolean).map((word) => make("span", { class: `badge ${word}` }, word)),
      ...item.labels.map((label) => make("span", { class: "badge event" }, label)),
    ];
    return make("article", { class: "card" },
      make("h2", {}, make("a", { href: itemHash(item) }, item.id)),
      make("p", { class: "when" }, item.date ? `${item.date.replace("T", " ")} UTC` : "no date", " ", ...badges),
      figures.length ? make("div", { class: "thumbnails" }, ...figures.map((figure) => thumbnail(item, figure)))
        : make("p", { class: "note" }, item.figures.length ? "No figure matches." : item.state === "reduced" ? "Reduced; not drawn yet." : "No figures."));
  }

  const pages = () => Math.max(1, Math.ceil(matches.length / PER_PAGE));

  function show() {
    criteria.page = Math.min(Math.max(0, criteria.page), pages() - 1);
    const first = criteria.page * PER_PAGE;
    const visible = matches.slice(first, first + PER_PAGE);
    element("cards").replaceChildren(...visible.map(card));
    clearTimeout(rest); // Typing shows many pages for a moment.
    rest = setTimeout(() => element("cards").querySelectorAll("img").forEach(previews.loadNow), 1000 * REST_SECONDS);
    showCount();
    element("page").textContent = `page ${number(criteria.page + 1)} of ${number(pages())}`;
    element("earlier").disabled = criteria.page === 0;
    element("later").disabled = criteria.page >= pages() - 1;
  }

  // The words that find nothing by themselves, if nothing is found.
  function findsNothing() {
    const nothing = words(criteria.query).filter((word) => {
      const { needsPlaces, holds } = parse(word, knowsPlaces());
      return !items.some((item) => holds(item, needsPlaces ? placesOf(item) : []));
    });
    const quoted = nothing.map((word) => `“${word.replace(/^(mlt|ilat):/, "$1 ").replace(/(\d)t(\d)/g, "$1 $2")}”`);
    return quoted.length ? `; none has ${quoted.join(", ")}` : "";
  }

  // Shows the number of matches.
  function showCount() {
    const first = criteria.page * PER_PAGE;
    const visible = Math.min(PER_PAGE, matches.length - first);
    const some = visible < matches.length ? `, ${number(first + 1)} to ${number(first + visible)} shown` : "";
    const why = complete && !matches.length ? findsNothing() : "";
    element("found").textContent = `${number(matches.length)} of ${number(items.length)} ${config.item.toLowerCase()}s${some}${why}${complete ? "" : " (loading the index …)"}`;
  }

  function hash() {
    const parameters = new URLSearchParams();
    for (const [key, value] of Object.entries(criteria)) if (value) parameters.set(key, key === "page" ? value + 1 : value);
    const text = parameters.toString();
    return text ? `#gallery?${text}` : "#gallery";
  }

  // Sets the criteria from the parameters of an address.
  function adopt(text) {
    const parameters = new URLSearchParams(text);
    for (const key of ["query", "state", "event", "instrument", "kind", "limits"]) criteria[key] = parameters.get(key) || "";
    if (!parameters.has("limits") && !text) criteria.limits = config.limits.length > 1 ? config.limits[0] : "";
    if (parameters.get("limits") === "all") criteria.limits = "";
    criteria.page = Math.max(0, (Number.parseInt(parameters.get("page"), 10) || 1) - 1);
    for (const key of ["query", "state", "event", "instrument", "kind"]) element(key).value = criteria[key];
    element("limits").value = criteria.limits;
    search();
    show();
  }

  function changed() {
    for (const key of ["query", "state", "event", "instrument", "kind", "limits"]) criteria[key] = element(key).value;
    criteria.page = 0;
    search();
    show();
    history.replaceState(null, "", address());
  }

  const address = () => (hash() === "#gallery" && config.limits.length > 1 ? "#gallery?limits=all" : hash());

  function turn(by) {
    const page = Math.min(Math.max(0, criteria.page + by), pages() - 1);
    if (page !== criteria.page) {
      criteria.page = page;
      show();
      history.replaceState(null, "", address());
      window.scrollTo(0, 0);
    }
  }

  function fill(id, values, names = {}) {
    const known = new Set([...element(id).options].map(({ value }) => value));
    for (const value of values) if (!known.has(value)) element(id).append(make("option", { value }, names[value] || value));
    element(id).value = criteria[id];
  }

  // Offers the states, events, instruments and kinds that there are.
  function fillAll() {
    const tables = spectroMpi.known();
    fill("state", [...new Set(tables.states.flat())].sort());
    const labels = [...new Set(tables.labels.flat())].sort();
    element("events").hidden = !labels.length;
    fill("event", labels);
    fill("instrument", [...new Set(tables.instruments.flat())]);
    fill("kind", [...new Set(tables.figures.flat().map(kindOf))]);
  }

  // A chunk of the index has been added, or there is a newer index.
  function grown(last) {
    fillAll();
    complete = last;
    fillEnds(items, last);
    search();
    if (last || items.length <= config.chunkItems) show();
    else showCount();
  }

  function start() {
    element("limits").append(make("option", { value: "" }, "all"), ...config.limits.map((value) => make("option", { value }, LIMITS[value] || value)));
    criteria.limits = config.limits.length > 1 ? config.limits[0] : "";
    element("limits").value = criteria.limits;
    element("query").addEventListener("input", changed);
    for (const id of ["state", "event", "instrument", "kind", "limits"]) element(id).addEventListener("change", changed);
    for (const button of document.querySelectorAll("button.example")) {
      button.addEventListener("click", () => {
        element("query").value = button.textContent;
        changed();
      });
    }
    document.querySelector("form.search").addEventListener("submit", (event) => event.preventDefault());
    element("earlier").addEventListener("click", () => turn(-1));
    element("later").addEventListener("click", () => turn(1));
  }

  // The item `by` places after `item` in the search results; null at the end.
  function neighbour(item, by) {
    const among = matches.includes(item) ? matches : items;
    return among[among.indexOf(item) + by] || null;
  }

  return { start, grown, adopt, turn, neighbour, thumbnail, titleOf, kindOf, LIMITS, address };
})();
