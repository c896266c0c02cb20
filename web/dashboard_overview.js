// The overview: how many objects are in which state, SLO and cost where they are known, which sources harm how many objects, which are
// slow, what was found in the manifests.
import '/assets/shared.js';
import {get} from '/assets/dashboard_api.js';
import {ATTENTION, STATES, notice, plural, row, say, show as showIn, table} from '/assets/dashboard_words.js';

const {make, number, percent, span} = globalThis.weir;
const FINDINGS_SHOWN = 50, NAMES_SHOWN = 12;

const listOf = params => `#/objects?${new URLSearchParams(params)}`;
function tile(name, figure, under, href) {
  const dd = make('dd', {}, href ? make('a', {href}, figure) : figure);
  return make('div', {class: 'tile'}, make('dt', {}, name), dd, under ? make('dd', {class: 'dim small'}, under) : '');
}
function tiles(o) {
  const attention = ATTENTION.reduce((sum, s) => sum + (o.states[s] || 0), 0);
  const out = [
    tile('Objects', o.objects.toLocaleString('en'), plural(o.namespaceCount ?? o.namespaces.length, 'namespace'), '#/objects'),
    tile('Need attention', attention.toLocaleString('en'), ATTENTION.filter(s => o.states[s]).map(s => `${o.states[s]} ${STATES[s][0].toLowerCase()}`).join(', ') || 'all is well', listOf({state: 'attention'})),
  ];
  if (o.replicas !== undefined) out.push(tile('Replicas ready', o.replicas.toLocaleString('en')));
  if (o.slo && o.slo.objects) out.push(tile('SLO held', percent(o.slo.held), `last day, ${plural(o.slo.objects, 'object')}`));
  if (o.cost && o.cost.objects) out.push(tile('Cost', number(+o.cost.cost.toFixed(2)), `last day, ${number(+o.cost.replicaHours.toFixed(1))} replica-hours of ${plural(o.cost.objects, 'object')}`));
  return make('dl', {class: 'tiles'}, ...out);
}
// All objects as one bar, by state; the words beside it are links into the list.
function bar(o) {
  const some = Object.keys(STATES).filter(s => o.states[s]);
  const strip = make('div', {class: 'strip', 'aria-hidden': 'true'}, ...some.map(s => {
    const piece = make('i', {class: s});
    piece.style.flexGrow = o.states[s];
    return piece;
  }));
  return [strip, make('ul', {class: 'plain states'}, ...some.map(s => make('li', {}, make('a', {href: listOf({state: s}), class: `state ${s}`}, `${STATES[s][0]} ${o.states[s].toLocaleString('en')}`))))];
}
function amount(share, word) {
  const fill = make('i');
  fill.style.width = `${100 * share}%`;
  return make('td', {class: 'amount'}, make('span', {}, word), make('span', {class: 'meter', 'aria-hidden': 'true'}, fill));
}
function failing(o) {
  if (!o.failingSources.length) return [make('h2', {}, 'Error sources'), make('p', {class: 'dim'}, 'Every source answers.')];
  const most = Math.max(...o.failingSources.map(s => s.failing ?? s.objects));
  return [make('h2', {}, 'Error sources'), make('p', {class: 'dim small'}, 'Most objects harmed first.'), table(['source', 'objects without a value', 'why'], o.failingSources.map(s => row(
    make('th', {scope: 'row'}, s.source || '–', make('span', {class: 'dim'}, ` ${s.type}`)), amount((s.failing ?? s.objects) / most, `${s.failing ?? s.objects} of ${s.objects}`), s.why || '')), 'Error sources')];
}
function slowest(o) {
  const known = (o.slowestSources || []).filter(s => s.tookMs !== undefined), most = Math.max(1, ...known.map(s => s.tookMs));
  if (!known.length) return [make('h2', {}, 'Slowest sources'), make('p', {class: 'dim'}, 'None was asked yet.')];
  return [make('h2', {}, 'Slowest sources'), make('p', {class: 'dim small'}, 'By their last answer.'), table(['source', 'answered in', 'objects'], known.map(s => row(
    make('th', {scope: 'row'}, s.source || '–', make('span', {class: 'dim'}, ` ${s.type}`)), amount(s.tookMs / most, span(s.tookMs)), s.objects.toLocaleString('en'))), 'Slowest sources')];
}
function ranked(title, things, param, count = things.length) {
  const most = Math.max(1, ...things.map(t => t.objects)), first = [...things].sort((a, b) => b.objects - a.objects || (a.name < b.name ? -1 : 1)).slice(0, NAMES_SHOWN);
  return [make('h2', {}, title), table([param === 'type' ? 'type' : param, 'objects'], first.map(t => row(make('th', {scope: 'row'}, make('a', {href: listOf({[param]: t.name})}, t.name)), amount(t.objects / most, t.objects.toLocaleString('en')))), title),
    count > first.length ? make('p', {class: 'dim small'}, `and ${(count - first.length).toLocaleString('en')} more`) : null];
}
function findingsView(all) {
  const order = {error: 0, warning: 1}, sorted = [...all].sort((a, b) => (order[a.severity] ?? 2) - (order[b.severity] ?? 2));
  return [make('h2', {}, 'Found in the manifests'), sorted.length ? make('ul', {class: 'findings'}, ...sorted.slice(0, FINDINGS_SHOWN).map(f => make('li', {class: f.severity || ''}, make('b', {}, f.severity || ''), ` ${f.text || f.message || ''} `,
    make('code', {class: 'dim'}, [f.file, f.line].filter(x => x !== undefined && x !== null && x !== '').join(':')), f.remedy ? make('div', {class: 'dim small'}, f.remedy) : ''))) : make('p', {class: 'dim'}, 'Nothing.'),
  sorted.length > FINDINGS_SHOWN ? make('p', {class: 'dim small'}, `and ${sorted.length - FINDINGS_SHOWN} more; weir lint shows all.`) : null];
}

