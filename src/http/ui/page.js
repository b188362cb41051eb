"use strict";
// Keeps what is marked with data-part up to date: on word of a change the screen is read again, and the parts that
// differ take the place of the old ones. Nothing else: every link and form works without this.
(() => {
  const live = document.body.dataset.live;
  const parts = () => document.querySelectorAll("[data-part][id]");
  if (!live || !parts().length || new URLSearchParams(location.search).has("still")) return;

  const QUIET = 1500; // between two readings, in ms
  const AGAIN = 15000; // before a refused stream is tried again
  let isReading = false;
  let isStale = false;
  let wasRead = performance.now();
  let timer = 0;
  let failures = 0;

  const open = (root) => [...root.querySelectorAll("details[id]")].filter((it) => it.open).map((it) => it.id);
  const replace = (fresh) => {
    for (const part of parts()) {
      const next = fresh.getElementById(part.id);
      // What somebody types into or points at by keyboard stays as it is.
      if (!next || part.contains(document.activeElement)) continue;
      if (next.innerHTML === part.dataset.seen) continue;
      const seen = next.innerHTML;
      const opened = open(part);
      part.replaceWith(document.importNode(next, true));
      const placed = document.getElementById(part.id);
      placed.dataset.seen = seen;
      for (const id of opened) document.getElementById(id)?.setAttribute("open", "");
    }
  };
  const read = async () => {
    timer = 0;
    if (isReading || document.hidden) return;
    isReading = true;
    isStale = false;
    wasRead = performance.now();
    try {
      const answer = await fetch(location.href, { headers: { accept: "text/html" }, redirect: "manual" });
      // The session is over: the way to sign in is the answer to a navigation.
      if (answer.type === "opaqueredirect") return location.reload();
      if (!answer.ok) throw new Error(String(answer.status));
      replace(new DOMParser().parseFromString(await answer.text(), "text/html"));
      failures = 0;
    } catch {
      failures += 1;
      isStale = true;
    }
    isReading = false;
    document.body.classList.toggle("stale", failures > 0);
    if (isStale && !document.hidden) later();
  };
  const later = () => {
    isStale = true;
    const pause = QUIET * Math.min(1 + failures, 8);
    if (!timer) timer = setTimeout(read, Math.max(0, wasRead + pause - performance.now()));
  };
  const listen = () => {
    const stream = new EventSource(live);
    stream.addEventListener("changed", later);
    stream.addEventListener("open", () => document.body.classList.remove("stale"));
    stream.addEventListener("error", () => {
      document.body.classList.add("stale");
      // What was refused is not tried again by the browser: there was no room, or no session any more.
      if (stream.readyState !== EventSource.CLOSED) return;
      later();
      setTimeout(listen, AGAIN);
    });
  };
  listen();
  document.addEventListener("visibilitychange", () => isStale && later());
})();
