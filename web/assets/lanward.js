// Makes pages livelier; every page works without it. No markup is made here: only text, classes
// and attributes are set.
const background = { headers: { 'x-lanward-background': '1' }, cache: 'no-store' };

// The claim code comes in the fragment, which is in no log and no Referer.
const code = document.querySelector('input[name=code]');
const claim = new URLSearchParams(location.hash.slice(1)).get('claim');
if (code && claim) {
  code.value = claim;
  history.replaceState(null, '', location.pathname);
  document.querySelector('input[name=password]')?.focus();
}

// Times: the browser's own zone, kept true while the page is open.
const full = new Intl.DateTimeFormat(undefined, { dateStyle: 'full', timeStyle: 'short' });
const clock = new Intl.DateTimeFormat(undefined, { hour: '2-digit', minute: '2-digit' });
const day = new Intl.DateTimeFormat(undefined, { weekday: 'short', hour: '2-digit', minute: '2-digit' });
const second = { hour: '2-digit', minute: '2-digit', second: '2-digit' };
const precise = new Intl.DateTimeFormat(undefined, second);
const preciseDay = new Intl.DateTimeFormat(undefined, { weekday: 'short', ...second });
const loaded = Date.now();

function words(seconds) {
  const d = Math.floor(seconds / 86400), h = Math.floor(seconds / 3600) % 24, m = Math.floor(seconds / 60) % 60;
  if (d) return h ? `${d} d ${h} h` : `${d} d`;
  if (h) return m ? `${h} h ${m} min` : `${h} h`;
  return m ? `${m} min` : `${Math.floor(seconds)} s`;
}

function tick() {
  for (const time of document.querySelectorAll('time[data-time]')) {
    const at = new Date(time.dateTime);
    time.title = full.format(at);
    if (time.dataset.time !== 'relative') {
      const [today, other] = time.dataset.time === 'clock' ? [clock, day] : [precise, preciseDay];
      const age = Date.now() - at;
      if (age < 86400e3 && at.getDate() === new Date().getDate()) time.textContent = today.format(at);
      else if (age < 6 * 86400e3) time.textContent = other.format(at);
    } else {
      // What the host said, moved on by the time since: its clock need not be ours.
      time.dataset.ahead ??= String(parse(time.textContent));
      if (time.dataset.ahead === 'NaN') continue;
      const ahead = Number(time.dataset.ahead) - (Date.now() - loaded) / 1000;
      const seconds = Math.abs(ahead);
      time.textContent = seconds < 5 ? 'just now' : ahead > 0 ? `in ${words(seconds)}` : `${words(seconds)} ago`;
    }
  }
}

function parse(text) {
  if (text === 'just now') return 0;
  const unit = { d: 86400, h: 3600, min: 60, s: 1 };
  let sum = 0;
  for (const [, n, u] of text.matchAll(/(\d+) (d|h|min|s)\b/g)) sum += n * unit[u];
  return text.startsWith('in ') ? sum : text.endsWith(' ago') ? -sum : NaN;
}
tick();
setInterval(tick, 15000);

// What somebody has typed is never thrown away by a reload of ours.
let typed = false;
document.addEventListener('input', () => { typed = true; });
const mayReload = () => !typed && !document.querySelector('form:focus-within, details[open]');

// Pauses of blocking: the host says how much is left, and the browser counts down from there.
const bars = new Map();
let asked = performance.now();
for (const bar of document.querySelectorAll('[data-pause]')) {
  const shown = bar.querySelector('[data-left]');
  bars.set(bar.dataset.pause, { bar, shown, left: shown ? Number(shown.dataset.left) : null });
}
const two = (n) => String(n).padStart(2, '0');

function count() {
  const gone = (performance.now() - asked) / 1000;
  for (const pause of bars.values()) {
    if (pause.left === null) continue;
    const left = Math.max(0, Math.ceil(pause.left - gone));
    const h = Math.floor(left / 3600), m = Math.floor(left / 60) % 60;
    pause.shown.textContent = h ? `${h}:${two(m)}:${two(left % 60)}` : `${two(m)}:${two(left % 60)}`;
    if (left && left % 60 === 0 && pause.said !== left) {
      pause.said = left;
      const who = pause.bar.querySelector('b').textContent;
      document.querySelector('[data-pause-live]').textContent = `Blocking paused on ${who}: ${words(left)} left`;
    }
    if (!left && !pause.over) {
      pause.over = true;
      setTimeout(look, 1500);
    }
  }
}

// What the host says of pauses; another set of them is another page.
function takePauses(pauses) {
  asked = performance.now();
  const same = pauses.length === bars.size && pauses.every((pause) => bars.has(pause.scope));
  if (!same && mayReload()) return location.reload();
  const there = new Map(pauses.map((pause) => [pause.scope, pause]));
  for (const [scope, pause] of bars) {
    const now = there.get(scope);
    pause.bar.hidden = !now;
    if (now && pause.shown && now.left_secs !== null) pause.left = now.left_secs;
  }
  count();
}
if (bars.size) setInterval(count, 1000);

