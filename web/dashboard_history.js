// An object over time: replicas with every scale event, each trigger against its target with what was missing and failed shaded, the SLO.
// Drawn by Chart.js; one cursor goes through all charts, by pointer or arrow keys, and each says in words what was then. What a chart shows
// is also there as a table.
import '/assets/shared.js';
import {get, now, objectPath} from '/assets/dashboard_api.js';
import {clock, instant, notice, row, say, sentence, table, value} from '/assets/dashboard_words.js';

const {make, css, key, lastAt, chartOptions, dataset, band, mark, lazyChart, percent, span, tickWords} = globalThis.weir;
export const RANGES = {'15m': ['15 min', 900], '1h': ['1 h', 3600], '6h': ['6 h', 21600], '24h': ['24 h', 86400], '168h': ['7 d', 604800], '720h': ['30 d', 2592000]};
const POINTS = 300, TABLE_ROWS = 60, NEAR_PX = 6, MANY_EVENTS = 40, SEEN_MAX = 3600;

const SHADES = {missing: ['--warn', 4], failed: ['--bad', 8]}; // colour, and how high the stripe at the bottom is

let loading = null;
// Chart.js is large, so it comes when the first chart does. Where Weir was built without it, the page says so and has the tables.
function loadCharts() {
  loading ||= new Promise((done, failed) => {
    const script = make('script', {src: '/assets/chart.js'});
    script.onload = done;
    script.onerror = () => failed(new Error('Charts are missing: this Weir was built without Chart.js (Debian: libjs-chart.js). The tables say the same.'));
    document.head.append(script);
  });
  return loading;
}

// ---------------------------------------------------------------- columns of the history
const flat = (x, y) => ({x, y: y ?? NaN, low: y ?? NaN, high: y ?? NaN});
// [least, mean, greatest] per span as points, with a break where spans are missing; then what was seen since the page was opened, which is
// finer. share: where in its span a point stands (0: its begin, for steps; 0.5: its middle, for lines).
function pointsOf({history, seen, object}, ranges, share, pick) {
  const step = history.spanSeconds * 1000, begin = Date.parse(object.createdAt) || 0, out = [], live = seen.map(s => flat(s.x, pick(s)));
  const until = live.length ? live[0].x : Infinity;
  history.times.forEach((t, i) => {
    const from = Math.max(t * 1000, begin), x = Math.min(from + share * (t * 1000 + step - from), now()), [low, mean, high] = ranges[i] || [null, null, null], before = out[out.length - 1];
    if (x >= until) return;
    if (before && x - before.x > 1.5 * step) out.push(flat(before.x + step, null));
    out.push({x, until: Math.min(t * 1000 + step, until), y: mean ?? NaN, low: low ?? NaN, high: high ?? NaN});
  });
  return [...out, ...live];
}
// A span in which replicas were scaled goes as its events say, not as its mean does.
function stepped(points, events) {
  return points.flatMap(p => {
    const within = events.filter(e => e.x >= p.x && e.x < p.until);
    return within.length ? [flat(p.x, within[0].before), ...within.map(e => flat(e.x, e.y))] : [p];
  });
}
const has = points => points.some(p => !Number.isNaN(p.y));
function rangeWords(p, share) {
  if (!p || Number.isNaN(p.y)) return 'no value';
  const word = share ? percent : value;
  return p.high > p.low ? `${word(p.y)} (${word(p.low)} to ${word(p.high)})` : word(p.y);
}

