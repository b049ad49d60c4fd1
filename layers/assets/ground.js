// What lies under the city's maps: areas from the packed topology, borders, names, water, roads.
"use strict";
(() => {
  const { data, layers, t, esc } = wangge;
  const LEVELS = ["districts", "towns", "villages", "grids"];
  const INK = "#22344d";

  const object = (name) => data.topology.objects[name];
  const features = (name) => {
    const found = topojson.feature(data.topology, object(name)).features;
    found.forEach((feature, i) => { feature.id = i; });
    return found.filter((feature) => feature.geometry);
  };
  const drawn = () => LEVELS.filter((level) => object(level));
  const above = (level) => {
    const levels = drawn();
    const at = level === "dedicated" ? levels.indexOf("grids") : levels.indexOf(level);
    return at > 0 ? levels[at - 1] : null;
  };
  // A code that continues its parent's is written as "+" and the rest.
  const code = (level, i) => {
    const own = data[level].code[i];
    return own[0] === "+" ? data[above(level)].code[data[level].up[i]] + own.slice(1) : own;
  };
  const label = (level, i) => data[level].name[i] || code(level, i);

  const chain = (level, i) => {
    const names = [];
    for (;;) {
      const up = data[level].up[i];
      level = above(level);
      if (!level || up < 0) return names;
      names.unshift(label(level, up));
      i = up;
    }
  };

  layers.water = (map) => {
    const renderer = wangge.pane(map, "water", 410, false);
    const style = { renderer, pane: "water", interactive: false, color: "#9fc3dc", weight: 1.5 };
    const surfaces = { ...style, weight: 0.5, fillColor: "#b9d6e8", fillOpacity: 1 };
    return L.layerGroup([
      L.geoJSON(features("water"), { style: surfaces }),
      L.geoJSON(features("courses"), { style }),
    ]);
  };

  const GREAT = /motorway|expressway|trunk|高速|快速/;
  layers.roads = (map) => {
    const renderer = wangge.pane(map, "roads", 420, false);
    const wide = (f) => GREAT.test(data.roads.class[f.id]);
    const style = (f) => ({
      renderer, pane: "roads", interactive: false, opacity: 0.75,
      color: wide(f) ? "#8d8577" : "#b3ab9d", weight: wide(f) ? 1.8 : 0.9,
    });
    return L.geoJSON(features("roads"), { style });
  };

  // On the map the committee's name is its place's: 永新村民委员会 is 永新村.
  const place = (name) => name.replace(/(居民委员会|居委会|民委员会|委会)$/, "");
  const names = (level) =>
    data.labels[level].flatMap((at, i) => at ? [L.marker([at[1], at[0]], {
      pane: "names", interactive: false, keyboard: false,
      icon: L.divIcon({ className: `name ${level}`, html: `<span>${esc(place(label(level, i)))}</span>`, iconSize: null }),
    })] : []);

  layers.borders = (map) => {
    const renderer = wangge.pane(map, "borders", 430, false);
    wangge.pane(map, "names", 590, false);
    const line = (level, weight, color) => L.geoJSON(topojson.mesh(data.topology, object(level)), {
      renderer, pane: "borders", interactive: false, style: { color, weight, opacity: 0.9 },
    });
    const group = L.layerGroup();
    if (object("towns")) group.addLayer(line("towns", 1, "#7a8494"));
    if (object("districts")) group.addLayer(line("districts", 2.4, INK));
    for (const level of drawn().filter((l) => data.labels[l] && (l !== data.finest || l !== "villages"))) {
      names(level).forEach((marker) => group.addLayer(marker));
    }
    return group;
  };

  layers.beats = (map) => {
    const renderer = wangge.pane(map, "beats", 450, true);
    return L.geoJSON(features("beats"), {
      style: { renderer, pane: "beats", color: "#0072b2", weight: 2, dashArray: "7 4", fill: false },
    }).bindTooltip((layer) => {
      const i = layer.feature.id;
      return `<b>${esc(label("beats", i))}</b> <em>${t("beat")}</em>
        <div class="code">${t("code")} ${esc(data.beats.code[i])}</div>`;
    }, { sticky: true, className: "tip" });
  };

  // Which names are readable depends on the zoom; the style sheet knows which.
  wangge.zoomed = (map) => {
    const zoom = () => { document.body.dataset.zoom = Math.floor(map.getZoom() + 0.25); };
    map.on("zoomend", zoom);
    zoom();
  };
  wangge.ground = { object, features, above, code, label, chain };
})();
