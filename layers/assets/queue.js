// The queue: open incidents by urgency and age, in a list and on the map, as they come.
"use strict";
(() => {
  const { data, layers, t, esc } = wangge;
  const $ = (id) => document.getElementById(id);
  const KINDS = ["report.received", "case.closed",
    ...["sent", "accepted", "on_the_way", "on_scene", "done", "declined", "recalled"].map((s) => `assignment.${s}`)];
  const NEW_MS = 8000; // for so long a new one is tinted
  const LATE_S = 20; // events come by themselves; this is for what has no event, as a confirmed place
  let known = null;
  const arrived = new Map(); // number → when it was first seen here

  const href = (id) => `/maps/incident/${id}?lang=${data.lang}`;
  const mark = (each) => `<i class="mark u${each.urgency}${each.going ? " going" : ""}"><b>${each.urgency}</b></i>`;
  // Every address begins with the city; on a narrow line it would hide the street.
  const about = (each) => (data.city && each.about.startsWith(data.city) ? each.about.slice(data.city.length) : each.about);
  const line = (each) => {
    const people = each.going ? t("people_going", { n: each.going }) : t("unsent");
    const where = [each.area, each.point ? "" : t("off_the_map")].filter(Boolean).join(" · ");
    return `<li data-incident="${each.id}"${arrived.has(each.id) ? ' class="new"' : ""}><a href="${href(each.id)}">${mark(each)}
      <span class="title"><b>${esc(each.kind ?? t("no_kind"))}</b> ${esc(about(each))}</span>
      <time data-since="${each.opened}" title="${wangge.exact(each.opened)}"></time>
      <small>${esc(where)}</small><small class="${each.going || each.urgency > 2 ? "" : "alarm"}">${people}</small></a></li>`;
  };

  let written = "";
  const list = (incidents) => {
    const text = incidents.map(line).join("");
    if (text === written) return;
    const held = document.activeElement.closest("[data-incident]")?.dataset.incident;
    written = $("incidents").innerHTML = text;
    if (held) document.querySelector(`[data-incident="${held}"] a`)?.focus({ preventScroll: true });
  };

  const greet = (incidents) => {
    const now = new Set(incidents.map((each) => each.id));
    if (known) {
      const fresh = [...now].filter((id) => id > known);
      fresh.forEach((id) => arrived.set(id, Date.now()));
      if (fresh.length) setTimeout(() => {
        fresh.forEach((id) => arrived.delete(id));
        list(state.incidents);
      }, NEW_MS);
    }
    known = Math.max(known ?? 0, ...now);
  };

  let state = data.state;
  const show = (next) => {
    state = next;
    greet(state.incidents);
    const number = new Intl.NumberFormat("en");
    $("open").textContent = number.format(state.open);
    $("unsent").textContent = number.format(state.unsent);
    $("unsent").parentElement.classList.toggle("alarm", state.unsent > 0);
    $("under-way").textContent = number.format(state.open - state.unsent);
    const more = state.open - state.incidents.length;
    $("more").textContent = more > 0 ? t("more_open", { n: state.incidents.length, more: number.format(more) }) : "";
    $("quiet").hidden = state.incidents.length > 0;
    list(state.incidents);
    wangge.drawIncidents?.();
    wangge.clock();
  };
  const read = wangge.reader(data.address, show);

  // --- the map ------------------------------------------------------------------------------------
  const REM = parseFloat(getComputedStyle(document.documentElement).fontSize);
  const icon = (each) => L.divIcon({
    className: `mark u${each.urgency}${each.going ? " going" : ""}${arrived.has(each.id) ? " new" : ""}`,
    html: `<b>${each.urgency}</b>`, iconSize: null,
  });
  const together = (cluster) => {
    const all = cluster.getAllChildMarkers().map((marker) => marker.incident);
    const [worst] = all.sort((one, other) => (one.going > 0) - (other.going > 0) || one.urgency - other.urgency);
    const size = Math.round(REM * (1.7 + 0.35 * Math.log10(all.length) ** 1.3));
    return L.divIcon({ className: "pile", html: `<span>${all.length}</span>${mark(worst)}`, iconSize: [size, size] });
  };
  const clear = () => wangge.uncover(".name span", ".leaflet-marker-icon.mark, .pile");
  layers.incidents = (map) => {
    const group = L.markerClusterGroup({
      iconCreateFunction: together, showCoverageOnHover: false, spiderLegPolylineOptions: { color: "#22344d", weight: 1 },
      maxClusterRadius: (zoom) => REM * (zoom < 13 ? 3 : 2), animate: false,
    });
    const shown = new Map(); // number → [how it looks, its marker]
    wangge.drawIncidents = () => {
      const wanted = new Map(state.incidents.filter((each) => each.point).map((each) => [each.id, each]));
      for (const [id, [, marker]] of shown) if (!wanted.has(id)) { group.removeLayer(marker); shown.delete(id); }
      const added = [];
      for (const [id, each] of wanted) {
        const look = `${each.urgency}|${each.going > 0}|${each.point}|${each.kind}`;
        if (shown.get(id)?.[0] === look) continue;
        if (shown.has(id)) group.removeLayer(shown.get(id)[1]);
        const marker = L.marker(each.point, { icon: icon(each), keyboard: false, zIndexOffset: -100 * each.urgency });
        marker.incident = each;
        marker.bindTooltip(() => `<b>${esc(each.kind ?? t("no_kind"))}</b><div>${esc(about(each))}</div>
          <div>${esc(each.area ?? "")} · ${wangge.age(each.opened)}</div>`, { className: "tip" });
        marker.on("click", () => { location.href = href(id); });
        shown.set(id, [look, marker]);
        added.push(marker);
      }
      group.addLayers(added);
      clear();
    };
    map.on("moveend zoomend", clear);
    wangge.drawIncidents();
    return group;
  };

  document.addEventListener("change", ({ target }) => {
    if (target.matches(".filters select")) target.form.requestSubmit();
  });
  // Pointing at a line shows its pin, however it is clustered.
  let pointer = null;
  const point = ({ target }) => {
    const id = Number(target.closest?.("[data-incident]")?.dataset.incident);
    const each = state.incidents.find((one) => one.id === id);
    pointer?.remove();
    pointer = each?.point ? L.circleMarker(each.point, {
      renderer: wangge.halo, pane: "halo", radius: 20, color: "#22344d", weight: 3, fill: false, interactive: false,
    }).addTo(wangge.map) : null;
  };
  document.addEventListener("pointerover", point);
  document.addEventListener("focusin", point);

  wangge.finish = (map) => {
    wangge.zoomed(map);
    wangge.halo = wangge.pane(map, "halo", 640, false);
    wangge.synchronise(data.now);
    show(state);
    wangge.fit(map, data.bounds, { animate: false });
    const query = new URLSearchParams({ kinds: KINDS.join() });
    if (data.area) query.set("area", data.area);
    wangge.follow(query, data.state.seq, read);
    setInterval(() => { if (!document.hidden) read(); }, LATE_S * 1000);
    document.body.classList.add("ready");
  };
})();
