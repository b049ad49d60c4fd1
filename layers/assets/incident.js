// An incident: where it is, who could go, who is under way; it sends them and keeps itself current.
"use strict";
(() => {
  const { data, t, esc } = wangge;
  const $ = (id) => document.getElementById(id);
  const PARTS = ["travel", "other_area", "task", "skill", "home", "age"];
  const STAGES = ["sent", "accepted", "on_the_way", "on_scene"];
  const OVER = ["done", "declined", "recalled"];
  const NEED_REASON = ["declined", "recalled"];
  const SETTLE_MS = 700; // a list that was put in another order takes no click meant for the old one
  const REFRESH_MS = 30000; // positions grow old although nothing happens
  const KINDS = [...STAGES, ...OVER].map((state) => `assignment.${state}`).concat("case.closed");
  let state = wangge.state = data.state;

  // What stays the same is not touched, and who had the focus keeps it.
  const written = {};
  const html = (id, text) => {
    if (written[id] === text) return;
    const line = document.activeElement.closest(`#${id} li[tabindex]`);
    written[id] = $(id).innerHTML = text;
    if (line) $(id).querySelector(`[data-resource="${line.dataset.resource}"]`)?.focus();
  };
  const ms = (text) => Date.parse(text);
  const since = (text) => `<time data-since="${ms(text)}" title="${wangge.exact(ms(text))}"></time>`;
  const tasks = () => state.dispatches.flatMap((each) => each.assignments);
  const going = wangge.going = () => tasks().filter((task) => STAGES.includes(task.state));
  const isOpen = () => !state.incident.closed;

  // --- the words ---------------------------------------------------------------------------------
  const what = () => {
    const { incident } = state;
    const kind = incident.kind ?? t("no_kind");
    const closed = incident.closed
      ? `<p class="closed">${esc(t("closed", { time: wangge.time(ms(incident.closed)), outcome: incident.outcome }))}</p>` : "";
    return `<h1><i class="mark u${incident.urgency}" title="${t("urgency")} ${incident.urgency}"><b>${incident.urgency}</b></i>
        ${esc(kind)} <span>${esc(t("incident", { n: incident.id }))}</span></h1>
      <p class="address">${esc(incident.address ?? incident.area?.name ?? "")}</p>
      <p class="when"><b>${t(`urgency_${incident.urgency}`)}</b> · ${t("opened")}
        ${wangge.time(ms(incident.opened))} ${since(incident.opened)}</p>${closed}`;
  };

  const placed = () => {
    const { placement, point, triage } = state.report;
    if (triage) return t("in_triage", { why: t(`triage_${triage.reason}`) });
    const how = t(`method_${placement.method}`);
    return point?.accuracy_m ? `${how} · ${t("accuracy", { m: Math.round(point.accuracy_m) })}` : how;
  };
  const doubt = () => {
    const { placement } = state.report, { area } = state.incident;
    if (!placement.ambiguous) return area ? t("is_clear") : "";
    const others = placement.alternatives.map((other) => other.code).filter((code) => code !== area?.code);
    const names = others.slice(0, 3).map((code) => data.names[code] ?? code);
    return `<em>${esc(t("is_ambiguous", { codes: names.join(" · ") }))}</em>`;
  };
  const facts = () => {
    const { incident } = state;
    const area = incident.area ? `${esc(incident.area.name)} <small>${esc(incident.area.code)}</small>` : "";
    const rows = [
      [t("about"), esc(incident.description ?? "")], [t("in_grid"), area],
      [t("placed_by"), `${esc(placed())}${doubt() && `<br>${doubt()}`}`],
      [t("source_of"), esc(incident.source ?? "")],
    ];
    return rows.filter(([, text]) => text).map(([name, text]) => `<dt>${name}</dt><dd>${text}</dd>`).join("");
  };

  const way = (seconds) => {
    const minutes = Math.max(1, Math.ceil(seconds / 60));
    return minutes < 100 ? `<b>${minutes}</b> ${t("min")}` : `<b>${Math.round(minutes / 60)}</b> ${t("hour")}`;
  };
  const bar = (candidate, most) => {
    const parts = PARTS.filter((part) => candidate.parts[part]);
    const help = parts.map((part) => `${t(`part_${part}`)} ${candidate.parts[part]}`).join(" + ");
    const blocks = parts.map((part) => `<i class="${part}" style="width:${(100 * candidate.parts[part]) / most}%"></i>`);
    return `<div class="bar" title="${help} = ${candidate.minutes} ${t("min")}"><span>${blocks.join("")}</span>
      <small>${t("weighed", { n: Math.round(candidate.minutes) })}</small></div>`;
  };
  const row = (candidate, most) => {
    const { id, name, kind_title: title, organisation } = candidate.resource;
    const texts = (reasons) => reasons.map((reason) => `<span>${esc(reason.text.trim())}</span>`).join(" ");
    const against = texts(candidate.against);
    const button = isOpen() ? `<button class="send">${t("send")}</button>` : "";
    return `<li data-resource="${id}" tabindex="0"><i class="pin">${candidate.rank}</i>
      <div class="who"><b>${esc(name)}</b><small>${esc([title, organisation].filter(Boolean).join(" · "))}</small></div>
      <div class="way">${way(candidate.travel_s)}</div>${button}
      <p class="for">${texts(candidate.reasons)}</p>
      ${against && `<p class="against">${against}</p>`}${bar(candidate, most)}</li>`;
  };
  const parts = () => {
    const used = PARTS.filter((part) => state.candidates.some((each) => each.parts[part]));
    return used.map((part) => `<li><i class="${part}"></i>${t(`part_${part}`)}</li>`).join("");
  };

  const task = (each) => {
    const times = Object.fromEntries(each.steps.map((step) => [step.state, step.at]));
    const reached = STAGES.indexOf(each.state);
    const stages = STAGES.map((stage, i) => `<li class="${i <= reached ? "past" : ""}${i === reached ? " now" : ""}">
      ${t(stage)}<small>${times[stage] ? wangge.time(ms(times[stage])) : "&nbsp;"}</small></li>`).join("");
    const buttons = each.allowed.map((to) =>
      `<button data-to="${to}"${NEED_REASON.includes(to) ? " class=\"quiet\"" : ""}>${t(`do_${to}`)}</button>`).join("");
    return `<li data-task="${each.id}"><b>${esc(each.resource.name)}</b> ${since(each.since)}
      <ol class="stages">${stages}</ol><div class="steps">${buttons}</div></li>`;
  };
  const ended = (each) => {
    const last = each.steps.at(-1);
    const why = last.reason ? `${t("colon")}${esc(last.reason)}` : "";
    return `<li>${esc(each.resource.name)} <b>${t(each.state)}</b> ${wangge.time(ms(last.at))}${why}</li>`;
  };
  const people = () => {
    const now = going(), over = tasks().filter((each) => OVER.includes(each.state));
    const none = state.incident.closed ? "no_one_now" : "no_one_yet";
    const head = now.length ? t("under_way", { n: now.length }) : t(none);
    const list = now.length ? `<ol class="tasks">${now.map(task).join("")}</ol>` : "";
    const past = over.length ? `<h3>${t("ended")}</h3><ul class="over">${over.map(ended).join("")}</ul>` : "";
    return `<h2 class="${now.length || !isOpen() ? "" : "alarm"}">${head}</h2>${list}${past}`;
  };

  // --- a form that asks for a reason ----------------------------------------------------------
  const ask = (place, question, send) => {
    document.querySelectorAll(".ask").forEach((form) => form.remove());
    const form = document.createElement("form");
    form.className = "ask";
    form.innerHTML = `<input required maxlength="500" placeholder="${esc(question)}" aria-label="${esc(question)}">
      <button>${t("confirm")}</button><button type="button" class="quiet">${t("cancel")}</button>`;
    form.addEventListener("submit", (event) => { event.preventDefault(); send(form.querySelector("input").value); });
    form.lastElementChild.addEventListener("click", () => { form.remove(); show(state); });
    place.append(form);
    form.querySelector("input").focus();
  };

  // --- writing -----------------------------------------------------------------------------------
  const refuse = (text) => { $("refused").textContent = text; $("refused").hidden = !text; };
  const actor = () => {
    const name = $("actor").value.trim();
    if (name) return name;
    refuse(t("actor_first"));
    $("actor").focus();
    return null;
  };
  const write = async (address, body, pressed) => {
    const name = actor();
    if (!name) return;
    refuse("");
    pressed?.toggleAttribute("disabled", true);
    const { ok, told } = await wangge.post(address, { ...body, actor: name });
    pressed?.toggleAttribute("disabled", false);
    if (!ok) refuse(wangge.sentence(told));
    document.querySelectorAll(".ask").forEach((form) => ok && form.remove());
    read();
    return ok;
  };
  const send = async (id, pressed) => {
    const { rank, travel_s, distance_m, minutes, parts: by, resource } = state.candidates.find((each) => each.resource.id === id);
    const evidence = { rank, travel_s, distance_m, minutes, parts: by, by_position: resource.by_position };
    const address = `/api/v1/incidents/${data.number}/dispatches`;
    const ok = await write(address, { send: [{ resource: id, evidence }], note: $("note").value.trim() }, pressed);
    if (ok) $("note").value = "";
  };
  const step = (id, to, pressed) => {
    const move = (reason) => write(`/api/v1/assignments/${id}/steps`, { state: to, reason }, pressed);
    if (NEED_REASON.includes(to)) ask(pressed.closest("li"), t(`why_${to}`), move);
    else move("");
  };
  const close = (outcome) => write(`/api/v1/incidents/${data.number}/close`, { outcome });

  document.addEventListener("click", ({ target }) => {
    const pressed = target.closest("button"), line = target.closest("[data-resource], [data-task]");
    if (!pressed) return;
    if (pressed.matches(".send")) send(Number(line.dataset.resource), pressed);
    if (pressed.dataset.to) step(Number(line.dataset.task), pressed.dataset.to, pressed);
    if (pressed.id === "close") ask($("closing"), t("outcome"), close);
  });

  // --- showing ------------------------------------------------------------------------------------
  let order = "";
  const show = (next) => {
    const { incident } = next;
    const moved = incident.area?.code !== state.incident.area?.code || !incident.point !== !state.incident.point;
    state = wangge.state = next;
    if (moved) { location.reload(); return; }
    html("what", what());
    html("facts", facts());
    // A reason that is being written is not taken away from under the hands.
    if (!$("going").querySelector(".ask")) html("going", people());
    $("choice").hidden = !isOpen();
    html("shortfalls", state.shortfalls.map((each) => `<li>${esc(each.text)}</li>`).join(""));
    const most = Math.max(...state.candidates.map((each) => each.minutes), 1);
    html("candidates", state.candidates.map((each) => row(each, most)).join(""));
    html("parts", parts());
    if (!$("closing").querySelector(".ask")) {
      html("closing", isOpen() ? `<button id="close" class="quiet">${t("do_close")}</button>` : "");
    }
    const now = state.candidates.map((each) => each.resource.id).join();
    if (order && order !== now) {
      $("candidates").inert = true;
      setTimeout(() => { $("candidates").inert = false; }, SETTLE_MS);
    }
    order = now;
    wangge.clock();
    wangge.draw?.();
  };
  const read = wangge.reader(data.address, show);

  wangge.finish = (map) => {
    const remembered = $("actor"); // who is signed in stands there; a program's name does not
    if (remembered.type !== "hidden") {
      remembered.value = localStorage.getItem("wangge.actor") ?? "";
      remembered.addEventListener("input", () => { localStorage.setItem("wangge.actor", remembered.value.trim()); refuse(""); });
    }
    wangge.synchronise(data.now);
    show(state);
    map.setMinZoom(8); // who could go may be at the other end of the city
    if (wangge.point) wangge.fit(map, wangge.shown(), { animate: false, maxZoom: 17 });
    wangge.follow(`incident=${data.number}&kinds=${KINDS.join()}`, data.state.seq, read);
    setInterval(() => { if (!document.hidden && isOpen()) read(); }, REFRESH_MS);
    document.body.classList.add("ready");
  };
})();