// The two hosts.
const pair = document.querySelector('[data-pair]');
const lost = document.querySelector('[data-lost]');
const headline = pair?.querySelector('[data-pair-headline]');
let heard = Date.now();
let misses = 0;

function show(ha) {
  for (const dot of ha.dots) {
    const shown = pair.querySelector(`[data-dot="${CSS.escape(dot.name)}"]`);
    if (!shown) continue;
    shown.className = `dot ${dot.tone}`;
    shown.querySelector('.hidden').textContent = ` ${dot.word}`;
  }
  pair.className = `pair ${ha.tone}`;
  pair.title = ha.sentence;
  const kind = (text) => text.replace(/\d+/g, '');
  const changed = kind(headline.textContent) !== kind(ha.headline);
  headline.textContent = ha.headline;
  if (!changed) return;
  pair.querySelector('.since')?.remove();
  const icon = document.querySelector(`[data-icon="${ha.icon}"] svg`);
  if (icon) pair.querySelector('[data-pair-icon]').replaceChildren(icon.cloneNode(true));
  document.querySelector('[data-pair-live]').textContent = `${ha.headline}. ${ha.sentence}`;
  // The overview tells the rest of it.
  if (location.pathname === '/' && mayReload()) location.reload();
}

async function look() {
  try {
    const response = await fetch('/api/v1/ha', background);
    if (response.status === 401 && mayReload()) return location.reload();
    if (!response.ok) throw new Error(response.status);
    const ha = await response.json();
    show(ha);
    takePauses(ha.pauses);
    heard = Date.now();
    misses = 0;
    lost.hidden = true;
  } catch {
    misses += 1;
    if (misses < 2) return;
    lost.querySelector('[data-lost-since]').textContent = clock.format(heard);
    lost.hidden = false;
  }
}
if (pair) {
  const again = () => { if (!document.hidden) look(); };
  setInterval(again, 5000);
  document.addEventListener('visibilitychange', again);
}

// Lists that are being updated: look again until they are done.
if (document.querySelector('[data-updating]')) {
  const wait = setInterval(async () => {
    if (document.hidden) return;
    const response = await fetch('/api/v1/lists', background).catch(() => null);
    if (!response?.ok) return;
    const lists = await response.json();
    if (lists.every((list) => list.activity === 'idle')) {
      clearInterval(wait);
      if (mayReload()) location.reload();
    }
  }, 2000);
}

// A chosen network is applied at once.
for (const form of document.querySelectorAll('form[data-autosubmit]')) {
  form.addEventListener('change', (event) => { if (event.target.tagName === 'SELECT') form.requestSubmit(); });
  // An empty field has no place in the address.
  form.addEventListener('formdata', (event) => {
    for (const [name, value] of [...event.formData]) if (value === '') event.formData.delete(name);
  });
}

// New questions come in by themselves, while the page is looked at. The rows are made by the server:
// what is fetched is this page, for what came after the newest row.
const follow = document.getElementById('follow');
if (follow) {
  const rows = document.getElementById('rows');
  let timer = 0;
  const fetchNew = () => {
    const request = new XMLHttpRequest();
    request.open('GET', follow.dataset.follow);
    request.responseType = 'document';
    request.timeout = 10000;
    request.onloadend = () => {
      const page = request.response;
      const next = page?.getElementById('follow');
      if (next) {
        follow.dataset.follow = next.dataset.follow;
        const fresh = [...page.querySelectorAll('#rows > tr')];
        if (fresh.length) {
          document.getElementById('nothing')?.remove();
          rows.closest('.card').hidden = false;
          rows.prepend(...fresh.map((row) => document.adoptNode(row)));
          tick();
          while (rows.children.length > 300) rows.lastElementChild.remove();
        }
      }
      if (follow.ariaPressed === 'true') timer = setTimeout(fetchNew, document.hidden ? 10000 : 2000);
    };
    request.send();
  };
  follow.hidden = false;
  follow.addEventListener('click', () => {
    const on = follow.ariaPressed !== 'true';
    follow.ariaPressed = String(on);
    follow.textContent = on ? 'Pause' : 'Follow live';
    clearTimeout(timer);
    if (on) fetchNew();
  });
}

// "/" goes to the search box, Escape closes a menu, and so does a press elsewhere.
const menus = document.querySelectorAll('details.menu');
document.addEventListener('keydown', (event) => {
  const typing = event.target.closest('input, select, textarea');
  if (event.key === '/' && !typing && !event.ctrlKey && !event.metaKey && !event.altKey) {
    document.getElementById('search')?.focus();
    event.preventDefault();
  } else if (event.key === 'Escape') {
    for (const menu of menus) {
      if (!menu.open) continue;
      menu.open = false;
      menu.querySelector('summary').focus();
    }
  }
});
document.addEventListener('click', (event) => {
  for (const menu of menus) if (menu.open && !menu.contains(event.target)) menu.open = false;
});

// One press, one deed.
document.addEventListener('submit', (event) => {
  const form = event.target;
  if (form.method !== 'post' || event.defaultPrevented) return;
  if (form.dataset.sent) event.preventDefault();
  form.dataset.sent = '1';
});
addEventListener('pageshow', (event) => {
  if (event.persisted) for (const form of document.forms) delete form.dataset.sent;
});
