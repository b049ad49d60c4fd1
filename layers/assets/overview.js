// The overview's layers. Folium names them and orders them; here they get their shapes and colours.
"use strict";
(() => {
  const { data, layers, t, esc } = wangge;
  const BY_GRID_FROM = 12.5; // from this zoom on single grids are large enough to be told apart
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
  const district = (level, i) => {
    while (level && level !== "districts" && i >= 0) {
      i = data[level].up[i];
      level = above(level);
    }
    return level === "districts" ? i : -1;
  };
  const tint = (level, i) => data.districts?.tint[district(level, i)] ?? "#e9e6df";
  const heat = (level, i) => {
    const n = data.counts[level]?.[i] ?? 0;
    const at = data.breaks[level].findLastIndex((low) => n >= low);
    return at < 0 ? data.none : data.colours[level][at];
  };

  const mean = (level) => {
    const counts = data.counts[level];
    return (counts.reduce((a, b) => a + b, 0) / counts.length).toFixed(1);
  };
  const areaTip = (level) => (layer) => {
    const i = layer.feature.id;
    const kind = level === "dedicated" ? `<em>${t("dedicated")}</em>` : "";
    const counts = data.counts[level];
    const figures = counts
      ? `<div class="n">${t("count_here", { n: counts[i], when: data.when })}</div><small>${t("count_usual", { level: t(level === "dedicated" ? "grids" : level), mean: mean(level) })}</small>`
      : "";
    return `<b>${esc(label(level, i))}</b> ${kind}<div>${esc(chain(level, i).join(" › "))}</div>
      <div class="code">${t("code")} ${esc(code(level, i))}</div>${figures}`;
  };

  const fill = (level, colour, edge) =>
    L.geoJSON(features(level), {
      style: (feature) => ({
        fillColor: colour(level, feature.id), fillOpacity: 1,
        color: edge, weight: 0.6, opacity: 1, smoothFactor: 0.6,
      }),
    }).bindTooltip(areaTip(level), { sticky: true, className: "tip" });

  // Villages from afar, grids from near: one colour must stay large enough to be seen.
  const byZoom = (map, make) => {
    const finest = data.finest;
    const coarse = finest === "grids" && object("villages") ? "villages" : finest;
    const made = {};
    const group = L.layerGroup();
    const choose = () => {
      const level = map.getZoom() >= BY_GRID_FROM ? finest : coarse;
      made[level] ??= make(level);
      if (!group.hasLayer(made[level])) {
        group.clearLayers();
        group.addLayer(made[level]);
      }
      document.body.dataset.level = level;
    };
    group.on("add", () => { map.on("zoomend", choose); choose(); });
    group.on("remove", () => map.off("zoomend", choose));
    return group;
  };

  layers.load = (map) => {
    const group = byZoom(map, (level) => fill(level, heat, "#d9d3c7"));
    group.on("add", () => { document.body.dataset.colour = "load"; });
    return group;
  };
  layers.district = (map) => {
    const group = byZoom(map, (level) => fill(level, tint, "#ffffff"));
    group.on("add", () => { document.body.dataset.colour = "district"; });
    return group;
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
    for (const level of drawn().filter((l) => data.labels[l] && l !== data.finest || l === "districts")) {
      names(level).forEach((marker) => group.addLayer(marker));
    }
    return group;
  };

  layers.dedicated = (map) => {
    const renderer = wangge.pane(map, "dedicated", 440, true);
    return L.geoJSON(features("dedicated"), {
      style: (f) => ({
        renderer, pane: "dedicated", color: "#6a3d9a", weight: 1.4,
        fillColor: data.counts.dedicated ? heat("dedicated", f.id) : "#ffffff", fillOpacity: 0.85,
      }),
    }).bindTooltip(areaTip("dedicated"), { sticky: true, className: "tip" });
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

  const markTip = ([, , n, waits, kind, time, grid, reason, radius]) => {
    const head = n > 1 ? t("cell", { m: radius, n }) : kind || t("no_kind");
    const rows = n > 1
      ? [esc(kind), waits ? t("cell_waiting", { n: waits }) : ""]
      : [time, grid ? `${t("in_grid")} ${esc(grid)}` : "", waits ? `${t("triage")}: ${esc(reason)}` : ""];
    return `<b>${esc(head)}</b>` + rows.filter(Boolean).map((r) => `<div>${r}</div>`).join("");
  };

  const badge = (n, waits) => {
    if (n === 1) {
      return L.divIcon({ className: `badge one${waits ? " waits" : ""}`, html: "", iconSize: [12, 12] });
    }
    const size = Math.round(20 + 6 * Math.log10(n) ** 1.3);
    const text = n < 10000 ? n : `${Math.round(n / 1000)}k`;
    const pip = waits ? `<u>${waits}</u>` : "";
    return L.divIcon({ className: "badge", html: `<span>${text}</span>${pip}`, iconSize: [size, size] });
  };
  wangge.mark = (row) => {
    const marker = L.marker([row[0], row[1]], { icon: badge(row[2], row[3]), keyboard: false });
    marker.row = row;
    return marker.bindTooltip(() => markTip(row), { className: "tip" });
  };
  wangge.clusterIcon = (cluster) => {
    const rows = cluster.getAllChildMarkers().map((marker) => marker.row);
    return badge(rows.reduce((n, r) => n + r[2], 0), rows.reduce((n, r) => n + r[3], 0));
  };

  const show = (map, entry) => {
    const shape = object(entry.dataset.layer).geometries[Number(entry.dataset.position)];
    if (!shape?.type) return;
    const outline = L.geoJSON(topojson.feature(data.topology, shape));
    wangge.fit(map, outline.getBounds(), { maxZoom: 16 });
    wangge.found?.remove();
    wangge.pane.found ??= wangge.pane(map, "found", 460, false);
    wangge.found = L.geoJSON(topojson.feature(data.topology, shape), {
      renderer: wangge.pane.found, pane: "found", interactive: false,
      style: { color: "#000000", weight: 3.5, fill: false },
    }).addTo(map);
  };

  wangge.finish = (map) => {
    const zoom = () => { document.body.dataset.zoom = Math.floor(map.getZoom() + 0.25); };
    map.on("zoomend", zoom);
    zoom();
    document.querySelectorAll("[data-position]").forEach((entry) => {
      entry.addEventListener("click", () => show(map, entry));
    });
    const control = document.querySelector(".leaflet-control-layers");
    if (map.getSize().x <= 700) control.classList.remove("leaflet-control-layers-expanded");
    wangge.settle(map);
  };
})();
