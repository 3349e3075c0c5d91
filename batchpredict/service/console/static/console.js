// What is live on a page. Without this script every page works, and is as old as its last reload.
//
// An element with data-live is asked for again at its URL, and those of its children that have an id and differ are
// replaced; one with data-log grows by the lines after its last one. Nothing is asked while the tab is hidden, after
// the job is over, or while the reader has paused it.
"use strict";

(() => {
  const MOST_LINES = 5000;
  const LOG_EVERY = 2000;
  const RATE_OVER = 30000;
  // After errors the waits grow up to this.
  const LONGEST_WAIT = 60000;

  const parse = (text) => new DOMParser().parseFromString(text, "text/html");

  let paused = false;
  const loops = [];

  async function fragment(url) {
    const response = await fetch(url, { headers: { "X-Requested-With": "console" }, credentials: "same-origin", cache: "no-store" });
    if (response.status === 401 || response.status === 403 || response.status === 404) {
      // Signed out, or not permitted any more: the page itself says it best.
      location.reload();
    }
    if (!response.ok) throw new Error(String(response.status));
    return response.text();
  }

  // Asks again and again until `step` gives false. One request at a time.
  function loop(every, step) {
    let timer = 0, busy = false, failures = 0, over = false;
    const self = {
      run: async () => {
        clearTimeout(timer);
        if (busy || over || paused || document.hidden) return;
        busy = true;
        try {
          const more = await step();
          failures = 0;
          over = more === false;
        } catch (error) {
          failures += 1;
        }
        busy = false;
        if (over) ended();
        else timer = setTimeout(self.run, Math.min(every * 2 ** failures, LONGEST_WAIT));
      },
      over: () => over,
    };
    loops.push(self);
    timer = setTimeout(self.run, every);
  }

  // Replaces the children of `live` that differ, and keeps the focus on the element of the same id.
  function replaceChanged(live, fresh) {
    for (const next of fresh.body.querySelectorAll(":scope > [id]")) {
      const now = document.getElementById(next.id);
      if (now && now.outerHTML === next.outerHTML) continue;
      if (!now) {
        live.append(next);
        continue;
      }
      const focused = now.contains(document.activeElement) ? document.activeElement.id : "";
      const [left, top] = [now.scrollLeft, now.scrollTop];
      if (now.getAttribute("role") === "status") now.textContent = next.textContent;
      else now.replaceWith(next);
      const there = document.getElementById(next.id);
      [there.scrollLeft, there.scrollTop] = [left, top];
      if (focused) (document.getElementById(focused) || document.getElementById("main")).focus({ preventScroll: true });
    }
  }

  // Records a second over the last looks, put where the server has the mean of the whole run.
  const looks = [];
  function showRate() {
    const figures = document.querySelector("[data-records]");
    if (!figures) return;
    if (figures.dataset.running !== "yes") {
      looks.length = 0;
      return;
    }
    const now = performance.now(), records = Number(figures.dataset.records);
    looks.push([now, records]);
    while (now - looks[0][0] > RATE_OVER) looks.shift();
    const [then, before] = looks[0];
    if (now - then < 3000 || records < before) return;
    const rate = ((records - before) * 1000) / (now - then);
    figures.querySelector("[data-rate]").textContent = rate >= 100 ? Math.round(rate).toLocaleString("en") : String(Number(rate.toPrecision(3)));
  }

  for (const live of document.querySelectorAll("[data-live]")) {
    loop(Number(live.dataset.every), async () => {
      const url = new URL(live.dataset.live, location);
      // What is large is only sent if it is not what is here.
      const known = live.querySelector("[data-known]");
      if (known) url.searchParams.set("known", known.dataset.known);
      const fresh = parse(await fragment(url));
      replaceChanged(live, fresh);
      showRate();
      return !fresh.querySelector("[data-over]");
    });
  }
  showRate();

  for (const log of document.querySelectorAll(".log")) log.scrollTop = log.scrollHeight;
  for (const log of document.querySelectorAll("[data-log]")) {
    const body = log.querySelector("tbody");
    loop(LOG_EVERY, async () => {
      // Looked at before the lines are asked for: those that come after the end are then in this answer.
      const over = document.querySelector("[data-over]") !== null;
      const url = new URL(log.dataset.log, location);
      url.searchParams.set("after", log.dataset.after);
      const lines = parse(`<table>${await fragment(url)}</table>`).querySelectorAll("tr");
      const atEnd = log.scrollHeight - log.scrollTop - log.clientHeight < 8;
      for (const line of lines) {
        log.dataset.after = line.dataset.number;
        // A hidden one says only how far the log was looked through.
        if (!line.hidden) body.append(line);
      }
      while (body.rows.length > MOST_LINES) body.rows[0].remove();
      if (lines.length && atEnd) log.scrollTop = log.scrollHeight;
      return !over || lines.length > 0;
    });
  }

  let button = null;
  function ended() {
    if (button && loops.every((one) => one.over())) button.remove();
  }
  if (loops.length) {
    button = document.createElement("button");
    button.type = "button";
    button.className = "pause";
    button.textContent = "Pause updates";
    button.setAttribute("aria-pressed", "false");
    button.addEventListener("click", () => {
      paused = !paused;
      button.setAttribute("aria-pressed", String(paused));
      if (!paused) for (const one of loops) one.run();
    });
    document.querySelector(".who").prepend(button);
    document.addEventListener("visibilitychange", () => {
      if (!document.hidden) for (const one of loops) one.run();
    });
  }

  // A link from another site comes without the cookie; asked from here it is sent, and the reader need not sign in.
  const resume = document.querySelector("[data-resume]");
  if (resume) {
    fetch(resume.dataset.resume, { headers: { "X-Requested-With": "console" }, credentials: "same-origin", cache: "no-store" })
      .then((response) => { if (response.ok) location.replace(resume.dataset.resume); })
      .catch(() => {});
  }
})();
