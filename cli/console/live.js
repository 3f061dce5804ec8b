"use strict";
// Puts what has changed in place, unless somebody is about to click or has marked something. Every page works without this.
const live = document.getElementById("live");
const news = document.getElementById("news");
let stream = null, latest = null, pressed = false;

const put = () => {
  if (latest === null || pressed || !getSelection().isCollapsed) return;
  const at = live.contains(document.activeElement) ? document.activeElement.getAttribute("href") : null;
  live.innerHTML = latest;
  latest = null;
  if (at) [...live.querySelectorAll("a[href]")].find((a) => a.getAttribute("href") === at)?.focus({ preventScroll: true });
};

const listen = () => {
  stream = new EventSource(location.href);
  stream.onopen = () => { news.textContent = "live"; };
  stream.onerror = () => { news.textContent = "not connected"; };
  stream.onmessage = (event) => { latest = JSON.parse(event.data); put(); };
};

addEventListener("pointerdown", () => { pressed = true; });
addEventListener("pointerup", () => setTimeout(() => { pressed = false; put(); }));
addEventListener("pagehide", () => stream?.close());
document.addEventListener("selectionchange", put);
document.addEventListener("visibilitychange", () => (document.hidden ? stream?.close() : listen()));
if (!document.hidden) listen();
