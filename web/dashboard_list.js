// The list of objects: the server searches, filters, sorts and pages; here are what it gave, further parts of it on demand, and rows that
// change as the stream tells. The order stays while somebody is in the list, and says so when it is no longer what was asked for.
import '/assets/shared.js';
import {get} from '/assets/dashboard_api.js';
import {ATTENTION, STATES, passing, plural, say, sentence, statePill} from '/assets/dashboard_words.js';

const {make} = globalThis.weir;
const PAGE = 100, TYPING_MS = 150, ORDER_MS = 3000, FLUSH_MS = 200;
const FILTERS = ['q', 'namespace', 'state', 'type', 'kind', 'sort'];
const SORTS = {attention: 'attention first', name: 'by name', replicas: 'most replicas first', changed: 'changed last first'};
const keyOf = o => `${o.kind}/${o.namespace}/${o.name}`;

let last = ''; // the filters as they were, for who comes back
export const address = () => `#/objects${last}`;
const addressOf = o => `#/objects/${encodeURIComponent(o.namespace)}/${encodeURIComponent(o.name)}${o.kind === 'ScaledJob' ? '?kind=ScaledJob' : ''}`;

// ---------------------------------------------------------------- one row
function gauge(o) {
  const max = Math.max(1, o.maxReplicas || 0, o.wantedReplicas || 0, o.readyReplicas || 0);
  const box = make('span', {class: 'gauge', 'aria-hidden': 'true'}, make('i'), make('b'));
  box.firstChild.style.width = `${100 * (o.readyReplicas || 0) / max}%`;
  box.lastChild.style.left = `${100 * (o.wantedReplicas ?? o.specReplicas ?? 0) / max}%`;
  return box;
}
function replicas(o) {
  if (o.kind === 'ScaledJob') return [make('span', {class: 'count'}, `${o.running ?? '–'} running`), o.pending ? make('span', {class: 'dim'}, ` ${o.pending} pending`) : ''];
  if (o.targetError) return [make('span', {class: 'dim'}, 'unreadable')];
  const wanted = o.wantedReplicas ?? o.specReplicas, ready = o.readyReplicas;
  if (wanted === undefined && ready === undefined) return [make('span', {class: 'dim'}, '–')];
  const off = ready !== wanted;
  return [make('span', {class: `count${off ? ' off' : ''}`, title: `${ready ?? 'unknown'} ready of ${wanted ?? 'unknown'} wanted; ${o.minReplicas} to ${o.maxReplicas}`},
    `${ready ?? '?'}`, make('span', {class: 'dim'}, `/${wanted ?? '?'}`), make('span', {class: 'heard'}, ' ready of wanted')), gauge(o)];
}
const why = o => sentence(o.problem || o.targetError || o.summary || '');
function fill(tr, o) {
  const link = make('a', {href: addressOf(o)}, make('span', {class: 'dim'}, `${o.namespace}/`), o.name);
  const had = tr.contains(document.activeElement);
  tr.className = ATTENTION.includes(o.state) ? 'attention' : '';
  tr.replaceChildren(...[
    [statePill(o.state)],
    [link, o.kind === 'ScaledJob' ? make('span', {class: 'tag'}, 'job') : null, o.mode && o.mode !== 'direct' ? make('span', {class: 'tag'}, o.mode) : null],
    replicas(o),
    [(o.triggerTypes || []).join(', ')],
    [why(o)],
    [passing('ago', o.changedAt)],
  ].map((content, i) => make('td', {role: 'cell', class: ['c-state', 'c-name', 'c-replicas', 'c-types', 'c-why', 'c-changed'][i], title: i === 4 ? why(o) : ''}, ...content.filter(c => c !== null))));
  if (had) link.focus();
  tr.object = o;
}
// What would make another order, or another place.
const placeOf = (o, sort) => sort === 'name' ? '' : sort === 'replicas' ? String(o.readyReplicas) : sort === 'changed' ? String(o.changedAt) : `${o.attention}`;

