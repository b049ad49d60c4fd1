// The coverage page's own layers: grids by one figure at a time, beats' borders, the proposal.
"use strict";
(() => {
  const { data, layers, t, esc } = wangge;
  const { object, features, code, label, chain } = wangge.ground;
  const of = data.of;
  const thousands = (n) => n.toLocaleString("en-US");

  const minutes = (tenths) => tenths < 0 ? t("tip_never") : t("minutes", { n: (tenths / 10).toFixed(1) });
  const beatName = (i) => i < 0 ? "" : data.police.name[i];
  const moved = new Map(data.moves.map((move) => [move[0], move]));
  const place = new Map(data.beats.code.map((each, i) => [each, i]));

  const kinds = ["one", "several", "part", "none"];
  const kindLine = (i) => {
    const kind = kinds[data.choices.kind[0][i]];
    return kind
      ? t(`tip_${kind}`, { n: of.beats[i], share: `${of.in_main[i]} %`, beat: beatName(of.main[i]) })
      : t("unknown");
  };
  const share = (millionths) => `${(millionths / 10000).toFixed(2)} %`;
  const beatLine = (i) => t("tip_beat", {
    n: data.police.grids[i], people: thousands(data.police.residents[i]),
    now: share(data.police.now[i]), after: share(data.police.after[i]),
  });
  const tip = (layer) => {
    const i = layer.feature.id;
    const level = data.finest;
    const head = `<b>${esc(label(level, i))}</b><div>${esc(chain(level, i).join(" › "))}</div>
      <div class="code">${t("code")} ${esc(code(level, i))}</div>`;
    if (of.incidents[i] < 0) return `${head}<div>${esc(t("unknown"))}</div>`;
    const people = of.residents[i] < 0
      ? t("tip_uncounted", { m: of.incidents[i] })
      : t("tip_residents", { n: thousands(of.residents[i]), m: of.incidents[i] });
    const times = { officer: minutes(of.officer[i]), post: minutes(of.post[i]), worker: minutes(of.worker[i]) };
    const rows = [
      `<div class="n">${esc(kindLine(i))}</div>`,
      of.main[i] >= 0 ? `<small>${esc(beatLine(of.main[i]))}</small>` : "",
      `<div>${esc(t("tip_times", times))}</div>`,
      `<div>${esc(t("tip_named", { n: of.officers[i], part: (of.part[i] / 1000).toFixed(2) }))}</div>`,
      of.residents[i] === 0 ? `<div>${esc(t("tip_nobody"))}</div>` : "",
      of.due[i] + of.done[i] + of.missed[i]
        ? `<div>${esc(t("tip_visits", { done: of.done[i], due: of.due[i], missed: of.missed[i] }))}</div>` : "",
      moved.has(i) ? `<div class="n">${moveLine(i)}</div>` : "",
    ];
    return `${head}<small>${esc(people)}</small>${rows.join("")}`;
  };
  const moveLine = (i) => {
    const [, beat, n] = moved.get(i);
    const name = place.has(beat) ? label("beats", place.get(beat)) : beat;
    return esc(t("tip_move", { beat: name, n: thousands(n) }));
  };

  const coloured = (name) => () => {
    const [digits, colours] = data.choices[name];
    const group = L.geoJSON(features(data.finest), {
      style: (feature) => ({
        fillColor: colours[Number(digits[feature.id])], fillOpacity: 1,
        color: "#ffffff", weight: 0.4, opacity: 0.9, smoothFactor: 0.6,
      }),
    }).bindTooltip(tip, { sticky: true, className: "tip" });
    group.on("add", () => { document.body.dataset.colour = name; });
    return group;
  };
  for (const name of Object.keys(data.choices)) layers[`by_${name}`] = coloured(name);

  // Their borders only: what is under them keeps its tooltip, but for the line itself.
  layers.police = (map) => {
    const renderer = wangge.pane(map, "police", 450, false);
    return L.geoJSON(features("beats"), {
      renderer, pane: "police", interactive: false,
      style: { color: "#0b4f8a", weight: 1.4, opacity: 0.9, fill: false },
    });
  };
  layers.moves = (map) => {
    const renderer = wangge.pane(map, "moves", 455, false);
    const shapes = features(data.finest).filter((feature) => moved.has(feature.id));
    return L.geoJSON(shapes, {
      renderer, pane: "moves", interactive: false,
      style: { color: "#101820", weight: 2, fillColor: "#101820", fillOpacity: 0.25 },
    });
  };

  const show = (map, entry) => {
    const shape = object(entry.dataset.layer).geometries[Number(entry.dataset.position)];
    if (!shape?.type) return;
    const outline = topojson.feature(data.topology, shape);
    wangge.fit(map, L.geoJSON(outline).getBounds(), { maxZoom: 15 });
    wangge.found?.remove();
    wangge.pane.found ??= wangge.pane(map, "found", 460, false);
    wangge.found = L.geoJSON(outline, {
      renderer: wangge.pane.found, pane: "found", interactive: false,
      style: { color: "#000000", weight: 3.5, fill: false },
    }).addTo(map);
  };

  wangge.finish = (map) => {
    wangge.zoomed(map);
    document.querySelectorAll("[data-position]").forEach((entry) => {
      entry.addEventListener("click", () => show(map, entry));
    });
    const control = document.querySelector(".leaflet-control-layers");
    if (map.getSize().x <= 1000) control.classList.remove("leaflet-control-layers-expanded");
    wangge.settle(map);
  };
})();