export function show(main, app) {
  let ended = false, attention = null;
  const abort = new AbortController(), trouble = make('div');
  const card = name => make('section', {class: 'card', 'aria-label': name});
  const parts = {top: card('Sums'), failing: card('Error sources'), slowest: card('Slowest sources'), namespaces: card('Namespaces'), types: card('Trigger types'), findings: card('Findings')};
  main.append(make('h1', {class: 'heard'}, 'Overview'), trouble, parts.top, make('div', {class: 'two'}, parts.failing, parts.slowest), make('div', {class: 'two'}, parts.namespaces, parts.types), parts.findings);
  app.title('Overview');
  function take(o) {
    trouble.replaceChildren();
    showIn(parts.top, [o.objects, o.states, o.namespaceCount ?? o.namespaces.length, o.replicas, o.slo, o.cost], () => [tiles(o), ...bar(o)]);
    showIn(parts.failing, o.failingSources, () => failing(o));
    showIn(parts.slowest, o.slowestSources, () => slowest(o));
    showIn(parts.namespaces, o.namespaces, () => ranked('Namespaces', o.namespaces, 'namespace', o.namespaceCount));
    showIn(parts.types, o.triggerTypes, () => ranked('Trigger types', o.triggerTypes, 'type'));
    const count = ATTENTION.reduce((sum, s) => sum + (o.states[s] || 0), 0);
    if (attention !== null && attention !== count) say(`${plural(count, 'object')} need attention`);
    attention = count;
  }
  async function load() {
    try {
      take(await get('overview', {}, abort.signal));
      const found = await get('findings', {}, abort.signal);
      showIn(parts.findings, found, () => findingsView(found));
    } catch (error) {
      if (!ended) app.failed(trouble, error);
    }
  }
  load();
  app.listen({}, {overview: take}, load);
  return {end() { ended = true; abort.abort(); }};
}
