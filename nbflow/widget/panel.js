// The panel in the page. One store per panel, any number of views of it; only rows in sight are in the document.
// Whatever comes from the kernel is put in as text: there is no place here where it could become markup.

const ROW = 26; // pixels, as in panel.css
const SPARE = 2; // rows above and below those in sight
const GROUP = 200; // above so many steps, those of one task share a line
const SMALL = 3; // unless it has so few
const SHOWN_RUNNING = 8; // of a closed group
const SHOWN_FAILED = 24;
const SILENCE = 12_000; // ms without a word from the kernel, which beats every 5 s while steps are active
const OLD = 60_000; // ms: a checkpoint of a panel that was loaded with its steps still active
const PATIENCE = 1500; // ms for an answer to a button
const CONFIRM = 3000;
const NOTE = 8000;
const ORDER = ["running", "waiting", "queued", "ran", "cached", "failed", "off"];
const URGENCY = { failed: 0, waiting: 1, running: 2, off: 3, queued: 4, ran: 5, cached: 6 };
const BAR = ["cached", "ran", "failed", "off", "waiting", "running"];
const BUSY = "The kernel is busy and reads this when it is free. To interrupt it now, press ■ in the toolbar.";

// -- words --

export function spell(seconds) {
  if (seconds < 0.9995) return `${(seconds * 1000).toFixed(0)} ms`;
  if (seconds < 59.95) return `${seconds.toFixed(1)} s`;
  const spans = [[3600, "min", 60, "s", 1], [86400, "h", 3600, "min", 60], [Infinity, "d", 86400, "h", 3600]];
  const [, big, size, small, part] = spans.find(([limit, , , , part]) => seconds < limit - part / 2);
  const units = Math.round(seconds / part), per = size / part;
  return `${Math.floor(units / per)} ${big}` + (units % per ? ` ${units % per} ${small}` : "");
}

export function countdown(left) {
  if (left < 100) return `${Math.max(0, Math.ceil(left))} s`;
  return left < 6000 ? `${Math.round(left / 60)} min` : `${Math.round(left / 3600)} h`;
}

export function size(bytes) {
  if (bytes < 1024) return `${bytes} B`;
  for (const unit of ["KB", "MB", "GB"]) {
    bytes /= 1024;
    if (bytes < 999.95) return `${bytes.toFixed(1)} ${unit}`;
  }
  return `${(bytes / 1024).toFixed(1)} TB`;
}

const count = n => n.toLocaleString("en-US");
const steps = n => `${count(n)} step${n === 1 ? "" : "s"}`;

// -- the store: what was heard, per panel --

const stores = new Map();

