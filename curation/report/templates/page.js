"use strict";
// The page's behaviour: language, theme, the ledger and a row's life. Rows are strangers' text: textContent only.
(() => {
  const root = document.documentElement;
  const held = JSON.parse(document.getElementById("data").textContent);
  const rows = held.rows;
  const LABELS = ["task_type", "bucket"];
  const byId = new Map(rows.map((row) => [row.i, row]));

  const store = (key, value) => { try { localStorage.setItem(key, value); } catch { /* private windows refuse */ } };
  const lang = () => (root.dataset.lang === "zh" ? "zh" : "en");
  const say = (key, values = {}) =>
    held.text[key][lang()].replace(/\{(\w+)\}/g, (_, name) => Number(values[name]).toLocaleString("en-US"));
  const named = (word) => (Object.hasOwn(held.name, word) ? held.name[word][lang()] : word);

  // Control characters by visible signs, as on the rest of the page.
  const see = (text) => String(text).replace(/[\u0000-\u0008\u000b\u000c\u000e-\u001f\u007f-\u009f]/g, (c) =>
    c === "\u007f" ? "\u2421" : c < " " ? String.fromCharCode(0x2400 + c.charCodeAt(0)) : "\ufffd");

  const make = (tag, attributes = {}, ...inside) => {
    const element = document.createElement(tag);
    for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
    element.append(...inside.filter((part) => part !== null && part !== undefined).map((part) => (part instanceof Node ? part : see(part))));
    return element;
  };
  const link = (id) => make("a", { class: "id", href: "#row=" + encodeURIComponent(id) }, make("code", {}, id));
  const spread = (nodes, between) => nodes.flatMap((node, n) => (n ? [between, node] : [node]));

  // Language and theme
  const setLanguage = (value) => {
    root.dataset.lang = value;
    root.lang = value === "zh" ? "zh-CN" : "en";
    document.title = value === "zh" ? "Temper · 数据整理报告" : "Temper · curation report";
    for (const button of document.querySelectorAll("[data-set-lang]")) {
      button.setAttribute("aria-pressed", String(button.dataset.setLang === value));
    }
    if (form) { fillFilters(); search(); }
    openFromHash();
  };
  const isDark = () => (root.dataset.theme || (matchMedia("(prefers-color-scheme: dark)").matches ? "dark" : "light")) === "dark";

  // The ledger
  const form = document.getElementById("search");
  const FIELDS = { corpus: (r) => r.c, fate: (r) => r.x, why: (r) => r.w, type: (r) => r.k, language: (r) => r.g, source: (r) => r.s };
  let matching = [], shown = 0;

  const hay = (row) => {
    if (row.hay === undefined) {
      const words = [row.i, row.s, row.f, row.r, row.x, row.w, row.k, row.j, row.b, row.g, row.d, row.z, ...(row.t || []), ...(row.a || []),
        ...(row.p || []), ...(row.e || []).map((edit) => edit[0]), ...(row.m || []).map((turn) => turn[1])];
      Object.defineProperty(row, "hay", { value: words.filter(Boolean).join("\n").toLowerCase() });
    }
    return row.hay;
  };

  const fillFilters = () => {
    for (const [field, of] of Object.entries(FIELDS)) {
      const select = form.elements[field], chosen = select.value, counts = new Map();
      for (const row of rows) if (of(row)) counts.set(of(row), (counts.get(of(row)) || 0) + 1);
      const options = [...counts].sort((a, b) => b[1] - a[1] || (a[0] < b[0] ? -1 : 1));
      select.replaceChildren(make("option", { value: "" }, say("any")), ...options.map(([value, n]) => make("option", { value }, `${named(value)} (${n})`)));
      select.value = chosen;
    }
  };

  const search = () => {
    const wanted = form.elements.text.value.toLowerCase().split(/\s+/).filter(Boolean);
    const filters = Object.entries(FIELDS).filter(([field]) => form.elements[field].value);
    matching = rows.filter((row) => filters.every(([field, of]) => of(row) === form.elements[field].value) && wanted.every((word) => hay(row).includes(word)));
    shown = 0;
    document.getElementById("ledger").replaceChildren();
    document.getElementById("found").textContent = say("found", { found: matching.length, all: rows.length });
    more();
  };

  const more = () => {
    const body = document.getElementById("ledger");
    for (const row of matching.slice(shown, shown + 100)) {
      const turn = (row.m || []).find((t) => t[0] === "user" || t[0] === "text" || t[0] === "raw") || (row.m || [])[0] || ["", ""];
      body.append(make("tr", {},
        make("td", {}, link(row.i)),
        make("td", {}, make("span", { class: "fate fate-" + row.x }, named(row.x)), row.w ? make("span", { class: "small why" }, named(row.w)) : null),
        make("td", { class: "small" }, row.k ? named(row.k) : ""),
        make("td", { class: "clip", dir: "auto" }, turn[1].slice(0, 160))));
    }
    shown = Math.min(matching.length, shown + 100);
    document.getElementById("more").hidden = shown >= matching.length;
  };

  // A row's life
  const dialog = document.getElementById("life");

  const life = (row) => {
    const list = make("dl", { class: "life" });
    const add = (key, ...inside) => {
      if (inside.flat().some((part) => part !== null && part !== undefined && part !== "")) list.append(make("dt", {}, say(key)), make("dd", {}, ...inside.flat()));
    };
    const measured = (value) => (Number.isInteger(value) ? String(value) : Number(value).toFixed(4).replace(/0+$/, ""));
    add("source", [row.s, row.f ? `${row.f}${row.n ? ":" + row.n : ""}` : ""].filter(Boolean).join(" · "));
    add("origin", row.o ? named(row.o) : "");
    add("language", row.g ? named(row.g) : "");
    add("recipe", row.r || "");
    add("parents", spread((row.p || []).map(link), " "));
    add("tags", (row.t || []).join(", "));
    if (row.x !== "quarantined" && row.x !== "rejected") {
      add("edits", (row.e || []).length ? row.e.map(([rule, count, detail]) => make("div", {}, `${named(rule)} · ${count} ${say("places")}${detail ? " · " + detail : ""}`)) : say("nothing"));
    }
    add("signals", Object.entries(row.h || {}).map(([name, value]) => `${name} ${value}`).join(" · "));
    if (row.k) {
      const said = (n) => (row.q ? ` (${row.q[n]}, ${say("by")} ${row.y[n]})` : "");
      add("labels", make("div", {}, `${named(row.k)} / ${row.j || ""}${said(0)}`), make("div", {}, `${named(row.b)}${said(1)}`));
    }
    const copies = rows.filter((other) => other.d === row.i), children = rows.filter((other) => (other.p || []).includes(row.i));
    if (row.x === "dropped" || row.x === "quarantined" || row.x === "rejected") {
      const facts = [named(row.w || row.x)];
      if (row.v !== undefined) facts.push(`${say("value")} ${measured(row.v)}`);
      if (row.l !== undefined) facts.push(`${say("limit")} ${measured(row.l)}`);
      if (row.a) facts.push(`${say("also")} ${row.a.map(named).join(", ")}`);
      add("decision", make("div", {}, facts.join(" · ")), row.d ? make("div", {}, say("copy_of") + " ", link(row.d)) : null, row.z ? make("div", { class: "small", lang: "en" }, row.z) : null);
    } else if (row.x !== "read" && row.x !== "repaired") {
      add("decision", `${named("kept")}: ${say("kept_note")}`);
    }
    add("copies", spread(copies.map((other) => link(other.i)), " "));
    add("children", spread(children.map((other) => link(other.i)), " "));
    const place = row.u || {}, end = [named(row.x)];
    if (row.x === "unused") end.push(named(row.w));
    if (place.position) end.push(`${say("position")} ${place.position.join(", ")}`);
    if (place.tokens !== undefined) end.push(`${place.tokens} ${say("tokens")}`, `${place.loss_tokens} ${say("loss_tokens")}`);
    if (place.steps) end.push(place.steps.length ? `${say("steps")} ${place.steps.join(", ")}` : say("unread"));
    add("end", end.join(" · "));
    const talk = make("div", { class: "talk" }, ...(row.m || []).map(([role, text, left]) => make("div", { class: "turn" },
      make("span", { class: "role" }, named(role)), make("div", { class: "said", dir: "auto" }, text, left ? make("span", { class: "gap" }, `… ${left} ${say("left_out")}`) : null))));
    return [list, make("h3", {}, say("text")), talk];
  };

  const wanted = (start) => {
    const text = location.hash.slice(start.length + 1);
    try { return decodeURIComponent(text); } catch { return text; } // a broken escape names nothing
  };
  // #find=words searches the ledger, #row=id opens a row.
  const openFromHash = () => {
    if (form && location.hash.startsWith("#find=")) {
      form.reset();
      form.elements.text.value = wanted("find=");
      search();
      document.getElementById("rows").scrollIntoView();
    }
    if (!location.hash.startsWith("#row=")) { if (dialog.open) dialog.close(); return; }
    const id = wanted("row="), row = byId.get(id);
    document.getElementById("life-title").replaceChildren(make("code", {}, id));
    document.getElementById("life-body").replaceChildren(...(row ? life(row) : [make("p", {}, say("absent")), make("pre", {}, `curation show ${id}`)]));
    if (!dialog.open) dialog.showModal();
    dialog.scrollTop = 0;
  };

  let back = 0;
  document.addEventListener("click", (event) => {
    if (event.target.closest("a.id")) back = scrollY;
    const chosen = event.target.closest("[data-set-lang]");
    if (chosen) { store("temper.lang", chosen.dataset.setLang); setLanguage(chosen.dataset.setLang); }
    if (event.target.closest("[data-theme-switch]")) { root.dataset.theme = isDark() ? "light" : "dark"; store("temper.theme", root.dataset.theme); }
    if (event.target === dialog) dialog.close();
  });
  dialog.addEventListener("close", () => {
    if (location.hash.startsWith("#row=")) { history.replaceState(null, "", location.pathname + location.search); scrollTo(0, back); }
  });
  addEventListener("hashchange", openFromHash);

  if (form) {
    let waiting = 0;
    form.addEventListener("input", () => { clearTimeout(waiting); waiting = setTimeout(search, 120); });
    form.addEventListener("submit", (event) => { event.preventDefault(); search(); });
    document.getElementById("more").addEventListener("click", more);
  }

  // The contents mark the section in view.
  const entries = new Map([...document.querySelectorAll(".toc a")].map((a) => [a.hash.slice(1), a]));
  if ("IntersectionObserver" in window) {
    const watch = new IntersectionObserver((seen) => {
      for (const { target, isIntersecting } of seen) {
        if (!isIntersecting) continue;
        for (const a of entries.values()) a.removeAttribute("aria-current");
        entries.get(target.id)?.setAttribute("aria-current", "true");
      }
    }, { rootMargin: "-15% 0px -75% 0px" });
    for (const id of entries.keys()) watch.observe(document.getElementById(id));
  }

  setLanguage(lang());
})();
