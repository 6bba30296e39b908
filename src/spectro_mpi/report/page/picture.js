// A figure as a picture that can be enlarged; two of them with one slider between them.
"use strict";

spectroMpi.picture = (() => {
  const { make, figureOf } = spectroMpi;
  const element = (id) => document.getElementById(id);
  const ZOOMS = [1, 1.5, 2, 3, 4, 6];
  const STILL = 4; // pixels that a click may move
  let zoom = 0;

  // The place of the pointer in the pixels of a picture.
  function placeIn(image, event) {
    const box = image.getBoundingClientRect();
    return [((event.clientX - box.left) / box.width) * image.naturalWidth, ((event.clientY - box.top) / box.height) * image.naturalHeight];
  }

  // `point(figure, x, y)` is called where the pointer is, `pick` where it clicks.
  function imageOf(item, figure, words, { point, pick }) {
    const source = figureOf(item, figure);
    const image = make("img", { alt: words, src: source, draggable: "false" });
    image.addEventListener("error", () => image.replaceWith(make("p", { class: "callout" }, "The figure cannot be loaded: ", source)));
    image.addEventListener("pointermove", (event) => point(figure, ...placeIn(image, event)));
    image.addEventListener("pointerdown", (down) => {
      point(figure, ...placeIn(image, down));
      image.addEventListener("pointerup", (up) => {
        if (Math.hypot(up.clientX - down.clientX, up.clientY - down.clientY) < STILL) pick(figure, ...placeIn(image, up));
      }, { once: true });
    });
    return image;
  }

  function scrollerOf(...content) {
    const scroller = make("div", { class: "scroller", tabindex: "0", role: "group", "aria-label": "Figure; scrolls when enlarged" }, ...content);
    scroller.addEventListener("pointerdown", (event) => drag(scroller, event));
    scroller.addEventListener("dblclick", (event) => zoomTo(Math.min(zoom + 2, ZOOMS.length - 1), scroller, event));
    scroller.addEventListener("scroll", () => {
      for (const other of document.querySelectorAll(".scroller")) {
        if (other !== scroller && (other.scrollLeft !== scroller.scrollLeft || other.scrollTop !== scroller.scrollTop)) other.scrollTo(scroller.scrollLeft, scroller.scrollTop);
      }
    });
    return scroller;
  }

  function frame(item, figure, words, caption, hooks) {
    const image = imageOf(item, figure, words, hooks);
    image.classList.add("sized");
    return make("figure", {}, scrollerOf(image), make("figcaption", {}, caption, " · ", link(item, figure)));
  }

  const link = (item, figure) => make("a", { href: figureOf(item, figure) }, item.id + figure.tail);

  // Two figures of the same layout on each other; the slider says where the one ends.
  function curtain(item, [left, right], words, captions, hooks) {
    const above = imageOf(item, left, words(left), hooks);
    const below = imageOf(item, right, words(right), hooks);
    above.classList.add("above");
    const rule = make("span", { class: "rule", "aria-hidden": "true" });
    const slider = make("input", { type: "range", min: 0, max: 100, value: 50, step: "any", "aria-label": `Share of ${captions[0]}, in percent` });
    const move = () => {
      above.style.clipPath = `inset(0 ${100 - slider.value}% 0 0)`;
      rule.style.left = `${slider.value}%`;
    };
    slider.addEventListener("input", move);
    move();
    return make("figure", { class: "curtain" },
      make("div", { class: "slider" }, make("span", {}, captions[0]), slider, make("span", {}, captions[1])),
      scrollerOf(make("div", { class: "pair sized" }, below, above, rule)),
      make("figcaption", {}, captions[0], " · ", link(item, left)), make("figcaption", {}, captions[1], " · ", link(item, right)));
  }

  // --- enlarging

  function applyZoom() {
    for (const sized of document.querySelectorAll(".sized")) sized.style.width = `${100 * ZOOMS[zoom]}%`;
    for (const scroller of document.querySelectorAll(".scroller")) scroller.classList.toggle("zoomed", zoom > 0);
    element("smaller").disabled = zoom === 0;
    element("larger").disabled = zoom === ZOOMS.length - 1;
    element("fit").textContent = zoom ? `${100 * ZOOMS[zoom]} %` : "fit";
  }

  // Keeps the point under the pointer, or the middle, in place.
  function zoomTo(step, scroller = document.querySelector(".scroller"), event = null) {
    if (!scroller || step < 0 || step >= ZOOMS.length) return;
    const box = scroller.getBoundingClientRect();
    const [x, y] = event ? [event.clientX - box.left, event.clientY - box.top] : [box.width / 2, Math.min(box.height, innerHeight) / 2];
    const by = ZOOMS[step] / ZOOMS[zoom];
    const [left, top] = [(scroller.scrollLeft + x) * by - x, (scroller.scrollTop + y) * by - y];
    zoom = step;
    applyZoom();
    scroller.scrollTo(left, top);
  }

  function drag(scroller, down) {
    if (down.pointerType !== "mouse" || down.button !== 0 || zoom === 0) return;
    down.preventDefault();
    const [left, top] = [scroller.scrollLeft, scroller.scrollTop];
    const move = (event) => scroller.scrollTo(left - (event.clientX - down.clientX), top - (event.clientY - down.clientY));
    addEventListener("pointermove", move);
    addEventListener("pointerup", () => removeEventListener("pointermove", move), { once: true });
  }

  function start() {
    element("smaller").addEventListener("click", () => zoomTo(zoom - 1));
    element("larger").addEventListener("click", () => zoomTo(zoom + 1));
    element("fit").addEventListener("click", () => zoomTo(0));
  }

  return { frame, curtain, applyZoom, start, larger: () => zoomTo(zoom + 1), smaller: () => zoomTo(zoom - 1), fit: () => zoomTo(0) };
})();
