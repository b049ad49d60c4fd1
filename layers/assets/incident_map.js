// The map of an incident: its place, its grid and the neighbours', and the people as numbered pins.
"use strict";
(() => {
  const { data, layers, esc } = wangge;

  layers.nature = (map) => {
    const renderer = wangge.pane(map, "nature", 410, false);
    const GREAT = /motorway|trunk|expressway/, MAIN = /primary|secondary/;
    const style = ({ properties: { kind, class: name } }) => kind === "water"
      ? { color: "#9fc3dc", weight: 1.5, fillColor: "#c3dcec", fillOpacity: 1 }
      : GREAT.test(name) ? { color: "#c2b8a3", weight: 5 }
        : MAIN.test(name) ? { color: "#cdc5b4", weight: 3.5 } : { color: "#d8d2c5", weight: 1.6 };
    return L.geoJSON(data.nature, { renderer, pane: "nature", interactive: false, style });
  };
  layers.grids = (map) => {
    const renderer = wangge.pane(map, "grids", 430, false);
    wangge.pane(map, "names", 440, false);
    const style = ({ properties: { own, beside } }) => own
      ? { color: "#22344d", weight: 3, fillColor: "#22344d", fillOpacity: 0.07 }
      : { color: "#7d8795", weight: beside ? 1.6 : 0.7, opacity: beside ? 0.9 : 0.55, fill: false };
    const shapes = L.geoJSON(data.grids, { renderer, pane: "grids", interactive: false, style });
    const names = data.grids.features.filter((each) => each.properties.beside)
      .sort((a, b) => b.properties.own - a.properties.own).map(({ properties: p }) =>
      L.marker(p.at, { pane: "names", interactive: false, keyboard: false, icon: L.divIcon({
        className: `grid-name${p.own ? " own" : ""}`, html: `<span>${esc(p.name)}</span>`, iconSize: null,
      }) }));
    return L.layerGroup([shapes, ...names]);
  };
  layers.facilities = () => L.layerGroup(data.facilities.map(([lat, lon, kind, name]) =>
    L.marker([lat, lon], { icon: L.divIcon({ className: "facility", html: "", iconSize: [12, 12] }) })
      .bindTooltip(`<b>${esc(name)}</b><div>${esc(kind)}</div>`, { className: "tip" })));

  const REM = parseFloat(getComputedStyle(document.documentElement).fontSize);

  // Pins that would hide each other step aside, with a line to where they belong.
  const STEPS = [[0, 0], ...[2, 3.4, 5].flatMap((rem) => Array.from({ length: 12 }, (_, i) => {
    const angle = (i * Math.PI) / 6 - Math.PI / 2;
    return [rem * Math.cos(angle), rem * Math.sin(angle)];
  }))];
  const apart = (map, points) => {
    const taken = [map.latLngToLayerPoint(wangge.point)];
    return points.map((at) => {
      const real = map.latLngToLayerPoint(at);
      const free = STEPS.map(([x, y]) => real.add([x * REM, y * REM]))
        .find((p) => taken.every((q) => p.distanceTo(q) >= 1.95 * REM));
      taken.push(free ?? real);
      return map.layerPointToLatLng(free ?? real);
    });
  };
  const clear = () => wangge.uncover(".grid-name span", ".leaflet-marker-icon.pin, .spot");
  const persons = () => {
    const listed = wangge.state.candidates.map(({ rank, resource }) => ({ ...resource, rank, sent: false }));
    return [...listed, ...wangge.state.sent.map((each) => ({ ...each, rank: "", sent: true }))];
  };
  layers.people = (map) => {
    const group = L.layerGroup();
    const pane = "people-lines";
    const renderer = wangge.pane(map, pane, 590, false);
    wangge.draw = () => {
      group.clearLayers();
      const shown = persons(), real = shown.map((each) => [each.point.lat, each.point.lon]);
      apart(map, real).forEach((at, i) => {
        const each = shown[i], line = { renderer, pane, interactive: false };
        if (each.sent) group.addLayer(L.polyline([real[i], wangge.point], { ...line, color: "#22344d", weight: 2, dashArray: "2 6" }));
        group.addLayer(L.polyline([real[i], at], { ...line, color: "#22344d", weight: 1.2 }));
        group.addLayer(L.circleMarker(real[i], { ...line, radius: 3, weight: 1, color: "#fff", fillColor: "#22344d", fillOpacity: 1 }));
        const icon = L.divIcon({ className: `pin${each.sent ? " gone" : ""}`, html: `${each.rank}`, iconSize: null });
        const pin = L.marker(at, { icon, keyboard: false });
        pin.bindTooltip(`<b>${esc(each.name)}</b>`, { className: "tip" });
        pin.on("mouseover", () => point(each.id, true)).on("mouseout", () => point(each.id, false));
        pin.resource = each.id;
        group.addLayer(pin);
      });
      clear();
    };
    map.on("zoomend", wangge.draw);
    map.on("moveend", clear);
    wangge.group = group;
    wangge.draw();
    return group;
  };

  // Row and pin are the same person: pointing at one shows the other, and the way.
  let pointer = null;
  const point = (id, on) => {
    pointer?.remove();
    document.querySelectorAll(".pointed").forEach((element) => element.classList.remove("pointed"));
    const each = persons().find((one) => one.id === id);
    if (!on || !each) return;
    document.querySelector(`[data-resource="${id}"]`)?.classList.add("pointed");
    wangge.group.eachLayer((layer) => layer.resource === id && layer.getElement()?.classList.add("pointed"));
    pointer = L.polyline([[each.point.lat, each.point.lon], wangge.point], {
      pane: "people-lines", interactive: false, color: "#22344d", weight: 2.5, opacity: 0.8,
    }).addTo(wangge.map);
  };
  for (const [name, on] of Object.entries({ pointerover: true, focusin: true, pointerout: false, focusout: false })) {
    document.addEventListener(name, ({ target }) => {
      const line = target.closest?.("[data-resource]");
      if (line && wangge.point) point(Number(line.dataset.resource), on);
    });
  }

  let circle = null;
  wangge.place = (map) => {
    const { point: at, urgency } = wangge.state.incident;
    wangge.point = [at.lat, at.lon];
    const accuracy = wangge.state.report.point?.accuracy_m;
    const renderer = wangge.pane(map, "place", 450, false);
    circle = accuracy && L.circle(wangge.point, {
      radius: accuracy, renderer, pane: "place", interactive: false,
      color: "#b93a00", weight: 1.5, dashArray: "4 4", fillColor: "#b93a00", fillOpacity: 0.08,
    }).addTo(map);
    L.marker(wangge.point, { interactive: false, keyboard: false, zIndexOffset: -100,
      icon: L.divIcon({ className: `spot u${urgency}`, html: "", iconSize: null }) }).addTo(map);
  };
  wangge.shown = () => {
    const all = L.latLngBounds([wangge.point]);
    persons().forEach((each) => all.extend([each.point.lat, each.point.lon]));
    if (circle) all.extend(circle.getBounds());
    return all;
  };
})();
