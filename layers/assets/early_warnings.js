// The areas that are warned of, coloured by how urgent it is.
"use strict";
(() => {
  const { data, layers, esc } = wangge;
  const { features } = wangge.ground;

  layers.warnings = (map) => {
    const renderer = wangge.pane(map, "warnings", 440, true);
    const group = L.layerGroup();
    // The most urgent is drawn last, over the others.
    for (const each of [...data.warnings].reverse()) {
      const feature = features(each.level).find((one) => one.id === each.position);
      if (!feature) continue;
      const color = data.colours[each.state];
      const shape = L.geoJSON(feature, {
        style: { renderer, pane: "warnings", color, weight: 2.5, fillColor: color, fillOpacity: 0.33 },
      }).bindTooltip(`<b>${esc(each.title)}</b> <div>${esc(each.area)}</div>
        <div>${esc(each.observed)} · ${esc(each.usual)}</div><small>${esc(each.owner)} · ${esc(each.when)}</small>`,
      { sticky: true, className: "tip" });
      shape.on("click", () => document.getElementById(`warning-${each.number}`)?.focus());
      group.addLayer(shape);
    }
    return group;
  };
})();
