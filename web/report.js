// The page of `weir simulate --report`: unpacks the data, draws them with Chart.js, and shows what was decided when. Texts of the data
// only ever become text nodes.
'use strict';
(() => {
  const data = JSON.parse(document.getElementById('data').textContent);
  const runs = data.runs, many = runs.length > 1;
  const $ = id => document.getElementById(id);
  const STATES = ['not asked yet', 'ok', 'missing', 'failed'], FLAGS = ['active', 'held', 'fallback', 'stand-in'];
  const PAGE = 200, BUCKETS = 900;
  const {number, percent, span, tickWords, make, css, key, lastAt, chartOptions, band, mark, lazyChart} = weir; // shared.js

  // ---------------------------------------------------------------- unpacking
  // An item that is a string says how often the one before it comes again.
  function unfold(list) {
    const out = [];
    for (const item of list || []) {
      if (typeof item === 'string') for (let n = +item, last = out[out.length - 1]; n > 0; n--) out.push(last);
      else out.push(item);
    }
    return out;
  }
  const words = (run, w) => {
    if (typeof w === 'string') return w;
    let next = 1;
    return run.sentences[w[0]].replace(/\u0001/g, () => String(w[next++]));
  };
  function column(run, values) {
    const points = [];
    unfold(values).forEach((v, i) => {
      const x = run.at[i];
      if (v === null) points.push({x, y: NaN});
      else if (!Array.isArray(v)) points.push({x, y: v});
      else v.forEach((y, k) => points.push({x: x + k * run.grid / 3, y: y === null ? NaN : y}));
    });
    if (points.length) points.push({x: run.end, y: points[points.length - 1].y});
    return points;
  }
  function prepare(run, index) {
    let t = 0;
    run.index = index;
    run.color = `--c${index % 8}`;
    run.letter = 'ABCDEFGH'[index]; // as compare calls them in its sentences
    run.at = unfold(run.times).map(d => (t += d));
    t = 0;
    run.events = [];
    for (let i = 0; i < run.moves.length; i += 3) {
      t += run.moves[i];
      run.events.push({x: t, before: run.moves[i + 1], y: run.moves[i + 2]});
    }
    run.decisions = run.records.map(r => ({
      run, at: r[0], until: r[1], count: r[2], others: r[3], moves: r[4], before: r[5], after: r[6], ready: r[7],
      reason: data.reasons[r[8]], summary: words(run, r[9]), steps: r[10], inputs: r[11], formula: r[12], trace: r[13],
    }));
    const first = run.events.length ? run.events[0].before : run.decisions.length ? run.decisions[0].before : 0;
    const last = run.events.length ? run.events[run.events.length - 1] : {x: 0, y: first};
    const rest = run.movesLeftOut ? column(run, run.wanted).filter(p => p.x > last.x) : [];
    run.steps = [{x: 0, y: first}, ...run.events, ...rest, {x: run.end, y: rest.length ? rest[rest.length - 1].y : last.y}];
  }
  runs.forEach(prepare);
  const END = Math.max(1, ...runs.map(r => r.end));
  const start = runs.length ? runs[0].start : 0;

  // ---------------------------------------------------------------- words for people
  const two = n => String(n).padStart(2, '0');
  function clock(ms) {
    if (start) return new Date(start + ms).toISOString().replace('T', ' ').replace(/\.000Z$|Z$/, '');
    const s = Math.floor(ms / 1000), d = Math.floor(s / 86400), part = ms % 1000 ? '.' + String(Math.floor(ms % 1000)).padStart(3, '0') : '';
    return `${d ? d + 'd ' : ''}${two(Math.floor(s / 3600) % 24)}:${two(Math.floor(s / 60) % 60)}:${two(s % 60)}${part}`;
  }
  const moveWords = d => d.before < 0 ? '?' : d.before === d.after ? String(d.after) : `${d.before} → ${d.after}`;

  function swatch(run) {
    const s = make('span', {class: 'swatch'});
    s.style.background = `var(${run.color})`;
    return s;
  }
  const runName = run => make('span', {}, many ? swatch(run) : null, many ? `${run.letter} ` : '', run.name);

  // ---------------------------------------------------------------- the top
  function showTop() {
    $('title').textContent = data.title;
    $('subtitle').textContent = data.subtitle || '';
    const names = [...new Set(runs.flatMap(r => r.facts.map(f => f[0])))];
    const head = make('tr', {}, make('td'), ...runs.map(r => make('th', {scope: 'col'}, runName(r))));
    const rows = names.map(name => {
      const facts = runs.map(r => r.facts.find(f => f[0] === name));
      const said = facts.filter(f => f && f[2] !== null);
      const best = said.length > 1 && said[0][3] ? (said[0][3] === 1 ? Math.max : Math.min)(...said.map(f => f[2])) : null;
      const differ = new Set(said.map(f => f[2])).size > 1;
      return make('tr', {}, make('th', {scope: 'row'}, name),
        ...facts.map(f => make('td', {class: f && differ && best !== null && f[2] === best ? 'best' : ''}, f ? f[1] : '–')));
    });
    $('summary').append(make('thead', {}, many ? head : ''), make('tbody', {}, ...rows));
    for (const r of runs) {
      const about = r.ticks === 0 ? ['nothing was decided'] : [r.object, `${number(r.ticks)} decisions in ${span(r.end)}`, `${r.events.length + r.movesLeftOut} scale events`, `replicas ${r.min} to ${r.max}`];
      if (r.grid > 1000 && r.ticks > r.at.length) about.push(`charts show the extremes of each ${span(r.grid)}`);
      if (r.movesLeftOut) about.push(`the last ${number(r.movesLeftOut)} scale events are not marked`);
      $('about').append(make('li', {}, many ? make('span', {}, runName(r), ': ') : '', about.join(' · ')));
    }
  }
  function showFindings() {
    $('findings').hidden = !runs.some(r => r.findings.length);
    for (const r of runs) for (const [severity, code, text, remedy] of r.findings) {
      $('findings').append(make('div', {class: `finding ${severity}`}, many ? make('div', {}, runName(r)) : null,
        make('span', {class: 'severity'}, severity), ` ${text} `, make('code', {class: 'unit'}, code), remedy ? make('div', {class: 'unit'}, remedy) : null));
    }
  }
  function showPartings() {
    $('partings').hidden = data.partings.length === 0;
    for (const [from, until, text] of data.partings) {
      const go = () => { const room = Math.max(until - from, END / 200); zoom(from - room, until + room); choose(from); };
      $('partings').querySelector('ol').append(make('li', {}, make('button', {type: 'button', on: go}, clock(from)), ` ${text}`));
    }
  }

  // ---------------------------------------------------------------- time shown, moment chosen
  const view = {from: 0, to: END, at: null};
  const charts = [];
  let waiting = false;
  function redraw() {
    if (waiting) return;
    waiting = true;
    requestAnimationFrame(() => { waiting = false; charts.forEach(c => c.refresh()); });
  }
  function zoom(from, to) {
    const width = Math.min(END, Math.max(to - from, 1000));
    view.from = Math.max(0, Math.min(from, END - width));
    view.to = view.from + width;
    $('shown').textContent = `${clock(Math.round(view.from))} – ${clock(Math.round(view.to))}${start ? ' UTC' : ''} (${span(view.to - view.from)})`;
    redraw();
  }
  function zoomBy(factor) {
    const width = (view.to - view.from) * factor, middle = view.at !== null && view.at >= view.from && view.at <= view.to ? view.at : (view.from + view.to) / 2;
    zoom(middle - width / 2, middle + width / 2);
  }
  const pan = share => zoom(view.from + share * (view.to - view.from), view.to + share * (view.to - view.from));
  const actions = {back: () => pan(-.5), on: () => pan(.5), in: () => zoomBy(.5), out: () => zoomBy(2), all: () => zoom(0, END)};
  function choose(at) {
    view.at = Math.max(0, Math.min(END, at));
    if (view.at < view.from || view.at > view.to) zoom(view.at - (view.to - view.from) / 2, view.at + (view.to - view.from) / 2);
    showMoment();
    redraw();
  }
  function chooseEvent(direction) {
    const at = view.at === null ? view.from - 1 : view.at;
    const all = runs.map(r => {
      const i = lastAt(r.events, direction > 0 ? at : at - 1, 'x') + (direction > 0 ? 1 : 0);
      return r.events[i] ? r.events[i].x : null;
    }).filter(x => x !== null);
    if (all.length) choose(direction > 0 ? Math.min(...all) : Math.max(...all));
  }

  // ---------------------------------------------------------------- one moment in words
  function list(tag, items) { return make(tag, {}, ...items.map(i => make('li', {}, ...[].concat(i)))); }
  function inputsTable(d) {
    const names = d.run.triggers.map(t => t.name);
    const rows = d.inputs.map(([state, value, age, proposal, flags, failures], i) => make('tr', {}, make('td', {}, names[i] ?? `s${i}`),
      make('td', {}, state === 1 ? number(value) : STATES[state]), make('td', {}, age === null ? '–' : span(age * 1000)),
      make('td', {}, number(proposal)),
      make('td', {}, [...FLAGS.filter((_, bit) => flags >> bit & 1), ...(failures ? [`failed ${failures} in a row`] : [])].join(', '))));
    return make('div', {class: 'wide'}, make('table', {}, make('thead', {}, make('tr', {}, ...['trigger', 'value', 'age', 'asks for', ''].map(h => make('th', {}, h)))),
      make('tbody', {}, ...rows)));
  }
  // Begin and end count bytes of UTF-8.
  function piece(run, begin, end) {
    run.bytes = run.bytes || new TextEncoder().encode(run.formula ? run.formula.text : '');
    return new TextDecoder().decode(run.bytes.slice(begin, end));
  }
  function formulaWords(d) {
    const [state, value, fault, begin, end] = d.formula;
    const out = [make('h4', {}, 'Formula'), make('pre', {}, make('code', {}, d.run.formula ? d.run.formula.text : ''), ` = ${fault || (state === 1 ? number(value) : STATES[state])}`)];
    if (fault && end > begin) out.push(make('p', {}, 'because of ', make('code', {}, piece(d.run, begin, end))));
    const parts = new Map(); // what stands in several places is shown once, as it was last
    for (let i = 0; i < d.trace.length; i += 3) parts.set(piece(d.run, d.trace[i], d.trace[i + 1]), d.trace[i + 2]);
    if (parts.size) { const l = list('ul', [...parts].map(([text, v]) => [make('code', {}, text), ` = ${number(v)}`])); l.className = 'values'; out.push(l); }
    return out;
  }
  const decisionAt = run => run.decisions[lastAt(run.decisions, view.at, 'at')];
  function momentOf(run) {
    const d = decisionAt(run);
    const box = make('div', {class: 'of'}, many ? make('h3', {}, runName(run)) : null);
    if (!d) return make('div', {class: 'of'}, many ? make('h3', {}, runName(run)) : null, make('p', {}, 'Nothing was decided yet.'));
    box.append(make('p', {class: 'told'}, d.summary), make('p', {class: 'unit'}, `${d.reason}; ${d.ready} ready; decided at ${clock(d.at)}`));
    if (d.count > 1) box.append(make('p', {class: 'unit'}, `${number(d.count)} decisions until ${clock(d.until)}${d.others ? `, of which ${number(d.others)} other outcomes are not kept` : ', all with this outcome'}. Shown is the first.`));
    let before = d.before;
    box.append(make('h4', {}, 'Steps'), list('ol', d.steps.map(([after, w]) => {
      const moved = after !== before ? ` (${before} → ${after})` : '';
      before = after;
      return words(run, w) + moved;
    })));
    if (d.inputs.length) box.append(make('h4', {}, 'Inputs'), inputsTable(d));
    if (d.formula) box.append(...formulaWords(d));
    return box;
  }
  function showMoment() {
    $('moment-title').textContent = clock(Math.round(view.at));
    $('moment-body').replaceChildren(...runs.map(momentOf));
    $('said').textContent = runs.map(decisionAt).map(d => d ? d.summary : '').join('; ');
    $('moment').classList.add('open');
    for (const tr of $('list').querySelectorAll('tr.chosen')) tr.classList.remove('chosen');
    for (const tr of $('list').tBodies[0].rows) if (tr.decision && tr.decision.at <= view.at && tr.decision.until >= view.at) tr.classList.add('chosen');
  }

  // ---------------------------------------------------------------- charts
  // What is in view, at most two points a bucket, extremes in their order, so that a spike stays one.
  function thin(points, from, to) {
    const first = Math.max(0, lastAt(points, from, 'x')), last = Math.min(points.length, lastAt(points, to, 'x') + 2);
    if (last - first <= 2 * BUCKETS) return points.slice(first, last);
    const bucket = i => Math.floor((points[i].x - from) / (to - from) * BUCKETS), out = [];
    for (let i = first; i < last;) {
      const b = bucket(i);
      let low = null, high = null, gap = null;
      for (; i < last && bucket(i) === b; i++) {
        const p = points[i];
        if (Number.isNaN(p.y)) gap = p;
        else { if (!low || p.y < low.y) low = p; if (!high || p.y > high.y) high = p; }
      }
      if (low) out.push(...(low === high ? [low] : low.x < high.x ? [low, high] : [high, low]));
      if (gap) out.push({x: Math.max(gap.x, out.length ? out[out.length - 1].x : gap.x), y: NaN});
    }
    return out;
  }
  // The spans without a value.
  function gapsOf(points) {
    const gaps = [];
    let from = null;
    for (const p of points) {
      if (Number.isNaN(p.y)) from = from === null ? p.x : from;
      else if (from !== null) { gaps.push([from, p.x]); from = null; }
    }
    if (from !== null) gaps.push([from, END]);
    return gaps;
  }
  function tick(value) {
    const width = view.to - view.from;
    return start ? tickWords(start + value, width) : width > 2 * 86400e3 ? clock(value).replace(/:00$/, '') : clock(value);
  }
  const overlay = gaps => ({ // the moment chosen, where runs part ways, what is being dragged over
    id: 'overlay',
    beforeDatasetsDraw(chart) {
      const {ctx} = chart;
      ctx.save();
      ctx.fillStyle = css('--band');
      data.partings.forEach(([from, until]) => band(chart, from, until));
      if (chart.dragged) band(chart, ...chart.dragged);
      ctx.fillStyle = css('--bad');
      gaps.forEach(([from, until]) => band(chart, from, until, 4));
      ctx.restore();
    },
    afterDatasetsDraw(chart) { if (view.at !== null) mark(chart, view.at, css('--mark')); },
  });
  function points(s) {
    if (!s.marks) return thin(s.points, view.from, view.to);
    const room = (view.to - view.from) / 250;
    let last = -Infinity;
    return s.points.filter(p => p.x >= view.from && p.x <= view.to && (p.x - last >= room ? (last = p.x, true) : false));
  }
  const options = spec => chartOptions({from: view.from, to: view.to, begin: start, share: spec.share, whole: spec.whole, tick, title: clock,
    label: i => `${i.dataset.label}: ${i.raw.before !== undefined ? `${i.raw.before} → ${i.raw.y}` : spec.share ? percent(i.parsed.y) : number(i.parsed.y)}`});
  function addChart(spec, into) {
    const canvas = make('canvas', {tabIndex: 0, role: 'img', 'aria-label': `${spec.title} over time; arrows choose a moment`});
    const figure = make('figure', {class: `chart${spec.tall ? ' tall' : ''}`},
      make('div', {class: 'head'}, make('h3', {}, spec.title, spec.unit ? make('span', {class: 'unit'}, ` (${spec.unit})`) : ''),
        make('div', {class: 'keys'}, ...spec.series.filter(s => !s.marks).map(key))),
      make('div', {class: 'canvas'}, canvas), spec.note ? make('div', {class: 'hint'}, spec.note) : null);
    const me = lazyChart(figure, canvas, [overlay(spec.gaps || [])], () => ({options: options(spec), datasets: spec.series.map(s => weir.dataset(s, points(s)))}));
    listen(canvas, me);
    into.append(figure);
    charts.push(me);
    return {figure, me};
  }
  function listen(canvas, me) {
    let from = null;
    const value = e => me.chart.scales.x.getValueForPixel(e.clientX - canvas.getBoundingClientRect().left);
    const dragged = e => from !== null && Math.abs(e.clientX - from.px) > 6;
    canvas.addEventListener('pointerdown', e => { if (me.chart && e.button === 0) from = {px: e.clientX, at: value(e)}; });
    canvas.addEventListener('pointermove', e => { if (dragged(e) && e.pointerType === 'mouse') { me.chart.dragged = [from.at, value(e)].sort((a, b) => a - b); me.chart.draw(); } });
    canvas.addEventListener('pointercancel', () => { from = null; });
    canvas.addEventListener('pointerleave', () => { if (me.chart) me.chart.dragged = null; from = null; });
    canvas.addEventListener('pointerup', e => {
      if (from === null) return;
      if (dragged(e)) zoom(Math.min(from.at, value(e)), Math.max(from.at, value(e)));
      else choose(value(e));
      me.chart.dragged = null;
      from = null;
    });
    canvas.addEventListener('keydown', e => {
      const step = (view.to - view.from) / 100, at = view.at === null ? view.from : view.at;
      const keys = {ArrowLeft: () => e.shiftKey ? chooseEvent(-1) : choose(at - step), ArrowRight: () => e.shiftKey ? chooseEvent(1) : choose(at + step),
        Home: () => choose(0), End: () => choose(END), Enter: () => choose(at), '+': () => zoomBy(.5), '=': () => zoomBy(.5), '-': () => zoomBy(2), 0: () => zoom(0, END)};
      if (keys[e.key] && !e.ctrlKey && !e.metaKey && !e.altKey) { keys[e.key](); e.preventDefault(); }
    });
  }

  // ---------------------------------------------------------------- which charts there are
  const named = (run, label, same) => !many ? label : same ? `all: ${label}` : `${run.letter}: ${label}`;
  const tint = (run, place, same) => !many ? `--c${place % 8}` : same ? '--ink' : run.color;
  const scaled = (run, factor) => run.steps.map(p => ({x: p.x, y: p.y * factor}));
  function targetLine(run, target, type, place) {
    if (!target) return [];
    const each = type === 'AverageValue';
    return [{label: named(run, each ? 'target × replicas' : 'target'), color: tint(run, place), dashed: true,
      points: each ? scaled(run, target) : [{x: 0, y: target}, {x: run.end, y: target}]}];
  }
  function replicasSpec() {
    const series = runs.flatMap(r => [
      {label: named(r, 'wanted'), color: r.color, points: r.steps, width: 2},
      {label: named(r, 'ready'), color: many ? r.color : '--c2', points: column(r, r.ready), area: !many, dashed: many, order: 2},
      ...(many ? [] : [{label: 'starting', color: '--c1', points: column(r, r.pending), width: 1.2, order: 2}]),
      {label: named(r, 'scale event'), color: r.color, points: r.events, marks: true},
    ]);
    return {title: 'Replicas', tall: true, whole: true, series, note: many ? null : 'Triangles are scale events, up and down.'};
  }
  function formulaSpecs() {
    const with_ = runs.filter(r => r.formula && r.formula.values);
    if (!with_.length) return [];
    return [{title: 'Formula against its target', tall: true, ...gapsIn(with_.map(r => column(r, r.formula.values))),
      series: with_.flatMap(r => [{label: named(r, 'value'), color: r.color, points: column(r, r.formula.values)},
        ...targetLine(r, r.formula.target, r.formula.targetType, 1)])}];
  }
  function gapsIn(columns) {
    const gaps = columns.flatMap(gapsOf);
    return {gaps, note: gaps.length ? 'Red at the bottom: no value.' : null};
  }
  // Things of one name in several runs share a chart, and a line where they are the same.
  function grouped(things, spec) {
    const names = new Map();
    for (const thing of things) names.set(thing.name, [...(names.get(thing.name) || []), thing]);
    const said = ({run, values}) => JSON.stringify([run.times, values]);
    return [...names].map(([name, of]) => spec(name, of.length === runs.length && of.every(o => o.run.formula && said(o) === said(of[0])) ? [{...of[0], same: true}] : of));
  }
  const triggerSpecs = () => grouped(runs.flatMap(run => run.triggers.map(t => ({name: t.name, run, t, values: t.values}))), (name, of) => ({
    title: name, unit: `trigger, ${of[0].t.type}`,
    series: of.flatMap(({run, t, same}) => [{label: named(run, 'value', same), color: tint(run, 0, same), points: column(run, t.values)},
      ...(run.formula ? [] : targetLine(run, t.target, t.targetType, 1))]),
    ...gapsIn(of.map(({run, t}) => column(run, t.values))),
  }));
  const measureSpecs = chart => grouped(runs.flatMap(run => run.measures.filter(m => m.chart === chart && m.values).map(m => ({name: m.name, run, m, values: m.values}))), (name, of) => ({
    title: name, unit: of[0].m.unit, share: chart === 'slo',
    series: of.flatMap(({run, m, same}) => [{label: named(run, name, same), color: tint(run, {demand: 0, backlog: 1, slo: 2}[chart], same), points: column(run, m.values), area: chart === 'backlog' && !many,
      below: chart === 'slo' && m.goal !== null && !many ? m.goal : undefined},
      ...(m.goal === null || run !== of[0].run ? [] : [{label: 'goal', color: '--dim', dashed: true, points: [{x: 0, y: m.goal}, {x: END, y: m.goal}]}])]),
  }));
  function costSpec() {
    const priced = runs.every(r => r.price > 0);
    const sum = run => {
      let total = 0;
      return run.steps.map((p, i) => ({x: p.x, y: (total += i ? run.steps[i - 1].y * (p.x - run.steps[i - 1].x) / 3600e3 * (priced ? run.price : 1) : 0)}));
    };
    return {title: priced ? 'Cost so far' : 'Replica-hours so far', unit: priced ? runs[0].currency || '' : '', note: 'The area under the wanted replicas.',
      series: runs.map(r => ({label: many ? r.letter : r.name, color: many ? r.color : '--c3', points: sum(r), smooth: true}))};
  }
  function partSpecs() {
    const partsOf = run => (run.formula ? run.formula.parts : []).map(p => ({name: piece(run, p.begin, p.end), run, p, values: p.values}))
      .filter(({name}, i, all) => all.findIndex(other => other.name === name) === i && !run.triggers.some(t => t.name === name));
    return grouped(runs.flatMap(partsOf), (name, of) => ({
      title: name, series: of.map(({run, p, same}) => ({label: named(run, 'value', same), color: tint(run, 3, same), points: column(run, p.values)})),
      note: of.some(({run, p}) => gapsOf(column(run, p.values)).length) ? 'Gaps: this part was not evaluated, or had no value.' : null,
    }));
  }
  function showParts() {
    const specs = partSpecs();
    $('parts').hidden = !specs.length;
    for (const spec of specs) {
      let made = null;
      const box = make('input', {type: 'checkbox'});
      box.addEventListener('change', () => {
        if (!made) made = addChart(spec, $('part-charts'));
        made.figure.hidden = !box.checked;
      });
      $('parts').querySelector('ul').append(make('li', {}, make('label', {}, box, make('code', {}, spec.title))));
    }
  }
  function showCharts() {
    if (many) $('legend').append(...runs.map(runName));
    const specs = [...measureSpecs('demand'), replicasSpec(), ...formulaSpecs(), ...triggerSpecs(), ...measureSpecs('backlog'), ...measureSpecs('slo'), costSpec()];
    for (const spec of specs) addChart(spec, $('charts'));
    const formulas = new Set(runs.filter(r => r.formula).map(r => r.formula.text));
    for (const text of formulas) $('parts').before(make('pre', {}, make('code', {}, text)));
    showParts();
  }

  // ---------------------------------------------------------------- the list of decisions
  const all = runs.flatMap(r => r.decisions).sort((a, b) => a.at - b.at || a.run.index - b.run.index);
  let matching = all, shown = 0;
  function decisionRow(d) {
    const folded = d.count > 1 ? `${number(d.count)} decisions until ${clock(d.until)}${d.others ? `, ${number(d.others)} other outcomes not kept${d.moves > 1 ? `, ${d.moves} scale events` : ''}` : ''}` : '';
    const tr = make('tr', {class: d.moves ? 'moved' : ''},
      make('td', {}, make('button', {type: 'button', on: () => choose(d.at)}, many ? swatch(d.run) : null, many ? `${d.run.letter} ` : '', clock(d.at))),
      make('td', {}, moveWords(d)), make('td', {}, d.reason), make('td', {}, d.summary, folded ? make('div', {class: 'folded'}, folded) : null));
    tr.decision = d;
    return tr;
  }
  function showMore() {
    $('list').tBodies[0].append(...matching.slice(shown, shown + PAGE).map(decisionRow));
    shown = Math.min(matching.length, shown + PAGE);
    $('more').hidden = shown >= matching.length;
    $('found').textContent = `${number(matching.length)} of ${number(all.length)} lines`;
  }
  function search() {
    const terms = $('search').value.toLowerCase().split(/\s+/).filter(Boolean), run = $('run').value, reason = $('reason').value, moved = $('moved').checked;
    matching = all.filter(d => {
      if ((moved && !d.moves) || (reason && d.reason !== reason) || (run && String(d.run.index) !== run)) return false;
      if (!terms.length) return true;
      d.text = d.text || `${clock(d.at)} ${d.reason} ${d.summary} ${d.steps.map(([, w]) => words(d.run, w)).join(' ')}`.toLowerCase();
      return terms.every(t => d.text.includes(t));
    });
    shown = 0;
    $('list').tBodies[0].replaceChildren();
    showMore();
  }
  function showList() {
    const option = (value, text) => make('option', {value}, text);
    const used = new Set(all.map(d => d.reason));
    $('reason').append(option('', 'any'), ...data.reasons.filter(r => used.has(r)).map(r => option(r, r)));
    $('which-run').hidden = !many;
    $('run').append(option('', 'all'), ...runs.map(r => option(String(r.index), many ? `${r.letter} ${r.name}` : r.name)));
    $('filter').addEventListener('input', search);
    $('filter').addEventListener('submit', e => e.preventDefault());
    $('more').addEventListener('click', showMore);
    search();
  }

  // ---------------------------------------------------------------- the page
  function setTheme(theme) {
    if (theme) document.documentElement.dataset.theme = theme;
    else delete document.documentElement.dataset.theme;
    charts.forEach(c => c.refresh());
  }
  const dark = matchMedia('(prefers-color-scheme: dark)');
  $('theme').addEventListener('click', () => setTheme((document.documentElement.dataset.theme || (dark.matches ? 'dark' : 'light')) === 'dark' ? 'light' : 'dark'));
  dark.addEventListener('change', redraw);
  $('range').addEventListener('click', e => { const b = e.target.closest('[data-do]'); if (b) actions[b.dataset.do](); });
  $('close').addEventListener('click', () => $('moment').classList.remove('open'));
  document.addEventListener('keydown', e => { if (e.key === 'Escape') $('moment').classList.remove('open'); });
  let themeBefore;
  addEventListener('beforeprint', () => { themeBefore = document.documentElement.dataset.theme; setTheme('light'); charts.forEach(c => { c.refresh(true); c.chart.resize(); }); });
  addEventListener('afterprint', () => setTheme(themeBefore));
  Chart.defaults.font.family = 'system-ui, sans-serif';
  showTop();
  showFindings();
  showPartings();
  showCharts();
  showList();
  zoom(0, END);
})();
