// The hot spots' own: the density as a picture, and the slider over parts of the time.
"use strict";
(() => {
  const { data, layers, t } = wangge;

  layers.heat = (map) => {
    const pane = map.createPane("heat");
    pane.style.zIndex = 405;
    const picture = L.imageOverlay(`data:image/png;base64,${data.heat.png}`, data.heat.bounds, { pane: "heat" });
    picture.on("add", () => wangge.shown(map, "heat"));
    return picture;
  };

  // Of a part of the time the map shows counts, in classes over all its parts, so that they compare.
  const slide = (map) => {
    const box = document.querySelector(".when");
    const counts = data.surfaces.counts;
    if (!box || !counts || !data.slots) return;
    const whole = { fill: counts.fill, classes: counts.classes };
    const [bar, range, output] = [".slide", "input", "output"].map((each) => box.querySelector(each));
    const play = box.querySelector(".play");
    let [kind, timer] = ["whole", 0];
    const paint = () => {
      const slots = data.slots[kind];
      if (!slots) {
        counts.classes = whole.classes;
        wangge.paint("counts", whole.fill);
        return;
      }
      const at = Number(range.value);
      counts.classes = slots.colours.map((colour) => [colour, ""]);
      wangge.paint("counts", Array.from(slots.digits[at], Number));
      output.textContent = slots.labels[at];
    };
    const stop = () => {
      clearInterval(timer);
      timer = 0;
      play.textContent = t("play");
    };
    const choose = (name) => {
      kind = name;
      stop();
      box.querySelectorAll("[data-slots]").forEach((each) => each.setAttribute("aria-pressed", String(each.dataset.slots === name)));
      bar.hidden = name === "whole";
      range.max = (data.slots[name]?.labels.length ?? 1) - 1;
      range.value = 0;
      paint();
    };
    box.querySelectorAll("[data-slots]").forEach((each) => each.addEventListener("click", () => choose(each.dataset.slots)));
    range.addEventListener("input", paint);
    play.addEventListener("click", () => {
      if (timer) return stop();
      play.textContent = t("stop");
      timer = setInterval(() => {
        range.value = (Number(range.value) + 1) % (Number(range.max) + 1);
        paint();
      }, 700);
    });
    map.on("surface", ({ name }) => {
      box.hidden = name !== "counts";
      if (box.hidden) choose("whole");
    });
  };
  wangge.begin = [...(wangge.begin ?? []), slide];
})();