// ---------------------------------------------------------------- the charts there are
function replicasSpec(all) {
  const {history: h, object: o} = all;
  const events = h.events.map(e => ({x: Date.parse(e.at), y: e.to, before: e.from, ...e}));
  const wanted = stepped(pointsOf(all, h.wanted, 0, s => s.wanted), events), ready = pointsOf(all, h.ready, 0, s => s.ready);
  const series = [];
  if (has(wanted)) series.push({label: 'wanted', color: '--c0', points: wanted, width: 2, banded: true});
  if (has(ready)) series.push({label: o.kind === 'ScaledJob' ? 'running' : 'ready', color: '--c2', points: ready, area: true, order: 2});
  return {id: 'replicas', title: o.kind === 'ScaledJob' ? 'Jobs' : 'Replicas', tall: true, whole: true, series, events, spans: []};
}
// Where it had no value: of spans the share in which, of what was seen since then the whole time until it was seen again.
function shadesOf({history: h, seen, object}, trigger) {
  const step = h.spanSeconds * 1000, begin = Date.parse(object.createdAt) || 0, until = seen.length ? seen[0].x : Infinity;
  const spans = h.times.flatMap((at, i) => ['missing', 'failed'].filter(k => trigger[k][i] > 0).map(k => ({from: Math.max(at * 1000, begin), to: Math.min(at * 1000 + step, until), kind: k, share: trigger[k][i]})));
  const live = seen.map((s, i) => ({from: s.x, to: i + 1 < seen.length ? seen[i + 1].x : now(), kind: s.states[trigger.name], share: 1}));
  return [...spans, ...live].filter(s => s.kind in SHADES && s.to > s.from);
}
function triggerSpec(all, trigger) {
  const {history: h, object: o} = all, t = (o.triggers || []).find(one => one.name === trigger.name) || {};
  const points = pointsOf(all, trigger.values, 0.5, s => s.values[trigger.name]);
  const target = trigger.target ?? t.target;
  const series = [{label: 'value', color: '--c0', points, banded: true, smooth: true}];
  if (target !== undefined && target !== null && points.length) {
    series.push({label: o.formula ? 'target, unused beside the formula' : 'target', color: o.formula ? '--dim' : '--c1', dashed: true, points: [points[0], points[points.length - 1]].map(p => ({x: p.x, y: target, low: target, high: target}))});
  }
  return {id: `trigger ${trigger.name}`, title: trigger.name, unit: t.type, series, events: [], spans: shadesOf(all, trigger)};
}
function sloSpec({history, object}) {
  const points = pointsOf({history, object, seen: []}, history.slo.map(v => [v, v, v]), 0);
  return {id: 'slo', title: 'SLO held', share: true, series: [{label: 'held', color: '--c3', points, area: true}], events: [], spans: []};
}
function specsOf(all) {
  const h = all.history, slo = h.slo && h.slo.some(v => v !== null) ? [sloSpec(all)] : [];
  return [replicasSpec(all), ...h.triggers.map(t => triggerSpec(all, t)), ...slo];
}
// What is kept of an object each time it is seen.
function seenNow(o) {
  const of = pick => Object.fromEntries((o.triggers || []).map(t => [t.name, pick(t)]));
  const job = o.kind === 'ScaledJob';
  return {x: now(), wanted: job ? null : o.wantedReplicas, ready: job ? o.running : o.readyReplicas, values: of(t => t.state === 'ok' || t.state === 'resource' ? t.value : null), states: of(t => t.state)};
}

// ---------------------------------------------------------------- words of a chart
function aboutWords(spec) {
  const parts = spec.series.filter(s => has(s.points)).map(s => {
    const known = s.points.filter(p => !Number.isNaN(p.y)), last = known[known.length - 1];
    if (s.dashed) return `${s.label} ${value(last.y)}`;
    return `${s.label} from ${value(Math.min(...known.map(p => p.low)))} to ${value(Math.max(...known.map(p => p.high)))}, last ${value(last.y)}`;
  });
  if (spec.events.length) parts.push(`${spec.events.length} scale events`);
  for (const kind of Object.keys(SHADES)) {
    const ms = spec.spans.filter(s => s.kind === kind).reduce((sum, s) => sum + (s.to - s.from) * s.share, 0);
    if (ms) parts.push(`${kind} for ${span(ms)}`);
  }
  return parts.join('; ') || 'nothing is known of this time';
}
function at(spec, x, near) {
  const event = spec.events.filter(e => Math.abs(e.x - x) <= near).sort((a, b) => Math.abs(a.x - x) - Math.abs(b.x - x))[0];
  if (event) return `${clock(event.x)}: ${event.before} → ${event.y}, ${sentence(event.summary)}`;
  const shade = spec.spans.find(s => x >= s.from && x < s.to);
  const said = spec.series.map(s => `${s.label} ${rangeWords(s.points[lastAt(s.points, x, 'x')], spec.share)}`);
  return `${clock(x)}: ${said.join(', ')}${shade ? `, ${shade.kind}` : ''}`;
}
function dataTable(spec) {
  if (spec.events.length) {
    return table(['time (UTC)', 'replicas', 'why'], [...spec.events].reverse().map(e => row(instant(e.x), `${e.before} → ${e.y}`, sentence(e.summary))), 'Scale events, newest first');
  }
  const main = spec.series[0], points = main ? main.points : [], every = Math.max(1, Math.ceil(points.length / TABLE_ROWS));
  return table(['time (UTC)', ...spec.series.map(s => s.label)], points.filter((_, i) => i % every === 0).reverse().map(p => row(instant(p.x),
    ...spec.series.map(s => rangeWords(s.points[lastAt(s.points, p.x, 'x')], spec.share)))), `${spec.title} over time, newest first`);
}

