// What every map page shares: the data, text, escaping, the clock, the scale, the printed page.
"use strict";
const wangge = { data: {}, layers: {} };

wangge.t = (key, values = {}) =>
  wangge.data.texts[key].replace(/\{(\w+)\}/g, (_, name) => values[name]);

wangge.esc = (text) =>
  String(text).replace(/[&<>"']/g, (c) => `&#${c.charCodeAt(0)};`);

wangge.now = () => Date.now();
wangge.age = (ms) => {
  const minutes = Math.max(0, Math.floor((wangge.now() - ms) / 60000));
  if (minutes < 1) return wangge.t("just_now");
  if (minutes < 60) return wangge.t("minutes_ago", { n: minutes });
  if (minutes < 2880) {
    return wangge.t("hours_ago", { h: Math.floor(minutes / 60), n: minutes % 60 });
  }
  return wangge.t("days_ago", { n: Math.floor(minutes / 1440) });
};

// The page says how old its figures are, and turns amber when nobody should rely on them any more.
wangge.STALE_MS = 5 * 60000;
wangge.isStale = () => wangge.now() - wangge.data.now > wangge.STALE_MS;
wangge.clock = () => {
  for (const element of document.querySelectorAll("[data-since]")) {
    element.textContent = wangge.age(Number(element.dataset.since));
  }
  document.body.classList.toggle("stale", wangge.isStale());
};

wangge.pane = (map, name, z, interactive) => {
  const pane = map.createPane(name);
  pane.style.zIndex = z;
  if (!interactive) pane.style.pointerEvents = "none";
  return interactive ? L.svg({ pane: name }) : L.canvas({ pane: name, padding: 0.3 });
};

// Panel and legend lie on the map: what is fitted goes between them, on a phone above and below.
// Where the panel stands beside the map, the map has its place for itself.
wangge.fit = (map, bounds, options = {}) => {
  if (document.querySelector(".panel.side")) {
    // Beside the legend or above it, whichever leaves more room.
    const legend = document.querySelector(".legend").getBoundingClientRect();
    const [best] = [[legend.width, 0], [0, legend.height]].map(([x, y]) => {
      const [first, last] = [[48, 48], [48 + x, 48 + y]];
      const zoom = map.getBoundsZoom(bounds, false, L.point(first).add(last));
      return { zoom, paddingTopLeft: first, paddingBottomRight: last };
    }).sort((one, other) => other.zoom - one.zoom);
    map.fitBounds(bounds, { ...best, ...options });
    return;
  }
  const size = map.getSize();
  const panel = document.querySelector(".panel").getBoundingClientRect();
  const legend = document.querySelector(".legend").getBoundingClientRect();
  const wide = size.x > 700;
  const [right, below] = legend.width ? [size.x - legend.left, size.y - legend.top] : [0, 0];
  map.fitBounds(bounds, {
    paddingTopLeft: wide ? [panel.right + 12, 16] : [8, panel.bottom + 8],
    paddingBottomRight: wide ? [right + 12, 16] : [8, below + 8],
    ...options,
  });
};

// A name that a pin, a control or another name lies on is left out.
wangge.uncover = (names, pins) => {
  const taken = [...document.querySelectorAll(`${pins}, .leaflet-control, .legend`)]
    .map((element) => element.getBoundingClientRect());
  for (const name of document.querySelectorAll(names)) {
    const box = name.getBoundingClientRect();
    const covered = taken.some((other) => box.left < other.right && other.left < box.right
      && box.top < other.bottom && other.top < box.bottom);
    name.style.visibility = covered ? "hidden" : "";
    if (!covered && box.width) taken.push(box);
  }
};

// On a phone panel and legend take the map's edges: its controls keep out of their way.
wangge.margins = () => {
  const height = (selector) => document.querySelector(selector).getBoundingClientRect().height;
  const style = document.body.style;
  style.setProperty("--panel", `${height(".panel")}px`);
  style.setProperty("--legend", `${height(".legend")}px`);
};

wangge.language = (link) => {
  const query = new URLSearchParams(location.search);
  query.set("lang", link.dataset.lang);
  link.href = "?" + query;
};

wangge.start = (map) => {
  wangge.map = map;
  wangge.clock();
  setInterval(wangge.clock, 10000);
  document.querySelectorAll("a[data-lang]").forEach(wangge.language);
  const position = map.getSize().x > 700 ? "bottomleft" : "bottomright";
  L.control.zoom({
    position, zoomInTitle: wangge.t("zoom_in"), zoomOutTitle: wangge.t("zoom_out"),
  }).addTo(map);
  L.control.scale({ imperial: false, maxWidth: 140, position }).addTo(map);
  wangge.fit(map, wangge.data.bounds, { animate: false });
  map.setMinZoom(Math.floor(map.getZoom()) - 1);
  map.setMaxZoom(18);
};

// The filters of a page, and the button that prints it.
wangge.forms = () => {
  document.querySelectorAll("form.filters").forEach((form) => form.addEventListener("submit", () => {
    // A part of the day stands in the address as its hours; what is not chosen does not.
    for (const field of [...form.elements]) {
      for (const value of field.dataset.field && field.value ? field.value.split(",") : []) {
        form.append(Object.assign(document.createElement("input"), { type: "hidden", name: field.dataset.field, value }));
      }
      field.disabled = Boolean(field.name && !field.value || field.dataset.field);
    }
  }));
  document.querySelector(".print")?.addEventListener("click", () => window.print());
};

// Once the layers have filled the legend, its size is known, and the city is fitted for good.
wangge.settle = (map) => {
  wangge.forms();
  new ResizeObserver(wangge.margins).observe(document.querySelector(".panel"));
  new ResizeObserver(wangge.margins).observe(document.querySelector(".legend"));
  wangge.margins();
  const whole = () => wangge.fit(map, wangge.data.bounds, { animate: false });
  whole();
  const home = map.getZoom();
  // A sheet has another size than the screen; the browser does not lay the map out again by itself.
  const sheet = (printing) => {
    const wasWhole = Math.abs(map.getZoom() - home) < 0.01 || printing === false && wangge.wasWhole;
    wangge.wasWhole = wasWhole;
    document.body.classList.toggle("printing", printing);
    map.invalidateSize({ animate: false });
    if (wasWhole) whole();
  };
  window.addEventListener("beforeprint", () => sheet(true));
  window.addEventListener("afterprint", () => sheet(false));
  document.body.classList.add("ready");
};
