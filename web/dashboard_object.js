// One object: what was decided and why, what it would take to change that, everything over time, each trigger, the formula, the decisions
// before, what if, its replicas, its configuration. A stream brings the object whenever it changes; what the stream does not carry
// (history, outlook, decisions, manifests) is asked for anew when the object says that there is something new.
import '/assets/shared.js';
import {get, now, objectPath, post} from '/assets/dashboard_api.js';
import {agedSince, clock, instant, moved, notice, passing, plural, reasonOf, row, say, sentence, show as showIn, statePill, table, value} from '/assets/dashboard_words.js';
import {RANGES, charts as chartsOf} from '/assets/dashboard_history.js';
import {formula as formulaView} from '/assets/dashboard_formula.js';
import {steps, whatIf} from '/assets/dashboard_what_if.js';
import {manifest as manifestView} from '/assets/dashboard_manifest.js';
import {address} from '/assets/dashboard_list.js';

const {make, span} = globalThis.weir;
const DECISIONS = 20, OUTLOOK_MS = 5000, DECISIONS_MS = 2000, DRAW_MS = 1000, LARGE_MS = 5000, YOUNG_MS = 900000;

// ---------------------------------------------------------------- the top
function fact(name, ...content) {
  const said = content.flat().filter(c => c !== null && c !== undefined && c !== '');
  return said.length ? make('div', {class: 'fact'}, make('dt', {}, name), make('dd', {}, ...said)) : null;
}
const future = at => at && Date.parse(at) > now() - 2000;
function replicaFacts(o) {
  if (o.kind === 'ScaledJob') return [fact('Jobs', make('b', {}, `${o.running ?? '–'}`), ' running', o.pending ? `, ${o.pending} pending` : '')];
  const wanted = o.wantedReplicas ?? o.specReplicas;
  return [
    fact('Replicas', make('b', {class: o.readyReplicas !== wanted ? 'off' : ''}, `${o.readyReplicas ?? '?'}`), ` ready of ${wanted ?? '?'} wanted`),
    fact('Bounds', `${o.minReplicas ?? '?'} to ${o.maxReplicas ?? '?'}`),
  ];
}
function facts(o, arrived) {
  const target = o.target && o.target.kind ? `${o.target.kind}/${o.target.name}` : null;
  return [
    ...replicaFacts(o),
    o.nextPollInSeconds !== undefined ? fact('Next poll', passing('until', arrived + o.nextPollInSeconds * 1000)) : null,
    future(o.cooldownEndsAt) ? fact('Cooldown ends in', passing('until', o.cooldownEndsAt)) : o.cooldownSeconds !== undefined ? fact('Cooldown', span(o.cooldownSeconds * 1000)) : null,
    future(o.holdEndsAt) ? fact('Hold ends in', passing('until', o.holdEndsAt)) : null,
    fact('Fallback', o.fallback ? make('b', {class: 'warn'}, 'in force') : 'not in force'),
    fact('Pause', o.paused ? make('b', {class: 'warn'}, 'paused') : 'not paused'),
    fact('Last active', passing('ago', o.lastActiveAt)),
    fact('Outcome since', passing('ago', o.changedAt)),
    o.mode && o.mode !== 'direct' ? fact('Mode', make('b', {}, o.mode)) : null,
    target ? fact('Target', target) : null,
    fact('Ready', o.ready === 'True' ? 'yes' : `${o.ready}: ${o.readyReason}`),
  ].filter(Boolean);
}

// ---------------------------------------------------------------- triggers
function triggerValue(t) {
  if (t.state === 'ok' || (t.state === 'resource' && t.value !== undefined && t.value !== null)) return make('b', {}, value(t.value));
  if (t.state === 'resource') return make('span', {class: 'dim'}, 'from its pods');
  return make('span', {class: t.state === 'failed' ? 'bad' : 'warn'}, t.state === 'none' ? 'not asked yet' : t.state);
}
function credentials(t, arrived) {
  if (!t.credentials || !t.credentials.length) return make('span', {class: 'dim'}, 'none');
  return make('ul', {class: 'plain'}, ...t.credentials.map(c => make('li', {}, `${c.kind}/${c.name}`, c.ageSeconds === undefined ? '' : make('span', {class: 'dim'}, ', read ', passing('ago', arrived - c.ageSeconds * 1000)))));
}
const counts = (v, formula) => formula ? make('span', {class: 'dim', title: 'Does not count: the formula decides.'}, v ? `(${value(v)})` : '–') : value(v);
function triggerRow(t, arrived, formula) {
  const name = make('th', {scope: 'row'}, t.name, make('span', {class: 'dim'}, ` ${t.type}`));
  if (t.why) name.append(make('p', {class: `why ${t.state === 'failed' ? 'bad' : 'warn'}`}, sentence(t.why)));
  if (t.source) name.append(make('p', {class: 'dim small'}, t.source, t.sharedWith ? `, asked once for ${plural(t.sharedWith + 1, 'object')}` : ''));
  return row(name, triggerValue(t), counts(t.target, formula), counts(t.activation, formula), passing('age', agedSince(t.ageSeconds) && arrived - t.ageSeconds * 1000) || '–',
    t.state === 'resource' ? '–' : `${t.tookMs} ms${t.failures ? `, ${plural(t.failures, 'failure')}` : ''}`, credentials(t, arrived));
}
function triggersView(o, arrived) {
  return [make('h2', {}, 'Triggers'), table(['trigger', 'value', 'target', 'activation', 'age', 'answered in', 'credential'], o.triggers.map(t => triggerRow(t, arrived, o.formula)), 'Triggers')];
}