// ---------------------------------------------------------------- one chart
function chartBox(all, begun) {
  const canvas = make('canvas', {tabIndex: 0, role: 'img'}), read = make('p', {class: 'read'});
  const title = make('h3'), keys = make('div', {class: 'keys'}), rows = make('details', {class: 'data'}, make('summary', {}, 'as a table'));
  const figure = make('figure', {class: 'chart'}, make('div', {class: 'head'}, title, keys), make('div', {class: 'canvas'}, canvas), make('div', {class: 'foot'}, rows, read));
  const me = {figure, canvas, spec: begun, chart: null};
  const shades = {
    id: 'shades',
    beforeDatasetsDraw(chart) {
      const {ctx} = chart;
      ctx.save();
      for (const s of me.spec.spans) {
        ctx.fillStyle = css(SHADES[s.kind][0]);
        ctx.globalAlpha = .1 + .15 * s.share;
        band(chart, s.from, s.to);
        ctx.globalAlpha = .9;
        band(chart, s.from, s.to, SHADES[s.kind][1]);
      }
      ctx.restore();
    },
    afterDatasetsDraw(chart) { if (all.cursor !== null) mark(chart, all.cursor, css('--mark')); },
  };
  function build() {
    const options = chartOptions({from: all.from, to: all.to, begin: 0, share: me.spec.share, whole: me.spec.whole, tick: v => tickWords(v, all.to - all.from)});
    options.plugins.tooltip = {enabled: false};
    options.events = [];
    const datasets = me.spec.series.flatMap(s => {
      const line = dataset(s, s.points);
      if (!s.banded || !s.points.some(p => p.high > p.low)) return [line];
      const edge = which => ({...dataset({...s, width: 0}, s.points.map(p => ({x: p.x, y: p[which]}))), borderWidth: 0, order: 5});
      return [line, edge('low'), {...edge('high'), fill: '-1', backgroundColor: css(s.color) + '33'}];
    });
    if (me.spec.events.length) {
      const marks = me.spec.events.filter(e => e.x >= all.from);
      datasets.push({...dataset({label: 'scale event', color: '--ink', marks: true}, marks), pointRadius: marks.length > MANY_EVENTS ? 3 : 4.5});
    }
    return {options, datasets};
  }
  me.set = spec => {
    me.spec = spec;
    figure.classList.toggle('tall', Boolean(spec.tall));
    title.replaceChildren(spec.title, spec.unit ? make('span', {class: 'unit'}, ` ${spec.unit}`) : '');
    const kinds = [...new Set(spec.spans.map(s => s.kind))];
    keys.replaceChildren(...spec.series.map(key), ...kinds.map(k => key({label: k, color: SHADES[k][0], area: true})),
      ...(spec.events.length ? [make('span', {class: 'key'}, '▲▼ scale events')] : []));
    canvas.setAttribute('aria-label', `${spec.title} over time: ${aboutWords(spec)}. Arrow keys read it.`);
    if (rows.open) rows.replaceChildren(rows.firstChild, dataTable(spec));
    me.tell();
    if (globalThis.Chart) {
      me.chart ||= lazyChart(figure, canvas, [shades], build);
      me.chart.refresh();
    }
  };
  me.tell = () => { read.textContent = all.cursor === null ? '' : at(me.spec, all.cursor, near()); };
  const near = () => { const c = me.chart && me.chart.chart; return c ? NEAR_PX * (all.to - all.from) / Math.max(1, c.chartArea.width) : 0; };
  me.draw = () => { me.tell(); if (me.chart && me.chart.visible && me.chart.chart) me.chart.chart.draw(); };
  rows.addEventListener('toggle', () => rows.open && rows.replaceChildren(rows.firstChild, dataTable(me.spec)));
  canvas.addEventListener('pointermove', e => {
    const c = me.chart && me.chart.chart;
    if (c) all.point(c.scales.x.getValueForPixel(e.clientX - canvas.getBoundingClientRect().left));
  });
  canvas.addEventListener('pointerleave', () => { if (document.activeElement !== canvas) all.point(null); });
  canvas.addEventListener('blur', () => all.point(null));
  canvas.addEventListener('keydown', e => {
    const here = all.cursor ?? all.to, step = (all.to - all.from) / 100, moves = me.spec.events.map(x => x.x);
    const to = {ArrowLeft: () => e.shiftKey ? Math.max(...moves.filter(x => x < here - 1), all.from) : here - step,
      ArrowRight: () => e.shiftKey ? Math.min(...moves.filter(x => x > here + 1), all.to) : here + step, Home: () => all.from, End: () => all.to}[e.key];
    if (!to || e.ctrlKey || e.metaKey || e.altKey) return;
    e.preventDefault();
    all.point(to());
    say(read.textContent);
  });
  return me;
}