// ---------------------------------------------------------------- the page
export function show(main, params, app) {
  const rows = new Map();
  const waiting = new Map();
  let filter = {}, asked = null, matched = 0, typing = 0, ordering = 0, flushing = 0, ended = false, known = null;

  const search = make('input', {type: 'search', id: 'search', placeholder: 'Search namespace/name', autocomplete: 'off', spellcheck: false, 'aria-label': 'Search namespace/name'});
  const choice = (name, label) => make('select', {name, 'aria-label': label});
  const namespace = choice('namespace', 'Namespace'), type = choice('type', 'Trigger type'), kind = choice('kind', 'Kind'), sort = choice('sort', 'Order');
  kind.append(...[['', 'all kinds'], ['ScaledObject', 'ScaledObject'], ['ScaledJob', 'ScaledJob']].map(([v, t]) => make('option', {value: v}, t)));
  sort.append(...Object.entries(SORTS).map(([v, t]) => make('option', {value: v}, t)));
  const chips = make('div', {class: 'chips', role: 'group', 'aria-label': 'State'});
  const found = make('output', {class: 'dim found'});
  const stale = make('button', {type: 'button', class: 'primary stale', hidden: true, on: () => load(true)}, '');
  const form = make('form', {role: 'search', class: 'filters'}, search, namespace, type, kind, sort, found, stale);
  const body = make('tbody', {role: 'rowgroup'});
  const list = make('table', {class: 'objects', role: 'table', 'aria-label': 'Objects'},
    make('thead', {role: 'rowgroup'}, make('tr', {role: 'row'}, ...['State', 'Object', 'Replicas', 'Triggers', 'Why', 'Changed'].map(h => make('th', {scope: 'col', role: 'columnheader'}, h)))), body);
  const more = make('button', {type: 'button', class: 'more', hidden: true, on: () => load(false)}, 'Show more');
  const trouble = make('div');
  main.append(make('h1', {class: 'heard'}, 'Objects'), chips, form, trouble, make('div', {class: 'card flush'}, list), more);
  app.title('Objects');

  // ------------------------------------------------------------ filters
  function read(from) {
    filter = Object.fromEntries(FILTERS.map(name => [name, from.get(name) || '']));
    if (!(filter.sort in SORTS)) filter.sort = 'attention';
    if (document.activeElement !== search) search.value = filter.q;
    kind.value = filter.kind;
    sort.value = filter.sort;
    options();
    showChips();
  }
  function write(changes) {
    filter = {...filter, ...changes};
    const said = new URLSearchParams(Object.entries(filter).filter(([k, v]) => v && !(k === 'sort' && v === 'attention')));
    last = `${said}` ? `?${said}` : '';
    history.replaceState(null, '', address());
    showChips();
    load(true);
  }
  function fillSelect(select, value, all, things) {
    const names = (things || []).map(t => t.name);
    if (value && !names.includes(value)) names.unshift(value);
    const counts = new Map((things || []).map(t => [t.name, t.objects]));
    const said = JSON.stringify([names, [...counts]]);
    if (select.said !== said && document.activeElement !== select) {
      select.said = said;
      select.replaceChildren(make('option', {value: ''}, all), ...names.map(n => make('option', {value: n}, counts.has(n) ? `${n} (${counts.get(n)})` : n)));
    }
    select.value = value;
  }
  function options() {
    fillSelect(namespace, filter.namespace, 'all namespaces', known && known.namespaces);
    fillSelect(type, filter.type, 'all trigger types', known && known.triggerTypes);
  }
  function showChips() {
    const states = (known && known.states) || {};
    const chip = (state, word, count, title) => make('button', {type: 'button', class: `chip ${state}`, title: title || '', 'aria-pressed': String(filter.state === state), on: () => write({state: filter.state === state ? '' : state})},
      word, make('b', {}, known ? (count || 0).toLocaleString('en') : ''));
    const attention = ATTENTION.reduce((sum, s) => sum + (states[s] || 0), 0);
    const had = [...chips.children].indexOf(document.activeElement);
    chips.replaceChildren(chip('', 'All', known && known.objects), chip('attention', 'Needs attention', attention, 'bad, failed, fallback or held'),
      ...Object.entries(STATES).filter(([s]) => states[s] || s === filter.state || (!known && s !== 'unknown')).map(([s, [word, means]]) => chip(s, word, states[s], means)));
    if (had >= 0 && chips.children[had]) chips.children[had].focus();
  }
  const setKnown = overview => { known = overview; options(); showChips(); };
  search.addEventListener('input', () => { clearTimeout(typing); typing = setTimeout(() => write({q: search.value.trim()}), TYPING_MS); });
  form.addEventListener('change', event => { if (event.target !== search) write({[event.target.name]: event.target.value}); });
  form.addEventListener('submit', event => { event.preventDefault(); clearTimeout(typing); write({q: search.value.trim()}); });

  // ------------------------------------------------------------ rows
  function place(objects, anew) {
    if (anew) {
      const wanted = new Set(objects.map(keyOf));
      for (const [key, tr] of rows) if (!wanted.has(key)) { tr.remove(); rows.delete(key); }
    }
    let before = anew ? body.firstChild : null;
    for (const o of objects) {
      const tr = rows.get(keyOf(o)) || make('tr', {role: 'row'});
      if (JSON.stringify(tr.object) !== JSON.stringify(o)) fill(tr, o);
      if (tr !== before) body.insertBefore(tr, before);
      else before = before.nextSibling;
      rows.set(keyOf(o), tr);
    }
  }
  function tell() {
    found.textContent = matched === 0 ? 'nothing fits' : rows.size < matched ? `${rows.size.toLocaleString('en')} of ${plural(matched, 'object')}` : plural(matched, 'object');
    more.hidden = rows.size >= matched;
    list.setAttribute('aria-rowcount', String(matched + 1));
  }
  async function load(anew) {
    if (asked) asked.abort();
    const mine = asked = new AbortController();
    const offset = anew ? 0 : rows.size;
    stale.hidden = true;
    list.setAttribute('aria-busy', 'true');
    try {
      const part = await get('objects', {...filter, limit: anew === 'same' ? Math.min(1000, Math.max(PAGE, rows.size)) : PAGE, offset: offset || ''}, mine.signal);
      if (ended) return;
      matched = part.matched;
      trouble.replaceChildren();
      place(part.objects, Boolean(anew));
      tell();
      if (anew === true) say(found.textContent);
      if (part.total === 0) trouble.replaceChildren(make('p', {class: 'notice'}, 'There are no objects yet. Give weir run a folder of manifests, or apply a ScaledObject to the cluster.'));
    } catch (error) {
      if (!ended) app.failed(trouble, error);
    } finally {
      if (asked === mine) { asked = null; list.removeAttribute('aria-busy'); }
    }
  }
  // Only near the top and while nobody is in the list it may move by itself.
  const busy = () => scrollY > 80 || list.contains(document.activeElement) || list.matches(':hover');
  function reorder() {
    clearTimeout(ordering);
    ordering = setTimeout(() => {
      if (ended || asked) return;
      if (!busy()) load('same');
      else { stale.textContent = 'The order has changed: show it'; stale.hidden = false; }
    }, ORDER_MS);
  }
  // Would an object that is not shown stand among those that are? New ones that nobody has to look at wait for the next load.
  function belongs(o) {
    const lowest = body.lastChild && rows.size < matched ? body.lastChild.object.attention : 0;
    return filter.sort === 'attention' && o.attention > lowest && (!filter.state || filter.state === 'attention' || filter.state === o.state) &&
      (!filter.namespace || filter.namespace === o.namespace) && (!filter.kind || filter.kind === o.kind) && (!filter.type || o.triggerTypes.includes(filter.type)) &&
      `${o.namespace}/${o.name}`.toLowerCase().includes(filter.q.toLowerCase());
  }
  function flush() {
    flushing = 0;
    let changed = false;
    for (const [key, o] of waiting) {
      const tr = rows.get(key);
      changed ||= tr ? placeOf(tr.object, filter.sort) !== placeOf(o, filter.sort) : belongs(o);
      if (tr) fill(tr, o);
    }
    waiting.clear();
    if (changed && stale.hidden) reorder();
  }
  const handlers = {
    row(o) { waiting.set(keyOf(o), o); flushing ||= setTimeout(flush, FLUSH_MS); },
    gone(o) {
      const tr = rows.get(keyOf(o));
      waiting.delete(keyOf(o));
      if (!tr) return;
      rows.delete(keyOf(o));
      tr.remove();
      matched--;
      tell();
    },
    overview: setKnown,
  };

  // ------------------------------------------------------------ begin and end
  const whenSeen = new IntersectionObserver(entries => { if (entries[0].isIntersecting && !more.hidden && !asked) load(false); }, {rootMargin: '600px'});
  whenSeen.observe(more);
  const overview = () => get('overview').then(o => { if (!ended) setKnown(o); }).catch(() => {});
  read(params);
  last = `${params}` ? `?${params}` : '';
  load(true).then(() => {
    if (ended) return;
    overview();
    app.listen({}, handlers, () => { load('same'); overview(); });
  });
  return {
    again(params) { read(params); last = `${params}` ? `?${params}` : ''; load(true); },
    key(name) {
      const step = {j: 1, ArrowDown: 1, k: -1, ArrowUp: -1}[name];
      if (!step) return false;
      const links = [...body.querySelectorAll('a')], at = links.indexOf(document.activeElement);
      const next = links[at < 0 ? (step > 0 ? 0 : links.length - 1) : Math.min(links.length - 1, Math.max(0, at + step))];
      if (at === 0 && step < 0) search.focus();
      else if (next) { next.focus(); next.closest('tr').scrollIntoView({block: 'nearest'}); }
      return true;
    },
    end() { ended = true; if (asked) asked.abort(); clearTimeout(typing); clearTimeout(ordering); clearTimeout(flushing); whenSeen.disconnect(); },
  };
}