// ---------------------------------------------------------------- formula
function formulaCard(o) {
  const f = (o.decision && o.decision.formula) || {};
  const outcome = f.fault ? `${f.fault}${f.place ? ` at ${f.place}` : ''}` : f.state && f.state !== 'ok' ? f.state : value(f.value);
  const target = o.formulaTarget !== undefined && o.formulaTarget !== null ? ` against a target of ${value(o.formulaTarget)}` : '';
  return [make('h2', {}, 'Formula'), ...formulaView(o.formula, o.decision && o.decision.trace, outcome),
    make('p', {class: 'result'}, '= ', make('b', {class: f.fault ? 'bad' : ''}, outcome), make('span', {class: 'dim'}, target))];
}

// ---------------------------------------------------------------- decisions
function why(decision) {
  if (!decision) return [make('h2', {}, 'Why'), notice('Nothing was decided yet.')];
  if (!decision.steps) { // a job's
    return [make('h2', {}, 'Why'), make('ol', {class: 'steps'}, ...[
      `the triggers see a queue of ${value(decision.queue_length)}, ${value(decision.max_value)} at most in one`,
      `${decision.running} run and ${decision.pending} wait`,
      `that asks for ${decision.max_scale}, and ${Math.max(0, decision.effective)} more may run`,
      `${plural(decision.create, 'job')} created`].map(t => make('li', {}, t)))];
  }
  return [make('h2', {}, 'Why'), steps(decision), decision.next ? make('p', {class: 'dim small'}, 'Time alone may change this in ', passing('until', decision.next), '.') : null];
}
function decisionItem({at, decision, notes}) {
  const change = !decision || decision.before === undefined ? '' : decision.before === decision.after ? 'same' : decision.after > decision.before ? 'up' : 'down';
  const summary = make('summary', {}, passing('ago', at), ' ', make('span', {class: `move ${change}`}, decision && decision.after !== undefined ? moved(decision.before, decision.after) : ''), ' ',
    make('span', {}, decision ? reasonOf(decision.summary) : ''));
  const body = make('details', {}, summary);
  body.addEventListener('toggle', () => {
    if (!body.open || body.children.length > 1) return;
    const inputs = decision.inputs || [], said = (notes || []).map((n, i) => n && `${inputs[i] ? inputs[i].name : i}: ${n}`).filter(Boolean);
    body.append(make('p', {class: 'dim small'}, `${instant(Date.parse(at))} UTC${decision.reason ? `, ${decision.reason}` : ''}`), decision.steps ? steps(decision) : '',
      table(['trigger', 'value', 'age', 'asks for'], inputs.map(i => row(i.name, i.state === 'ok' ? value(i.value) : i.state, i.age_s === undefined ? '–' : span(i.age_s * 1000), value(i.proposal))), 'Inputs of this decision'),
      said.length ? make('ul', {class: 'values'}, ...said.map(t => make('li', {class: 'warn'}, sentence(t)))) : '');
  });
  return make('li', {}, body);
}