// ---------------------------------------------------------------- all of an object's charts
export function charts(into, object, range) {
  const boxes = new Map(), box = make('div', {class: 'charts'}), said = make('div');
  const all = {range, from: 0, to: 1, cursor: null, history: null, object, seen: [seenNow(object)], asked: null, drawing: 0};
  const picks = make('div', {class: 'ranges', role: 'group', 'aria-label': 'Time shown'});
  into.append(make('div', {class: 'bar'}, make('h2', {}, 'Over time'), picks), said, box);

  all.point = x => {
    all.cursor = x === null ? null : Math.max(all.from, Math.min(all.to, x));
    all.drawing ||= requestAnimationFrame(() => { all.drawing = 0; for (const b of boxes.values()) b.draw(); });
    if (x !== null) for (const b of boxes.values()) b.tell();
  };
  function draw() {
    if (!all.history) return;
    all.to = now();
    all.from = all.to - RANGES[all.range][1] * 1000;
    const specs = specsOf(all);
    for (const [id, b] of boxes) if (!specs.some(s => s.id === id)) { b.figure.remove(); if (b.chart) b.chart.end(); boxes.delete(id); }
    for (const spec of specs) {
      if (!boxes.has(spec.id)) {
        boxes.set(spec.id, chartBox(all, spec));
        box.append(boxes.get(spec.id).figure);
      }
      boxes.get(spec.id).set(spec);
    }
  }
  function showPicks() {
    picks.replaceChildren(...Object.entries(RANGES).map(([name, [word]]) => make('button', {type: 'button', 'aria-pressed': String(name === all.range), on: () => { all.onRange(name); me.setRange(name); picks.querySelector('[aria-pressed=true]').focus(); }}, word)));
  }
  const me = {
    async load() {
      if (all.asked) all.asked.abort();
      const mine = all.asked = new AbortController();
      try {
        const history = await get(objectPath(all.object, 'history'), {kind: all.object.kind, since: all.range, points: POINTS}, mine.signal);
        const missing = await loadCharts().then(() => null, error => error.message);
        if (mine.signal.aborted) return;
        all.history = history;
        said.replaceChildren(...(missing ? [notice(missing)] : history.times.length ? [] : [notice('Nothing is known of this time yet.')]));
        draw();
      } catch (error) {
        if (error.name !== 'AbortError') said.replaceChildren(notice(error.message, 'bad'));
      }
    },
    // How old what is shown may be, at this range.
    every_ms: () => Math.max(5000, RANGES[all.range][1] * 1000 / POINTS / 2),
    set(o) {
      all.object = o;
      all.seen.push(seenNow(o));
      if (all.seen.length > SEEN_MAX) all.seen.shift();
      draw();
    },
    // Something may have been missed: the history knows.
    forget() { all.seen = []; },
    setRange(name) { all.range = name; showPicks(); me.load(); },
    onRange(f) { all.onRange = f; },
    redraw: draw,
    end() { if (all.asked) all.asked.abort(); for (const b of boxes.values()) if (b.chart) b.chart.end(); },
  };
  showPicks();
  return me;
}
