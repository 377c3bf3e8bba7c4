// Filters, deep links and copying. Without this script everything is shown.
(() => {
  "use strict";
  const form = document.getElementById("filters");
  const findings = [...document.querySelectorAll(".finding")];
  const areas = [...document.querySelectorAll(".area")];
  const area = document.getElementById("area");
  const search = document.getElementById("search");
  const shown = document.getElementById("shown");
  const toggle = document.getElementById("toggle");
  const words = new Map(findings.map((f) => [f, f.textContent.toLowerCase().replace(/\s+/g, " ")]));

  const chosen = (name) => new Set([...form.querySelectorAll(`input[name=${name}]:checked`)].map((box) => box.value));
  const visible = () => findings.filter((f) => !f.hidden);

  function filter() {
    const status = chosen("status"), severity = chosen("severity");
    const asked = search.value.toLowerCase().split(/\s+/).filter(Boolean);
    for (const f of findings) {
      f.hidden = !(status.has(f.dataset.status) && severity.has(f.dataset.severity) &&
        (!area.value || f.parentElement.dataset.area === area.value) &&
        asked.every((word) => words.get(f).includes(word)));
    }
    for (const a of areas) a.hidden = !a.querySelector(".finding:not([hidden])");
    const count = visible().length;
    shown.textContent = `${count} of ${findings.length} controls shown`;
    document.getElementById("none").hidden = count > 0;
    name();
  }

  // name says what the button does next.
  function name() {
    toggle.textContent = visible().some((f) => !f.open) ? "Open all" : "Close all";
  }

  function all() {
    for (const box of form.querySelectorAll("input[type=checkbox]")) box.checked = true;
    search.value = "";
    area.value = "";
    filter();
  }

  // follow opens what the address names, and takes back filters that hide it.
  function follow() {
    let id = location.hash.slice(1);
    try {
      id = decodeURIComponent(id);
    } catch {
      return; // not an address of this page
    }
    const target = id && document.getElementById(id);
    if (!target || target.tagName !== "DETAILS") return;
    if (target.hidden) all();
    target.open = true;
    target.scrollIntoView();
    target.querySelector("summary").focus({ preventScroll: true });
  }

  form.addEventListener("input", filter);
  form.addEventListener("submit", (event) => event.preventDefault());
  form.addEventListener("reset", () => setTimeout(filter));
  toggle.addEventListener("click", () => {
    const open = visible().some((f) => !f.open);
    for (const f of visible()) f.open = open;
    name();
  });
  for (const f of findings) f.addEventListener("toggle", name);
  for (const tile of document.querySelectorAll("a[data-severity]")) {
    tile.addEventListener("click", () => {
      all();
      for (const box of form.querySelectorAll("input[type=checkbox]")) {
        box.checked = box.value === tile.dataset.severity || box.value === "fail";
      }
      filter();
    });
  }
  addEventListener("hashchange", follow);
  document.addEventListener("click", (event) => {
    const link = event.target.closest("a[href^='#']");
    if (link && link.hash === location.hash) setTimeout(follow); // no hashchange comes
  });

  for (const box of document.querySelectorAll(".fix")) {
    const copy = document.createElement("button");
    copy.type = "button";
    copy.className = "copy";
    copy.textContent = "Copy";
    const id = box.closest(".finding").id;
    copy.setAttribute("aria-label", `Copy the fix of ${id}`);
    copy.addEventListener("click", async () => {
      const code = box.querySelector("code");
      try {
        await navigator.clipboard.writeText(code.textContent);
        copy.textContent = "Copied";
      } catch { // not allowed here: select it, so that one key copies it
        getSelection().selectAllChildren(code);
        copy.textContent = "Selected";
      }
      setTimeout(() => { copy.textContent = "Copy"; }, 2000);
    });
    box.append(copy);
  }

  // Paper has no summary to click on.
  let closed = [];
  addEventListener("beforeprint", () => {
    closed = [...document.querySelectorAll("details:not([open])")];
    for (const d of closed) d.open = true;
  });
  addEventListener("afterprint", () => {
    for (const d of closed) d.open = false;
  });

  form.hidden = false;
  filter();
  follow();
})();