export function open(model, draw = callback => requestAnimationFrame(callback)) {
  const store = {
    rows: new Map(), details: new Map(), head: { n: {} }, phases: model.get("phases"), views: new Set(), answers: new Map(),
    seq: -1, origin: 0, skew: 0, heard: 0, last: 0, sorted: true, version: 0, pending: false,
  };
  store.paint = () => {
    if (store.pending) return;
    store.pending = true;
    draw(() => { store.pending = false; for (const view of store.views) view(); });
  };
  store.kind = phase => store.phases[phase]?.[2] ?? "off";
  store.active = () => Object.keys(store.head.n).some(phase => ["queued", "running", "waiting"].includes(store.kind(phase)));
  // Seconds since the origin by the kernel's clock; they stand still when the kernel is silent.
  store.silent = () => store.active() && Date.now() - store.heard > SILENCE;
  store.now = () => (store.silent() ? store.last : (Date.now() - store.skew) / 1000) - store.origin;

  const time = (seconds, fresh) => {
    store.last = seconds;
    store.skew = Date.now() - seconds * 1000;
    store.heard = fresh ? Date.now() : Date.now() - SILENCE - 1;
  };
  const merge = changes => {
    for (const change of changes) {
      const row = store.rows.get(change.id);
      if (!row && change.n === undefined) continue; // what told of it was lost: the next checkpoint has it
      if (!row) {
        store.rows.set(change.id, { ...change });
        store.sorted = false;
        continue;
      }
      for (const [name, value] of Object.entries(change)) {
        if (value === null) delete row[name];
        else row[name] = value;
      }
    }
  };
  const detail = details => {
    for (const [id, each] of Object.entries(details ?? {})) store.details.set(Number(id), each);
  };
  const checkpoint = first => {
    const all = model.get("ckpt");
    if (!all || all.s === undefined || all.s < store.seq) return;
    // What a saved page holds may be of a kernel that is long gone.
    time(all.t, !first || Math.abs(Date.now() - all.t * 1000) < OLD);
    Object.assign(store, { seq: all.s, origin: all.o, head: all.h });
    store.rows.clear();
    merge(all.r);
    detail(all.d);
    store.version++;
    store.paint();
  };
  const message = content => {
    if (content.k === "p") {
      // After a gap the fields that came are right all the same, and the next checkpoint has the others.
      store.seq = Math.max(store.seq, content.s);
      time(content.t, true);
      store.head = content.h;
      merge(content.r);
      detail(content.d);
      for (const id of content.x ?? []) { store.rows.delete(id); store.details.delete(id); }
      store.version++;
    } else if (content.k === "d") {
      detail(content.d);
      store.version++;
    } else {
      store.answers.get(content.n)?.(content);
    }
    store.paint();
  };
  const changed = () => checkpoint(false);
  model.on("change:ckpt", changed);
  model.on("msg:custom", message);
  store.close = () => { model.off("change:ckpt", changed); model.off("msg:custom", message); };
  checkpoint(true);
  return store;
}

// -- which lines there are --

const nameOf = row => row.m ?? row.n + (row.a ?? "");

export function arrange(store, { filter, only, sort, unfolded }) {
  if (!store.sorted) {
    store.rows = new Map([...store.rows].sort(([a], [b]) => a - b));
    store.sorted = true;
  }
  const rows = [], tasks = new Map();
  const wanted = filter.toLowerCase();
  for (const row of store.rows.values()) {
    const [, word, kind] = store.phases[row.s];
    if (only && word !== only) continue;
    if (wanted && !`${nameOf(row)} ${row.w ?? ""}`.toLowerCase().includes(wanted)) continue;
    row.kind = kind;
    rows.push(row);
    let task = tasks.get(row.n);
    if (!task) tasks.set(row.n, task = { n: row.n, rows: [], counts: {} });
    task.rows.push(row);
    task.counts[kind] = (task.counts[kind] ?? 0) + 1;
  }
  if (sort === "steps" && rows.length > GROUP) return grouped(tasks, unfolded, wanted || only);
  const now = store.now();
  const lasted = row => ended(row, now) - (row.g?.[0]?.[0] ?? now);
  if (sort === "attention") rows.sort((a, b) => URGENCY[a.kind] - URGENCY[b.kind] || a.id - b.id);
  else if (sort === "time") rows.sort((a, b) => lasted(b) - lasted(a));
  else if (sort === "name") rows.sort((a, b) => nameOf(a).localeCompare(nameOf(b)));
  else return tree(rows);
  return rows.map(row => ({ row, level: 1 }));
}

const ended = (row, now) => row.g?.length ? row.g[row.g.length - 1][1] ?? now : now;

function tree(rows) {
  const known = new Set(), children = new Map(), lines = [];
  for (const row of rows) {
    const parent = known.has(row.p) ? row.p : undefined;
    if (!children.has(parent)) children.set(parent, []);
    children.get(parent).push(row);
    known.add(row.id);
  }
  const stack = (children.get(undefined) ?? []).map(row => ({ row, level: 1 })).reverse();
  while (stack.length) {
    const line = stack.pop();
    lines.push(line);
    for (const row of (children.get(line.row.id) ?? []).reverse()) stack.push({ row, level: Math.min(line.level + 1, 7) });
  }
  return lines;
}

