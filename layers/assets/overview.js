// The overview's own layers. Folium names them and orders them; here they get their shapes.
"use strict";
(() => {
  const { data, layers, t, esc } = wangge;
  const { object, features, above, code, label, chain } = wangge.ground;
  const BY_GRID_FROM = 12.5; // from this zoom on single grids are large enough to be told apart

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

  layers.dedicated = (map) => {
    const renderer = wangge.pane(map, "dedicated", 440, true);
    return L.geoJSON(features("dedicated"), {
      style: (f) => ({
        renderer, pane: "dedicated", color: "#6a3d9a", weight: 1.4,
        fillColor: data.counts.dedicated ? heat("dedicated", f.id) : "#ffffff", fillOpacity: 0.85,
      }),
    }).bindTooltip(areaTip("dedicated"), { sticky: true, className: "tip" });
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

  // The figures stand still while they are read; beside them it says how many have come since.
  const count = () => {
    const line = document.querySelector(".since");
    let n = 0;
    wangge.follow("kinds=report.received", data.since, ({ event }) => {
      if (event !== "report.received" || !line) return;
      n += 1;
      line.hidden = false;
      line.firstElementChild.textContent = t("n_new", { n });
    });
  };

  wangge.finish = (map) => {
    wangge.zoomed(map);
    document.querySelectorAll("[data-position]").forEach((entry) => {
      entry.addEventListener("click", () => show(map, entry));
    });
    const control = document.querySelector(".leaflet-control-layers");
    if (map.getSize().x <= 700) control.classList.remove("leaflet-control-layers-expanded");
    if (data.since !== null) count();
    wangge.settle(map);
  };
})();
