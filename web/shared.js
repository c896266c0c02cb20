// What the page of reports and the dashboard have in common: making elements, numbers for people, and the thin glue to Chart.js. A classic
// script, so that it can stand within a page as well as be loaded; everything is in `weir`.
'use strict';
globalThis.weir = (() => {
  // ---------------------------------------------------------------- words for people
  const number = v => v === null || v === undefined || Number.isNaN(v) ? '–' : typeof v === 'boolean' ? String(v)
    : Math.abs(v) >= 1e15 || (v !== 0 && Math.abs(v) < 1e-3) ? v.toExponential(2)
      : v.toLocaleString('en', {maximumSignificantDigits: Math.abs(v) >= 1e5 ? 15 : 5, maximumFractionDigits: 5});
  const short = v => Math.abs(v) >= 1e5 ? v.toLocaleString('en', {notation: 'compact', maximumSignificantDigits: 4}) : number(v);
  const percent = v => `${+(100 * v).toFixed(2)} %`;
  const span = ms => ms < 1000 ? `${Math.round(ms)} ms` : ms < 120e3 ? `${+(ms / 1000).toFixed(1)} s` : ms < 7200e3 ? `${+(ms / 60e3).toFixed(1)} min`
    : ms < 172800e3 ? `${+(ms / 3600e3).toFixed(1)} h` : `${+(ms / 86400e3).toFixed(1)} d`;
  // An instant on an axis that shows `width` ms of them.
  function tickWords(ms, width) {
    const text = new Date(ms).toISOString().replace('T', ' ');
    return width > 2 * 86400e3 ? text.slice(5, 16).replace(' 00:00', '') : width > 600e3 ? text.slice(11, 16) : text.slice(11, 19);
  }

  // ---------------------------------------------------------------- elements
  // Texts only ever become text nodes.
  function make(tag, props, ...children) {
    const e = document.createElement(tag);
    for (const [key, value] of Object.entries(props || {})) {
      if (key === 'class') e.className = value;
      else if (key === 'on') e.addEventListener('click', value);
      else if (key in e && key !== 'list') e[key] = value;
      else e.setAttribute(key, value);
    }
    e.append(...children.filter(c => c !== null && c !== undefined));
    return e;
  }
  const css = name => getComputedStyle(document.documentElement).getPropertyValue(name).trim();
  // Which line is which.
  function key({label, color, area, dashed}) {
    const line = make('i', {class: area ? 'area' : dashed ? 'dashed' : ''});
    line.style[area ? 'color' : 'borderColor'] = `var(${color})`;
    return make('span', {class: 'key'}, line, label);
  }

  // ---------------------------------------------------------------- charts
  // The last of a list sorted by key that is not after x; -1: none.
  function lastAt(list, x, key) {
    let low = 0, high = list.length;
    while (low < high) { const mid = (low + high) >> 1; if (list[mid][key] <= x) low = mid + 1; else high = mid; }
    return low - 1;
  }
  const SPANS = [1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 10800, 21600, 43200, 86400, 172800, 604800].map(s => s * 1000);
  // Ticks at round times; begin: the instant of 0 on the axis.
  function timeTicks(scale, begin) {
    const {min, max} = scale, step = SPANS.find(s => (max - min) / s <= Math.max(2, scale.width / 90)) || SPANS[SPANS.length - 1], ticks = [];
    for (let t = Math.ceil((min + begin % step) / step) * step - begin % step; t <= max && ticks.length < 100; t += step) ticks.push({value: t});
    scale.ticks = ticks;
  }
  // A chart over time. spec: from, to, begin, tick(value), title(x), label(item), share (0..1 as percent), whole (no fractions).
  function chartOptions(spec) {
    const grid = {color: css('--grid'), borderColor: css('--line')}, ticks = {color: css('--dim'), maxRotation: 0, autoSkip: false};
    return {
      animation: false, parsing: false, normalized: true, responsive: true, maintainAspectRatio: false, spanGaps: false,
      interaction: {mode: 'nearest', axis: 'x', intersect: false},
      scales: {
        x: {type: 'linear', min: spec.from, max: spec.to, grid, ticks: {...ticks, callback: spec.tick}, afterBuildTicks: scale => timeTicks(scale, spec.begin)},
        y: {beginAtZero: true, suggestedMax: spec.share ? 1 : undefined, grace: spec.share ? 0 : '5%', grid,
          ticks: {color: css('--dim'), maxTicksLimit: 6, precision: spec.whole ? 0 : undefined, callback: v => spec.share ? percent(v) : short(v)},
          afterFit: scale => { scale.width = 58; }},
      },
      plugins: {
        legend: {display: false},
        tooltip: {callbacks: {title: items => items.length ? spec.title(Math.round(items[0].parsed.x)) : '', label: spec.label}},
      },
      onHover: null, events: ['mousemove', 'mouseout'],
    };
  }
  function dataset(s, data) {
    const color = css(s.color);
    const base = {label: s.label, data, borderColor: color, backgroundColor: color, borderWidth: s.width || 1.7, pointRadius: 0,
      pointHitRadius: 0, stepped: s.smooth ? false : 'before', order: s.order || 1};
    if (s.dashed) Object.assign(base, {borderDash: [5, 4], borderWidth: 1.3});
    if (s.area) Object.assign(base, {fill: true, backgroundColor: color + '2e', borderWidth: 1.5});
    if (s.below !== undefined) base.fill = {target: {value: s.below}, above: 'transparent', below: css('--bad') + '55'};
    if (s.marks) {
      Object.assign(base, {showLine: false, pointRadius: 4.5, pointHoverRadius: 6, pointBorderWidth: 0, pointStyle: 'triangle', order: 0,
        pointRotation: c => c.raw && c.raw.before > c.raw.y ? 180 : 0});
    }
    return base;
  }
  // Paints a span of time on the chart, from the bottom up.
  function band(chart, from, to, height) {
    const {ctx, chartArea: a, scales: {x}} = chart;
    const l = Math.max(a.left, x.getPixelForValue(from)), r = Math.min(a.right, Math.max(x.getPixelForValue(to), l + 1));
    if (r > l) ctx.fillRect(l, a.bottom - (height || a.bottom - a.top), r - l, height || a.bottom - a.top);
  }
  // A moment marked from top to bottom.
  function mark(chart, at, color) {
    const {ctx, chartArea: a, scales: {x}} = chart, px = x.getPixelForValue(at);
    if (px < a.left || px > a.right) return;
    ctx.save();
    ctx.strokeStyle = color;
    ctx.setLineDash([3, 3]);
    ctx.beginPath(); ctx.moveTo(px, a.top); ctx.lineTo(px, a.bottom); ctx.stroke();
    ctx.restore();
  }
  // Drawn when it comes into view, and anew by refresh(). build() says {options, datasets}.
  function lazyChart(figure, canvas, plugins, build) {
    const me = {
      chart: null, visible: false,
      refresh(force) {
        if (!me.visible && !force) { me.stale = true; return; }
        me.stale = false;
        const {options, datasets} = build();
        if (!me.chart) me.chart = new Chart(canvas, {type: 'line', data: {datasets: []}, options, plugins});
        me.chart.options = options;
        me.chart.data.datasets = datasets;
        me.chart.update('none');
      },
      end() { me.observer.disconnect(); if (me.chart) me.chart.destroy(); },
    };
    me.observer = new IntersectionObserver(entries => {
      me.visible = entries[entries.length - 1].isIntersecting;
      if (me.visible && (!me.chart || me.stale)) me.refresh();
    }, {rootMargin: '300px'});
    me.observer.observe(figure);
    return me;
  }

  return {number, short, percent, span, tickWords, make, css, key, lastAt, chartOptions, dataset, band, mark, lazyChart};
})();