function grouped(tasks, unfolded, searching) {
  const lines = [];
  for (const task of tasks.values()) {
    if (task.rows.length <= SMALL) {
      for (const row of task.rows) lines.push({ row, level: 1 });
      continue;
    }
    const open = unfolded.has(task.n) || Boolean(searching);
    lines.push({ task, level: 1, open });
    let rows = task.rows;
    if (!open) {
      const running = rows.filter(row => row.kind === "running" || row.kind === "waiting").slice(0, SHOWN_RUNNING);
      const failed = rows.filter(row => row.kind === "failed").slice(-SHOWN_FAILED);
      rows = [...running, ...failed].sort((a, b) => a.id - b.id);
    }
    for (const row of rows) lines.push({ row, level: 2 });
  }
  return lines;
}

// -- elements --

function make(tag, attributes = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
  element.append(...children);
  return element;
}

// JupyterLab and Notebook act on keys unless the focused element itself says otherwise: `d d` deletes a cell.
const guarded = (tag, attributes, ...children) =>
  make(tag, { "data-lm-suppress-shortcuts": "true", ...attributes }, ...children);

function say(element, text) {
  if (element.shown !== text) element.textContent = element.shown = text;
}

function set(element, name, value) {
  if (element.getAttribute(name) !== String(value)) element.setAttribute(name, value);
}

function fill(parent, length, tag = "i") {
  while (parent.children.length < length) parent.append(make(tag));
  while (parent.children.length > length) parent.lastChild.remove();
  return parent.children;
}

async function copy(text, from) {
  try {
    await navigator.clipboard.writeText(text);
  } catch { // a page that is not served from this machine or by https has no clipboard
    const range = document.createRange();
    range.selectNodeContents(from);
    getSelection().removeAllRanges();
    getSelection().addRange(range);
    document.execCommand("copy");
  }
}

// -- a view --