// ---------------------------------------------------------------- outlook, replicas
function outlookView(outlook) {
  const said = outlook.sentences.length ? make('ul', {class: 'values'}, ...outlook.sentences.map(t => make('li', {}, sentence(t)))) : notice('No value of one trigger alone would change it.');
  return [make('h2', {}, 'What it would take'), said, outlook.at ? make('p', {class: 'dim small'}, `${moved(outlook.now, outlook.then)} by time alone in `, passing('until', outlook.at), '.') : null];
}
function replicasView(o) {
  if (o.kind === 'ScaledJob') {
    if (!o.jobs || !o.jobs.length) return [];
    return [make('h2', {}, 'Jobs'), table(['name', 'state', 'created', 'finished'], o.jobs.map(j => row(j.name, make('span', {class: j.state === 'failed' ? 'bad' : ''}, j.state), passing('ago', j.createdAt) || '–', passing('ago', j.finishedAt) || '–')), 'Jobs')];
  }
  if (!o.replicas || !o.replicas.length) return [];
  const state = r => r.terminating ? 'terminating' : r.ready ? 'ready' : 'not ready';
  return [make('h2', {}, 'Replicas'), table(['name', 'state', 'address', 'started', 'restarts'], o.replicas.map(r => row(r.name,
    make('span', {class: r.ready && !r.terminating ? '' : 'warn'}, state(r), r.note ? `: ${r.note}` : ''), r.address || '–', passing('ago', r.startedAt) || '–', value(r.restarts))), 'Replicas')];
}

