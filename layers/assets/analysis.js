// What every analysis draws: areas or cells coloured by classes, one surface at a time.
"use strict";
(() => {
  const { data, layers, t, esc } = wangge;
  const { features, code, label, chain } = wangge.ground;
  const SCALE = 1e5;

  // A cell is a ring of whole numbers: its first vertex, then the steps from each to the next.
  const ring = (cell) => {
    let [x, y] = [0, 0];
    const out = [];
    for (let i = 0; i < cell.length; i += 2) {
      x += cell[i];
      y += cell[i + 1];
      out.push([x / SCALE, y / SCALE]);
    }
    out.push(out[0]);
    return out;
  };
  let made;
  const cells = () => made ??= data.cells.map((cell, i) => (
    { type: "Feature", id: i, properties: {}, geometry: { type: "Polygon", coordinates: [ring(cell)] } }
  ));
  const shapes = (of) => (of === "cells" ? cells() : features(of));

  const figure = (value) => (typeof value === "number" ? value.toLocaleString(document.documentElement.lang) : esc(value));
  const lines = (of, i) => (data.tips[of] ?? []).map(({ label: name, values, help }) => {
    const value = values[i];
    if (value === null || value === undefined || value === "") return "";
    return `<div>${esc(name)} <b>${figure(value)}</b></div>${help ? `<small>${esc(help)}</small>` : ""}`;
  }).join("");
  const head = (of, i) => (of === "cells" ? "" : `<b>${esc(label(of, i))}</b>
    <div>${esc(chain(of, i).join(" › "))}</div><div class="code">${t("code")} ${esc(code(of, i))}</div>`);
  wangge.tip = (of, i) => head(of, i) + lines(of, i);

  const colour = (surface, i) => surface.classes[surface.fill[i]]?.[0];
  // Another fill, of a moment or a class that is chosen in the panel, is drawn in place.
  wangge.paint = (name, fill) => {
    const surface = data.surfaces[name];
    surface.fill = fill;
    surface.drawn?.setStyle((feature) => style(surface, feature.id));
  };
  const style = (surface, i) => {
    const fill = colour(surface, i);
    const far = surface.of === "cells" ? 0 : 0.5;
    return {
      fillColor: fill ?? "#ffffff", fillOpacity: fill ? (surface.of === "cells" ? 0.85 : 1) : 0,
      color: "#cfc8ba", weight: far, opacity: far ? 1 : 0, smoothFactor: 0.6,
    };
  };

  // The legend is that of the surface that is shown.
  wangge.shown = (map, name) => {
    document.body.dataset.surface = name;
    document.querySelectorAll("[data-of-surface]").forEach((each) => {
      each.hidden = each.dataset.ofSurface !== name;
    });
    map.fire("surface", { name });
  };

  for (const [name, surface] of Object.entries(data.surfaces)) {
    layers[name] = (map) => {
      const group = L.layerGroup();
      group.on("add", () => {
        if (!surface.drawn) {
          surface.drawn = L.geoJSON(shapes(surface.of), { style: (f) => style(surface, f.id) })
            .bindTooltip((layer) => wangge.tip(surface.of, layer.feature.id), { sticky: true, className: "tip" });
          group.addLayer(surface.drawn);
        }
        wangge.shown(map, name);
      });
      return group;
    };
  }

  // To an area or a cell that the panel names.
  wangge.show = (map, of, i) => {
    const feature = shapes(of).find((each) => each.id === i);
    if (!feature) return;
    wangge.fit(map, L.geoJSON(feature).getBounds(), { maxZoom: 15.5 });
    wangge.found?.remove();
    wangge.pane.found ??= wangge.pane(map, "found", 460, false);
    wangge.found = L.geoJSON(feature, {
      renderer: wangge.pane.found, pane: "found", interactive: false,
      style: { color: "#000000", weight: 3.5, fill: false },
    }).addTo(map);
  };

  // A page that is narrowed to an area shows that area.
  const focus = (map) => {
    const [level, position] = data.focus ?? [];
    const feature = level && features(level).find((each) => each.id === position);
    if (!feature) return;
    const outline = L.geoJSON(feature, {
      renderer: wangge.pane(map, "focus", 455, false), pane: "focus", interactive: false,
      style: { color: "#000000", weight: 3, fill: false },
    }).addTo(map);
    const { _southWest: low, _northEast: high } = outline.getBounds();
    data.bounds = [[low.lat, low.lng], [high.lat, high.lng]];
  };

  wangge.finish = (map) => {
    wangge.zoomed(map);
    focus(map);
    document.querySelectorAll("[data-show]").forEach((entry) => {
      entry.addEventListener("click", () => wangge.show(map, entry.dataset.show, Number(entry.dataset.position)));
    });
    const control = document.querySelector(".leaflet-control-layers");
    if (map.getSize().x <= 700) control.classList.remove("leaflet-control-layers-expanded");
    (wangge.begin ?? []).forEach((begin) => begin(map));
    wangge.settle(map);
  };
})();