function view(store, model, el) {
  const uid = `${model.get("uid")}-${Math.random().toString(36).slice(2, 8)}`;
  const ui = { filter: "", only: "", sort: "steps", unfolded: new Set() };
  let lines = [], arranged = "", chosen = null, touched = false, wasActive = store.active(), number = 0;
  let note = "", noteUntil = 0, asking = 0, spoken = "";
  el.classList.add("nbflow-panel");

  const icon = make("span", { class: "icon", "aria-hidden": "true" });
  const headline = make("span", { class: "headline" });
  const clock = make("span", { class: "clock" });
  const bar = make("div", { class: "bar", role: "progressbar", "aria-label": "steps that have ended", "aria-valuemin": 0 });
  const fold = guarded("button", { class: "fold", type: "button", "aria-expanded": "true", "aria-label": "steps" }, "▾");
  const said = make("div", { class: "said" });
  const status = make("div", { class: "hidden", role: "status", "aria-live": "polite" });
  const chips = make("div", { class: "chips", role: "group", "aria-label": "show only" });
  const search = guarded("input", { type: "search", placeholder: "filter ( / )", "aria-label": "filter steps" });
  const orders = [["steps", "in order"], ["attention", "needs attention"], ["time", "longest"], ["name", "by name"]];
  const sorter = guarded("select", { "aria-label": "sort steps" },
    ...orders.map(([value, label]) => make("option", { value }, label)));
  const buttons = {};
  const button = (action, label, title) => {
    const made = guarded("button", { type: "button", class: `act ${action}`, title }, label);
    made.label = label;
    made.addEventListener("click", () => act(action));
    return buttons[action] = made;
  };
  const whom = make("span", { class: "whom" });
  const tools = make("div", { class: "tools", role: "toolbar", "aria-label": "do something to the selected step, or to all" }, whom,
    button("cancel", "⊘ cancel", "cancel the selected step, or all (c)"),
    button("wake", "↻ retry now", "end the wait before a retry (r)"),
    button("again", "↺ retry failed", "run what failed once more"),
    button("refresh", "⟳ refresh", "run again the next time, whatever is kept"),
    button("clear", "⌫ clear", "drop what is kept"));
  const columns = [["state", "state"], ["name", "step"], ["why", "why"], ["tries", "try"], ["line", ""], ["time", "time"], ["size", "size"]];
  const heads = columns.map(([name, label]) => make("span", { class: name, role: "columnheader" }, label));
  const until = make("span");
  heads[4].append(make("span", {}, "0"), until);
  heads[4].setAttribute("aria-label", "timeline");
  const head = make("div", { role: "rowgroup", class: "heads" }, make("div", { class: "row", role: "row" }, ...heads));
  const space = make("div", { class: "space", role: "rowgroup" });
  const grid = guarded("div", { class: "grid", role: "treegrid", tabindex: 0, "aria-label": "steps" }, head, space);
  const detail = guarded("section", { class: "detail", "aria-label": "the selected step", tabindex: 0 });
  detail.hidden = true;
  const controls = make("div", { class: "controls" }, chips, search, sorter, tools), body = make("div", { class: "body" }, grid, detail);
  el.append(make("div", { class: "head" }, fold, icon, make("b", {}, "nbflow"), make("span", { class: "words" }, headline, clock), bar), controls, said, status, body);

  // What is chosen is a step's number, or a task's name.
  const chosenLine = () => lines.findIndex(line => (line.task ? line.task.n : line.row.id) === chosen);
  const targets = () => {
    if (chosen === null) return [...store.rows.values()];
    if (typeof chosen === "number") return store.rows.has(chosen) ? [store.rows.get(chosen)] : [];
    return [...store.rows.values()].filter(row => row.n === chosen);
  };

  const tell = (text, lasting = NOTE) => {
    note = text;
    noteUntil = Date.now() + lasting;
    status.textContent = text;
    store.paint();
  };

  function send(action, extra) {
    const n = ++number, element = buttons[action];
    element?.setAttribute("aria-busy", "true");
    const timer = setTimeout(() => tell(BUSY, 60_000), PATIENCE);
    store.answers.set(`${uid}/${n}`, answer => {
      clearTimeout(timer);
      if (note === BUSY) note = "";
      if (answer.k !== "said") return;
      element?.removeAttribute("aria-busy");
      store.answers.delete(`${uid}/${n}`);
      tell(answer.text);
    });
    model.send({ k: "act", a: action, n: `${uid}/${n}`, t: (Date.now() - store.skew) / 1000, ...extra });
  }

  function act(action) {
    const element = buttons[action];
    if (element.getAttribute("aria-disabled") === "true") return tell(element.why);
    if (action === "clear" && !asking) {
      const kept = targets().filter(row => row.y || row.s === "Cached");
      const bytes = kept.reduce((sum, row) => sum + (row.y ?? 0), 0);
      element.textContent = `⌫ drop ${size(bytes)}?`;
      tell(`Press again to drop ${kept.length === 1 ? nameOf(kept[0]) : steps(kept.length)}, ${size(bytes)}.`, CONFIRM);
      asking = setTimeout(forget, CONFIRM);
      return undefined;
    }
    forget();
    return send(action, chosen === null ? {} : typeof chosen === "number" ? { id: chosen } : { task: chosen });
  }

  // Who agrees, agrees to what was asked of what was chosen then.
  function forget() {
    if (!asking) return;
    clearTimeout(asking);
    asking = 0;
    note = "";
    buttons.clear.textContent = buttons.clear.label;
  }

  function choose(next, open = !detail.hidden) {
    touched = true;
    forget();
    chosen = next;
    if (open && typeof next === "number" && next !== null) unfoldDetail(next);
    else if (typeof next !== "number") detail.hidden = true;
    store.paint();
  }

  function unfoldDetail(step) {
    detail.hidden = false;
    const known = store.details.get(step);
    // What was sent of a long log is its end; a free kernel has all of it.
    if (known?.log) model.send({ k: "act", a: "detail", id: step });
  }

  function paint() {
    const now = store.now(), active = store.active(), n = {};
    let total = 0, over = 0;
    for (const [phase, each] of Object.entries(store.head.n)) {
      const kind = store.kind(phase);
      n[kind] = (n[kind] ?? 0) + each;
      total += each;
      if (!["queued", "running", "waiting"].includes(kind)) over += each;
    }
    if (wasActive && !active && el.dataset.fold === "auto" && !touched) settle(n);
    wasActive = active;
    paintHead(now, active, n, total, over);
    if (body.hidden) return;
    paintControls(n, total);
    const state = `${store.version} ${ui.filter} ${ui.only} ${ui.sort} ${[...ui.unfolded]} ${ui.sort === "time" && active ? now : ""}`;
    if (state !== arranged) {
      lines = arrange(store, ui);
      arranged = state;
    }
    paintRows(now);
    paintDetail();
  }

  // All is over: what went well needs one line, what failed is what people look for.
  function settle(n) {
    if (!n.failed) return setFold(false);
    const first = [...store.rows.values()].find(row => store.kind(row.s) === "failed");
    if (first) { forget(); chosen = first.id; unfoldDetail(first.id); }
    return undefined;
  }

  function paintHead(now, active, n, total, over) {
    const { s, m, b = 0, e, l } = store.head, silent = store.silent();
    const [mark = "", , kind = "off"] = store.phases[s] ?? [];
    say(icon, mark);
    icon.dataset.kind = kind;
    say(headline, m ?? "");
    const parts = total ? [spell(Math.max(0, (e ?? now) - b))] : [];
    if (active && l > now && !silent) parts.push(`about ${countdown(l - now)} left`);
    say(clock, parts.map(part => ` · ${part}`).join(""));
    set(bar, "aria-valuemax", Math.max(total, 1));
    set(bar, "aria-valuenow", over);
    set(bar, "aria-valuetext", `${over} of ${steps(total)}`);
    const kinds = BAR.filter(kind => n[kind]);
    [...fill(bar, kinds.length)].forEach((part, at) => {
      part.dataset.kind = kinds[at];
      part.style.width = `${100 * n[kinds[at]] / total}%`;
    });
    if (Date.now() > noteUntil) note = "";
    const at = new Date(store.last * 1000).toLocaleTimeString([], { hour: "2-digit", minute: "2-digit" });
    const text = silent ? `As of ${at}: the kernel has not answered since. It is busy, or gone.` : note;
    say(said, text);
    said.hidden = !text;
    // Only these are spoken: screen readers would otherwise never be quiet.
    const speak = active ? (n.failed ? `${n.failed} failed` : "steps are running") : total ? `${m}: ended` : "";
    if (speak !== spoken) status.textContent = spoken = speak;
  }

  function paintControls(n, total) {
    const words = new Map();
    for (const [phase, each] of Object.entries(store.head.n)) {
      const [mark, word, kind] = store.phases[phase];
      const known = words.get(word) ?? { mark, kind, each: 0 };
      words.set(word, { ...known, each: known.each + each });
    }
    const listed = [...words].sort((a, b) => ORDER.indexOf(a[1].kind) - ORDER.indexOf(b[1].kind));
    const all = [["", { mark: "", kind: "", each: total }], ...listed];
    if (ui.only && !words.has(ui.only)) ui.only = "";
    while (chips.children.length < all.length) {
      const chip = guarded("button", { type: "button", class: "chip" }, make("span", { class: "icon" }), make("span"));
      chip.addEventListener("click", () => { ui.only = ui.only === chip.word ? "" : chip.word; touched = true; store.paint(); });
      chips.append(chip);
    }
    while (chips.children.length > all.length) chips.lastChild.remove();
    all.forEach(([word, { mark, kind, each }], at) => {
      const chip = chips.children[at];
      chip.word = word;
      chip.dataset.kind = kind;
      set(chip, "aria-pressed", ui.only === word);
      say(chip.firstChild, mark);
      say(chip.lastChild, `${word || "all"} ${count(each)}`);
    });
    say(whom, chosen === null ? "all:" : "selected:");
    const kinds = {};
    for (const row of targets()) kinds[store.kind(row.s)] = (kinds[store.kind(row.s)] ?? 0) + 1;
    const usable = {
      cancel: [kinds.queued || kinds.running || kinds.waiting, "Nothing is left to cancel."],
      wake: [kinds.waiting, "Nothing waits for a retry."],
      again: [kinds.failed, "Nothing failed."],
      refresh: [kinds.cached || kinds.ran || kinds.failed, "Nothing is kept yet."],
      clear: [kinds.cached || kinds.ran, "Nothing is kept yet."],
    };
    for (const [action, [use, why]] of Object.entries(usable)) {
      set(buttons[action], "aria-disabled", !use);
      buttons[action].why = why;
    }
  }

  const pool = [];
  function rowElement() {
    const cells = columns.map(([name]) => make("span", { class: name, role: "gridcell" }));
    cells[0].append(make("span", { class: "icon", "aria-hidden": "true" }), make("span"));
    cells[4].append(make("span", { class: "track", "aria-hidden": "true" }));
    const made = make("div", { class: "row", role: "row" }, ...cells);
    made.addEventListener("click", () => {
      const line = lines[made.at];
      if (!line) return;
      if (line.task) { unfold(line.task.n); choose(line.task.n); }
      else choose(line.row.id, true);
      grid.focus({ preventScroll: true });
    });
    pool.push(made);
    space.append(made);
  }

  const unfold = task => { ui.unfolded.has(task) ? ui.unfolded.delete(task) : ui.unfolded.add(task); store.paint(); };

  function paintRows(now) {
    const begin = store.head.b ?? 0, end = Math.max(store.head.e ?? now, begin + 1e-3);
    say(until, spell(end - begin));
    space.style.height = `${Math.max(lines.length, 1) * ROW}px`;
    set(grid, "aria-rowcount", lines.length + 1);
    const height = grid.clientHeight - head.offsetHeight;
    const first = Math.max(0, Math.floor(grid.scrollTop / ROW) - SPARE);
    const last = Math.min(lines.length, Math.ceil((grid.scrollTop + height) / ROW) + SPARE);
    while (pool.length < last - first) rowElement();
    while (pool.length > Math.max(last - first, 0)) pool.pop().remove();
    pool.forEach((element, at) => paintRow(element, lines[first + at], first + at, now, begin, end));
    const at = chosenLine();
    if (at >= first && at < last) set(grid, "aria-activedescendant", `${uid}-${at}`);
    else grid.removeAttribute("aria-activedescendant");
  }

  function paintRow(element, line, at, now, begin, end) {
    element.at = at;
    element.id = `${uid}-${at}`;
    element.style.transform = `translateY(${at * ROW}px)`;
    set(element, "aria-rowindex", at + 2);
    set(element, "aria-level", line.level);
    set(element, "aria-selected", (line.task ? line.task.n : line.row.id) === chosen);
    const told = line.task ? tellTask(line, now) : tellRow(line.row, now);
    if (line.task) set(element, "aria-expanded", line.open);
    else element.removeAttribute("aria-expanded");
    element.dataset.kind = told.kind;
    const [state, name, why, tries, track, time, bytes] = element.children;
    say(state.firstChild, told.icon);
    say(state.lastChild, told.word);
    name.style.paddingLeft = `${(line.level - 1) * 14}px`;
    for (const [cell, text] of [[name, told.name], [why, told.why], [tries, told.tries], [time, told.time], [bytes, told.bytes]]) {
      say(cell, text);
      if ((cell === name || cell === why) && cell.title !== text) cell.title = text;
    }
    if (told.done === undefined) track.firstChild.removeAttribute("style");
    else track.firstChild.style.setProperty("--done", `${100 * told.done}%`);
    const parts = fill(track.firstChild, told.parts.length), span = end - begin;
    told.parts.forEach(([from, to, kind], each) => {
      const left = Math.min(Math.max(0, 100 * (from - begin) / span), 99.3);
      parts[each].dataset.kind = kind;
      parts[each].style.left = `${left}%`;
      parts[each].style.width = `${Math.min(Math.max(100 * ((to ?? now) - begin) / span - left, 0.7), 100 - left)}%`;
      parts[each].classList.toggle("live", to === null);
    });
  }

  function tellRow(row, now) {
    const [mark, word, kind] = store.phases[row.s];
    const left = row.u === undefined ? "" : `retry in ${countdown(row.u - now)}`;
    const time = row.e ?? (row.b === undefined ? "" : spell(Math.max(0, now - row.b)));
    return {
      icon: mark, word: kind === "waiting" && left ? left : word, kind, name: nameOf(row), why: row.w ?? "", tries: row.k ?? "",
      time, bytes: row.y ? size(row.y) : "", done: row.f, parts: (row.g ?? []).map(([from, to, phase]) => [from, to, store.kind(phase)]),
    };
  }

  function tellTask({ task, open: isOpen }, now) {
    const kinds = ORDER.filter(kind => task.counts[kind]);
    const worst = task.counts.failed ? "failed" : ["running", "waiting", "queued"].find(kind => task.counts[kind]) ?? kinds[0];
    const [mark] = Object.values(store.phases).find(phase => phase[2] === worst);
    const words = kinds.map(kind => `${count(task.counts[kind])} ${kind === "off" ? "not run" : kind}`);
    let from = Infinity, to = -Infinity, bytes = 0, live = false;
    for (const row of task.rows) {
      bytes += row.y ?? 0;
      if (!row.g?.length) continue;
      from = Math.min(from, row.g[0][0]);
      const end = row.g[row.g.length - 1][1];
      if (end === null) live = true;
      else to = Math.max(to, end);
    }
    const kind = live ? "running" : task.counts.ran ? "ran" : worst;
    return {
      icon: mark, word: task.counts.failed ? `${count(task.counts.failed)} failed` : worst === "off" ? "not run" : worst, kind: worst,
      name: `${isOpen ? "▾" : "▸"} ${task.n} ×${count(task.rows.length)}`, why: words.join(" · "), tries: "",
      time: from < Infinity ? spell(Math.max(0, (live ? now : to) - from)) : "", bytes: bytes ? size(bytes) : "",
      parts: from < Infinity ? [[from, live ? null : to, kind]] : [],
    };
  }

  function paintDetail() {
    const row = typeof chosen === "number" ? store.rows.get(chosen) : undefined;
    if (detail.hidden || !row) { detail.hidden = true; return; }
    const more = store.details.get(row.id) ?? {};
    const shown = JSON.stringify([row.id, nameOf(row), row.s, row.w, row.e, row.key, more]);
    if (detail.shown === shown) return;
    const log = detail.querySelector("pre.log"), atEnd = !log || log.scrollTop + log.clientHeight >= log.scrollHeight - 4;
    detail.shown = shown;
    const [mark, word, kind] = store.phases[row.s];
    const title = make("div", { class: "title" }, make("span", { class: "icon", "aria-hidden": "true" }, mark), make("b", {}, nameOf(row)), ` ${word}`);
    title.dataset.kind = kind;
    const parts = [title];
    const why = more.why ?? row.w;
    if (why) parts.push(make("p", { class: "why" }, why));
    if (more.errors?.length) {
      parts.push(make("ol", { class: "errors" }, ...more.errors.map(([attempt, error]) =>
        make("li", {}, make("span", { class: "attempt" }, `attempt ${attempt}`), " ", error))));
    }
    if (row.key) parts.push(field("key", make("code", {}, row.key), row.key));
    if (more.trace) parts.push(block("traceback", "trace", more.trace));
    if (more.log) parts.push(block("log", "log", more.log));
    detail.replaceChildren(...parts);
    const end = detail.querySelector("pre.log");
    if (end && atEnd) end.scrollTop = end.scrollHeight;
  }

  function copier(label, text, from) {
    const made = guarded("button", { type: "button", class: "copy", "aria-label": `copy the ${label}` }, "copy");
    made.addEventListener("click", async () => { await copy(text, from); tell(`Copied the ${label}.`, 2000); });
    return made;
  }

  const field = (label, element, text) =>
    make("div", { class: "field" }, make("span", { class: "label" }, label), element, copier(label, text, element));

  function block(label, name, text) {
    const pre = guarded("pre", { class: name, tabindex: 0, role: "group", "aria-label": label }, text);
    return make("div", { class: "block" }, field(label, make("span"), text), pre);
  }

  function setFold(isOpen) {
    fold.setAttribute("aria-expanded", isOpen);
    fold.textContent = isOpen ? "▾" : "▸";
    controls.hidden = body.hidden = !isOpen;
  }

  function go(at) {
    if (!lines.length) return;
    const to = Math.max(0, Math.min(lines.length - 1, at)), height = grid.clientHeight - head.offsetHeight;
    if (to * ROW < grid.scrollTop) grid.scrollTop = to * ROW;
    if ((to + 1) * ROW > grid.scrollTop + height) grid.scrollTop = (to + 1) * ROW - height;
    const line = lines[to];
    choose(line.task ? line.task.n : line.row.id);
  }

  function nextFailure(direction) {
    const bad = lines.map((line, at) => at).filter(at => lines[at].row?.kind === "failed");
    const here = chosenLine();
    const found = direction > 0 ? bad.find(at => at > here) ?? bad[0] : bad.findLast(at => at < here) ?? bad[bad.length - 1];
    if (found !== undefined) go(found);
  }

  function enter() {
    const line = lines[chosenLine()];
    if (line?.task) unfold(line.task.n);
    else if (line && detail.hidden) { unfoldDetail(line.row.id); store.paint(); }
    else { detail.hidden = true; store.paint(); }
  }

  function turn(isOpen) {
    const line = lines[chosenLine()];
    if (line?.task && line.open !== isOpen) unfold(line.task.n);
  }

  const page = () => Math.max(1, Math.floor((grid.clientHeight - head.offsetHeight) / ROW) - 1);
  const keys = {
    ArrowDown: () => go(chosenLine() + 1), ArrowUp: () => go(chosenLine() - 1), PageDown: () => go(chosenLine() + page()),
    PageUp: () => go(chosenLine() - page()), Home: () => go(0), End: () => go(lines.length - 1), Enter: enter,
    ArrowRight: () => turn(true), ArrowLeft: () => turn(false), "/": () => search.focus(), c: () => act("cancel"), r: () => act("wake"),
    "]": () => nextFailure(1), "[": () => nextFailure(-1), Escape: () => choose(null),
  };
  const away = new AbortController();
  const on = (element, name, run) => element.addEventListener(name, run, { signal: away.signal });
  on(grid, "keydown", event => {
    const run = event.ctrlKey || event.metaKey || event.altKey ? undefined : keys[event.key];
    if (!run || event.target !== grid) return;
    event.preventDefault();
    run();
  });
  on(tools, "keydown", event => {
    if (event.key === "Escape") { choose(null); grid.focus(); }
    const all = Object.values(buttons), at = all.indexOf(document.activeElement);
    const to = { ArrowRight: at + 1, ArrowLeft: at - 1 }[event.key];
    if (to !== undefined) { event.preventDefault(); all[(to + all.length) % all.length].focus(); }
  });
  on(search, "keydown", event => {
    if (event.key !== "Escape") return;
    search.value = ui.filter = "";
    grid.focus();
    store.paint();
  });
  on(search, "input", () => { ui.filter = search.value; touched = true; store.paint(); });
  on(sorter, "change", () => { ui.sort = sorter.value; touched = true; store.paint(); });
  on(grid, "scroll", store.paint);
  on(fold, "click", () => { touched = true; setFold(body.hidden); store.paint(); });
  if (model.get("folds")) el.dataset.fold = "auto";

  const watch = new ResizeObserver(store.paint); // it may be drawn where it has no size yet
  watch.observe(grid);
  const tick = setInterval(() => { if (store.active() || note) store.paint(); }, 500);
  store.views.add(paint);
  paint();
  return () => { store.views.delete(paint); clearInterval(tick); watch.disconnect(); away.abort(); };
}

export default {
  // The two get different proxies of the model, so the store is found by name.
  initialize({ model }) {
    const store = open(model);
    stores.set(model.get("uid"), store);
    return () => { stores.delete(model.get("uid")); store.close(); };
  },
  render({ model, el }) {
    return view(stores.get(model.get("uid")), model, el);
  },
};
