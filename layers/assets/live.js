// Pages that keep themselves up to date: the stream of events, the data anew, writes done once.
"use strict";
(() => {
  const SILENCE_MS = 40000; // the service says something every 15 s
  const PAUSE_MS = 300; // between two readings of the data, however much happens
  const RETRY_MS = [500, 1000, 2000, 5000, 10000];
  const pause = (ms) => new Promise((done) => { setTimeout(done, ms); });

  // --- how it stands -------------------------------------------------------------------------
  const broken = new Map(); // what does not work, and since when the page may be wrong
  let connected = false, heard = Date.now(), skew = 0;

  wangge.now = () => Date.now() + skew;
  wangge.synchronise = (ms) => { skew = ms - Date.now(); };

  const tell = () => {
    document.body.classList.toggle("stale", wangge.isStale());
    const element = document.querySelector(".live");
    if (!element) return;
    const time = wangge.time(Math.min(...broken.values()) + skew);
    const text = broken.size ? wangge.t("stale_since", { time })
      : wangge.t(connected ? "live" : "connecting");
    if (element.textContent !== text) element.textContent = text;
    element.dataset.state = broken.size ? "stale" : connected ? "live" : "connecting";
  };
  const fails = (what) => { if (!broken.has(what)) broken.set(what, heard); tell(); };
  const works = (what) => { broken.delete(what); tell(); };

  // --- times in the city's zone --------------------------------------------------------------
  let clock, moment;
  const format = (options) => new Intl.DateTimeFormat("sv-SE", {
    timeZone: wangge.data.timezone, hour: "2-digit", minute: "2-digit", ...options,
  });
  const day = { year: "numeric", month: "2-digit", day: "2-digit" };
  wangge.exact = (ms) => (moment ??= format({ ...day, second: "2-digit" })).format(ms);
  wangge.time = (ms) => {
    if (!Number.isFinite(ms)) return "";
    const [text, now] = [ms, wangge.now()].map((each) => (clock ??= format(day)).format(each));
    return text.slice(0, 10) === now.slice(0, 10) ? text.slice(11) : text;
  };

  // --- the data anew -------------------------------------------------------------------------
  // However often it is asked for, one reading is under way and at most one waits behind it.
  wangge.reader = (address, show) => {
    wangge.isStale = () => broken.size > 0;
    let busy = false, again = false;
    const read = async () => {
      if (busy) { again = true; return; }
      busy = true;
      again = false;
      try {
        const answer = await fetch(address, { cache: "no-store" });
        if (!answer.ok) throw new Error(String(answer.status));
        const state = await answer.json();
        wangge.synchronise(state.now);
        works("data");
        show(state);
      } catch {
        fails("data");
        again = true;
        await pause(2000);
      }
      await pause(PAUSE_MS);
      busy = false;
      if (again) read();
    };
    return read;
  };

  // --- the stream ----------------------------------------------------------------------------
  // Read by hand and not by EventSource, which does not notice that a silent connection is dead.
  const messages = async function* (query, last) {
    const stop = new AbortController();
    let watch;
    const alive = () => {
      heard = Date.now();
      clearTimeout(watch);
      watch = setTimeout(() => stop.abort(), SILENCE_MS);
    };
    alive();
    try {
      const answer = await fetch(`/api/v1/events?${query}`, {
        headers: { Accept: "text/event-stream", "Last-Event-ID": String(last) },
        signal: stop.signal, cache: "no-store",
      });
      if (!answer.ok) throw new Error(String(answer.status));
      yield { event: "open" };
      const reader = answer.body.pipeThrough(new TextDecoderStream()).getReader();
      for (let text = "";;) {
        const { done, value } = await reader.read();
        if (done) return;
        alive();
        const parts = (text + value).split("\n\n");
        text = parts.pop();
        for (const part of parts) {
          const lines = part.split("\n").map((line) => line.match(/^(\w+): ?(.*)$/)).filter(Boolean);
          if (lines.length) yield Object.fromEntries(lines.map((line) => [line[1], line[2]]));
        }
      }
    } finally {
      clearTimeout(watch);
      stop.abort();
    }
  };

  wangge.follow = async (query, after, happened) => {
    let last = after;
    addEventListener("pagehide", () => { last = null; });
    addEventListener("pageshow", (shown) => { if (shown.persisted) location.reload(); });
    for (let failed = 0; last !== null; failed += 1) {
      try {
        for await (const message of messages(query, last)) {
          if (message.event === "open") {
            if (broken.has("stream")) happened({ event: "reload" });
            failed = 0;
            connected = true;
            works("stream");
            continue;
          }
          last = Number(message.id ?? last);
          if (message.data && message.event !== "position") happened(message); // else a heartbeat
        }
      } catch { /* told below; the next attempt goes on from the last event */ }
      if (last === null) return;
      fails("stream");
      await pause(RETRY_MS[Math.min(failed, RETRY_MS.length - 1)]);
    }
  };

  // --- writes --------------------------------------------------------------------------------
  // A key for each click. It is kept until there is an answer, so that the next click repeats it.
  const keys = new Map();
  const fresh = () => Array.from(
    crypto.getRandomValues(new Uint8Array(16)), (byte) => byte.toString(16).padStart(2, "0"),
  ).join("");

  wangge.post = async (address, body) => {
    const text = JSON.stringify(body), name = address + text;
    if (!keys.has(name)) keys.set(name, fresh());
    const headers = { "Content-Type": "application/json", "Idempotency-Key": `"${keys.get(name)}"` };
    for (const wait of [400, 800, null]) {
      try {
        const answer = await fetch(address, { method: "POST", headers, body: text });
        const told = await answer.json();
        keys.delete(name);
        return { ok: answer.ok, told };
      } catch {
        if (wait !== null) await pause(wait);
      }
    }
    return { ok: false, told: null };
  };

  const REFUSED = {
    "resource-taken": "taken", "already-sent": "already_sent", "incident-closed": "closed",
    "step-not-allowed": "step_refused", "resource-not-available": "not_available",
    "still-under-way": "still_going",
  };
  // What was refused, in the page's language and the city's time; else in the service's words.
  wangge.sentence = (told) => {
    if (told === null) return wangge.t("no_answer");
    const key = REFUSED[String(told.type).split("/").pop()];
    const [resource] = told.resources ?? [], task = resource?.tasks?.[0] ?? told;
    const at = task.at ?? told.closed;
    return key ? wangge.t(key, {
      name: resource?.name, actor: task.actor, incident: task.incident, outcome: told.outcome,
      time: at ? wangge.time(Date.parse(at)) : "", n: told.tasks?.length,
      state: told.state && wangge.t(told.state), why: resource?.why && wangge.t(`why_${resource.why}`),
    }) : told.detail ?? wangge.t("no_answer");
  };
})();
