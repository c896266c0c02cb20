// The configuration as it was loaded, and what is different from the version before: in words, and line by line.
import '/assets/shared.js';
import {get, objectPath} from '/assets/dashboard_api.js';
import {instant, notice, passing} from '/assets/dashboard_words.js';

const {make} = globalThis.weir;
const CELLS_MAX = 4e6, CONTEXT = 3; // of the table of common lines; lines shown around a change

// Lines of both, each {mark: ' ' | '-' | '+', line}, by the longest common sequence of lines; null: too long for that.
export function diff(before, after) {
  const a = before.split('\n'), b = after.split('\n');
  let head = 0, tail = 0;
  while (head < a.length && head < b.length && a[head] === b[head]) head++;
  while (tail < a.length - head && tail < b.length - head && a[a.length - 1 - tail] === b[b.length - 1 - tail]) tail++;
  const n = a.length - head - tail, m = b.length - head - tail, width = m + 1;
  if (n * m > CELLS_MAX) return null;
  const common = new Uint32Array((n + 1) * width);
  for (let i = n - 1; i >= 0; i--) {
    for (let j = m - 1; j >= 0; j--) common[i * width + j] = a[head + i] === b[head + j] ? common[(i + 1) * width + j + 1] + 1 : Math.max(common[(i + 1) * width + j], common[i * width + j + 1]);
  }
  const out = a.slice(0, head).map(line => ({mark: ' ', line}));
  for (let i = 0, j = 0; i < n || j < m;) {
    if (i < n && j < m && a[head + i] === b[head + j]) { out.push({mark: ' ', line: a[head + i++]}); j++; }
    else if (i < n && (j === m || common[(i + 1) * width + j] >= common[i * width + j + 1])) out.push({mark: '-', line: a[head + i++]});
    else out.push({mark: '+', line: b[head + j++]});
  }
  return [...out, ...a.slice(a.length - tail).map(line => ({mark: ' ', line}))];
}
// Lines far from any change are left out, and said to be.
function near(lines) {
  const close = lines.map((_, i) => lines.slice(Math.max(0, i - CONTEXT), i + CONTEXT + 1).some(l => l.mark !== ' '));
  const out = [];
  lines.forEach((l, i) => { if (close[i]) out.push(l); else if (i === 0 || close[i - 1]) out.push({mark: '…', line: ''}); });
  return out;
}
const NAMES = {'-': 'removed: ', '+': 'added: '};
function diffView(lines) {
  return make('pre', {class: 'yaml diff', tabIndex: 0, role: 'region', 'aria-label': 'Lines that differ'}, ...lines.map(({mark, line}) => make('span', {class: mark === '-' ? 'gone' : mark === '+' ? 'new' : 'same'},
    NAMES[mark] ? make('span', {class: 'heard'}, NAMES[mark]) : '', `${mark} ${line}\n`)));
}

export function manifest(into, object) {
  const pick = make('select', {'aria-label': 'Version'}), mode = make('select', {'aria-label': 'What is shown'}, make('option', {value: 'whole'}, 'as loaded'), make('option', {value: 'diff'}, 'against the version before'));
  const since = make('span', {class: 'dim'}), words = make('ul', {class: 'values'}), text = make('div'), bar = make('div', {class: 'bar'}, make('h2', {}, 'Configuration'), make('span', {class: 'pair'}, since, pick, mode));
  let versions = [], said = '', loaded = false;
  into.append(bar, words, text);
  function draw() {
    const i = Number(pick.value) || 0, v = versions[i], before = versions[i + 1];
    if (!v) return;
    mode.disabled = !before;
    const whole = !before || mode.value === 'whole';
    since.replaceChildren(i === 0 ? 'in force since ' : 'loaded ', passing('ago', v.at));
    words.replaceChildren(...(before ? v.changes : []).map(c => make('li', {}, c)));
    const lines = whole ? null : diff(before.yaml, v.yaml);
    text.replaceChildren(whole ? make('pre', {class: 'yaml', tabIndex: 0, role: 'region', 'aria-label': 'Manifest'}, v.yaml)
      : lines ? diffView(near(lines)) : notice('The two are too long to be compared here.'));
  }
  pick.addEventListener('change', draw);
  mode.addEventListener('change', draw);
  return {
    async load() {
      try {
        const answer = await get(objectPath(object, 'manifests'), {kind: object.kind});
        const now = JSON.stringify(answer.manifests);
        if (now === said) return;
        said = now;
        versions = answer.manifests;
        pick.replaceChildren(...versions.map((v, i) => make('option', {value: String(i)}, `${instant(Date.parse(v.at))}${i === 0 ? ' (now)' : ''}`)));
        pick.hidden = mode.hidden = versions.length < 2;
        loaded = true;
        if (!versions.length) text.replaceChildren(notice('No version was written down yet.'));
        draw();
      } catch (error) {
        if (!loaded && error.name !== 'AbortError') text.replaceChildren(notice(error.message, 'bad'));
      }
    },
  };
}