// ---------------------------------------------------------------- the page
export function show(main, id, params, app) {
  let o = null, arrived = 0, ended = false, views = null, outcome = null, shape = null, timers = {};
  const abort = new AbortController();
  const asked = {namespace: id.namespace, name: id.name, kind: id.kind};
  const section = (name, place) => make('section', {class: `card ${place || ''}`, 'aria-label': name, hidden: true});
  const trouble = make('div'), head = make('section', {class: 'card head', 'aria-label': 'Now', hidden: true});
  const parts = {why: section('Why', 'why-card'), outlook: section('What it would take', 'outlook-card'), decisions: section('Decisions', 'decisions-card'), whatIf: section('What if', 'what-if-card'), charts: section('Over time'), formula: section('Formula'),
    triggers: section('Triggers'), replicas: section('Replicas'), manifest: section('Configuration')};
  main.append(make('p', {class: 'crumbs'}, make('a', {href: address()}, 'Objects'), ' / ', id.namespace), trouble, head,
    make('div', {class: 'columns'}, make('div', {class: 'column'}, parts.formula, parts.triggers, parts.charts), make('div', {class: 'column side'}, parts.why, parts.outlook, parts.decisions, parts.whatIf)),
    parts.replicas, parts.manifest);
  const title = make('h1', {}, make('span', {class: 'dim'}, `${id.namespace}/`), id.name), pill = make('span'), told = make('p', {class: 'told'}), list = make('dl', {class: 'facts'}), actions = make('div', {class: 'actions'}), done = make('p', {role: 'status', class: 'small'});
  head.append(make('div', {class: 'bar'}, make('div', {class: 'title'}, title, pill), actions), told, done, list);
  app.title(`${id.namespace}/${id.name}`);

  // At most every so often, and the last time too.
  function throttled(name, every, act) {
    const t = timers[name] ||= {at: 0};
    clearTimeout(t.timer);
    const wait = Math.max(0, t.at + every - Date.now());
    t.timer = setTimeout(() => { t.at = Date.now(); if (!ended) act(); }, wait);
  }
  async function ask(part, path, params, build) {
    try {
      const answer = await get(objectPath(o, path), {kind: o.kind, ...params}, abort.signal);
      if (ended) return;
      parts[part].hidden = false;
      showIn(parts[part], answer, () => build(answer));
    } catch (error) {
      if (ended || error.name === 'AbortError' || error.status === 429) return; // asked too often: what stands there is not old
      parts[part].hidden = error.status === 404 || error.status === 409;
      if (!parts[part].hidden) showIn(parts[part], error.message, () => [notice(error.message, 'bad')]);
    }
  }
  const outlook = () => throttled('outlook', OUTLOOK_MS, () => ask('outlook', 'outlook', {}, outlookView));
  const decisions = () => throttled('decisions', DECISIONS_MS, () => ask('decisions', 'decisions', {limit: DECISIONS}, ({decisions: all}) =>
    [make('h2', {}, 'Decisions'), all.length ? make('ol', {class: 'decisions'}, ...all.map(decisionItem)) : notice('None was written down yet.')]));

  function act(action, words) {
    return make('button', {type: 'button', on: async event => {
      const button = event.currentTarget;
      button.disabled = true;
      try {
        await post(objectPath(o, `actions/${action}`), {kind: o.kind});
        done.textContent = words;
      } catch (error) {
        done.textContent = error.message;
      }
      button.disabled = false;
    }}, {pause: 'Pause', resume: 'Resume', refresh: 'Ask now'}[action]);
  }
  function showActions() {
    showIn(actions, [app.session.canAct, o.paused], () => app.session.canAct ? [act('refresh', 'Its triggers are being asked.'), o.paused ? act('resume', 'It is resumed.') : act('pause', 'It is paused.')] : []);
  }
  function showHead() {
    head.hidden = false;
    showIn(pill, [o.state, o.kind], () => [statePill(o.state), o.kind === 'ScaledJob' ? make('span', {class: 'tag'}, 'ScaledJob') : null]);
    const words = sentence(o.problem || o.targetError || o.summary);
    if (told.textContent !== words) told.textContent = words;
    told.className = `told ${o.problem || o.targetError ? 'bad' : ''}`;
    list.replaceChildren(...facts(o, arrived));
    showActions();
  }
  function begin() {
    views = {charts: chartsOf(parts.charts, o, params.get('since') in RANGES ? params.get('since') : now() - Date.parse(o.createdAt) < YOUNG_MS ? '15m' : '6h'), whatIf: whatIf(parts.whatIf, o), manifest: manifestView(parts.manifest, o)};
    views.charts.onRange(name => history.replaceState(null, '', location.hash.replace(/\?.*/, '') + `?${new URLSearchParams({...(id.kind ? {kind: id.kind} : {}), since: name})}`));
    parts.charts.hidden = parts.manifest.hidden = false;
    parts.whatIf.hidden = o.kind === 'ScaledJob' || !o.decision;
    views.charts.load();
    timers.history = {timer: setInterval(() => { if (!document.hidden) throttled('charts', views.charts.every_ms(), () => views.charts.load()); }, 15000)};
  }
  function take(next, announce) {
    o = next;
    arrived = now();
    trouble.replaceChildren();
    if (!views) begin();
    showHead();
    parts.why.hidden = false;
    const step = (o.decision && o.decision.steps) || o.decision;
    showIn(parts.why, [step, o.decision && o.decision.next], () => why(o.decision));
    parts.formula.hidden = !o.formula;
    if (o.formula) showIn(parts.formula, [o.formula, o.formulaTarget, o.decision && o.decision.trace, o.decision && o.decision.formula], () => formulaCard(o));
    parts.triggers.hidden = !(o.triggers && o.triggers.length);
    if (!parts.triggers.hidden) showIn(parts.triggers, [o.triggers, arrived, o.formula], () => triggersView(o, arrived));
    parts.replicas.hidden = !((o.replicas && o.replicas.length) || (o.jobs && o.jobs.length));
    showIn(parts.replicas, [o.replicas, o.jobs], () => replicasView(o));
    parts.whatIf.hidden = o.kind === 'ScaledJob' || !o.decision;
    views.whatIf.set(o);
    throttled('draw', DRAW_MS, () => views.charts.set(o));
    if (o.kind !== 'ScaledJob') outlook();
    const said = o.decision && JSON.stringify([o.changedAt, o.decision.before, o.decision.after, o.decision.reason, o.decision.create]);
    if (said !== outcome) {
      if (outcome !== null && announce) { say(`${id.name}: ${sentence(o.summary)}`); throttled('charts', views.charts.every_ms(), () => views.charts.load()); }
      outcome = said;
      decisions();
    }
    const loaded = JSON.stringify([o.formula, o.formulaTarget, o.minReplicas, o.maxReplicas, o.mode, o.problem, o.cooldownSeconds, (o.triggers || []).map(t => [t.name, t.type, t.target, t.activation, t.source])]);
    if (loaded !== shape) { shape = loaded; views.manifest.load(); }
  }
  async function load() {
    try {
      take(await get(objectPath(asked), {kind: asked.kind}, abort.signal), false);
      return true;
    } catch (error) {
      if (!ended) app.failed(trouble, error);
      return false;
    }
  }
  load().then(there => {
    if (!there || ended) return;
    app.listen({object: `${o.kind}/${o.namespace}/${o.name}`}, {
      object: next => take(next, true),
      row: () => throttled('load', LARGE_MS, load), // it is too large for an event
      gone: () => { trouble.replaceChildren(notice('This object is gone since ' + clock(now()) + '. What is shown is what was known of it.', 'bad')); },
    }, () => { outcome = shape = null; views.charts.forget(); load(); views.charts.load(); });
  });
  return {
    session: () => { if (o) showActions(); },
    redraw: () => views && views.charts.redraw(),
    again() {},
    end() { ended = true; abort.abort(); for (const t of Object.values(timers)) clearTimeout(t.timer); if (views) { views.charts.end(); views.whatIf.end(); } },
  };
}
