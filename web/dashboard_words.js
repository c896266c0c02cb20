// Words and small things that all pages of the dashboard show: states, times that pass, sentences.
import '/assets/shared.js';
import {now} from '/assets/dashboard_api.js';

const {make, number} = globalThis.weir;

// What may be true of an object, the worst first: a word, and what it means.
export const STATES = {
  bad: ['Bad manifest', 'the manifest is not valid, so it is not in force'],
  failed: ['Failed', 'a source or the target cannot be read'],
  fallback: ['Fallback', 'a source failed too often: its fallback decides'],
  held: ['Held', 'a value is not known: nothing is taken away'],
  paused: ['Paused', 'paused by annotation'],
  active: ['Active', 'some trigger is active'],
  idle: ['Idle', 'no trigger is active'],
  unknown: ['Unknown', 'nothing was decided yet'],
};
export const ATTENTION = ['bad', 'failed', 'fallback', 'held'];
export function statePill(state) {
  const [word, means] = STATES[state] || STATES.unknown;
  return make('span', {class: `state ${state in STATES ? state : 'unknown'}`, title: means}, word);
}

// ---------------------------------------------------------------- times
const two = n => String(n).padStart(2, '0');
export const instant = ms => new Date(ms).toISOString().slice(0, 19).replace('T', ' ');
export const day = ms => new Date(ms).toISOString().slice(0, 10);
// The time alone where it is today's.
export const clock = ms => day(ms) === day(now()) ? instant(ms).slice(11) : instant(ms);
// A sentence's instants (2026-01-31T12:04:30Z), as people read them.
export const sentence = text => String(text ?? '').replace(/^(\d+|\?) -> (?=\d)/, '$1 → ').replace(/\b\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d+)?Z/g, t => clock(Date.parse(t)));
function roughly(s) {
  if (s < 60) return `${Math.floor(s)} s`;
  if (s < 3600) return `${Math.floor(s / 60)} min`;
  if (s < 172800) return `${Math.floor(s / 3600)} h`;
  return `${Math.floor(s / 86400)} d`;
}
function countdown(s) {
  if (s >= 172800) return `${Math.floor(s / 86400)} d`;
  return s >= 3600 ? `${Math.floor(s / 3600)}:${two(Math.floor(s / 60) % 60)}:${two(Math.floor(s) % 60)}` : `${Math.floor(s / 60)}:${two(Math.floor(s) % 60)}`;
}
const PASSING = {
  ago: (at, t) => t - at < 1500 ? 'now' : `${roughly((t - at) / 1000)} ago`,
  age: (at, t) => roughly(Math.max(0, (t - at) / 1000)),
  until: (at, t) => at <= t ? 'now' : countdown(Math.ceil((at - t) / 1000)),
};
// How long ago, how old, how long until: kept up to date by tick(). at: ms, or an instant as text; nothing of null.
export function passing(kind, at) {
  const ms = typeof at === 'string' ? Date.parse(at) : at;
  if (ms === null || ms === undefined || Number.isNaN(ms)) return null;
  const e = make('time', {dateTime: new Date(ms).toISOString(), title: `${instant(ms)} UTC`}, PASSING[kind](ms, now()));
  e.dataset.passing = kind;
  e.at = ms;
  return e;
}
export function tick() {
  const t = now();
  for (const e of document.querySelectorAll('[data-passing]')) {
    const text = PASSING[e.dataset.passing](e.at, t);
    if (e.textContent !== text) e.textContent = text;
  }
}
export const agedSince = seconds => seconds === undefined || seconds === null ? null : now() - seconds * 1000;

// ---------------------------------------------------------------- small things
export const value = v => typeof v === 'boolean' ? String(v) : v === null || v === undefined ? '–' : number(v);
export const plural = (n, one, more) => `${n.toLocaleString('en')} ${n === 1 ? one : more || `${one}s`}`;
export const moved = (before, after) => before === null || before === undefined ? `? → ${after}` : before === after ? String(after) : `${before} → ${after}`;
// What stands behind the numbers that begin a summary.
export const reasonOf = summary => sentence(summary).replace(/^(?:(?:\d+|\?) → )?\d+: /, '');
// A table that stays one for who hears it where a narrow screen shows its rows as blocks; there each cell says the head of its column.
export function table(heads, rows, label) {
  for (const tr of rows) [...tr.cells].forEach((cell, i) => { cell.dataset.head = heads[i]; });
  return make('div', {class: 'wide'}, make('table', {'aria-label': label, role: 'table'},
    make('thead', {role: 'rowgroup'}, make('tr', {role: 'row'}, ...heads.map(h => make('th', {scope: 'col', role: 'columnheader'}, h)))), make('tbody', {role: 'rowgroup'}, ...rows)));
}
function cell(content) {
  const td = content instanceof HTMLTableCellElement ? content : make('td', {}, ...[].concat(content ?? ''));
  td.setAttribute('role', td.tagName === 'TH' ? 'rowheader' : 'cell');
  return td;
}
export const row = (...cells) => make('tr', {role: 'row'}, ...cells.map(cell));
export function notice(text, kind) {
  return make('p', {class: `notice ${kind || ''}`, role: kind === 'bad' ? 'alert' : 'note'}, text);
}
// Replaces what is in `into` where it says something else now, and leaves it alone while somebody is in it. parts: what it depends on.
export function show(into, parts, build) {
  const said = JSON.stringify(parts);
  if (into.said === said) return;
  if (into.said !== undefined && into.contains(document.activeElement) && document.activeElement !== document.body) { into.late = () => show(into, parts, build); return; }
  into.said = said;
  into.late = null;
  into.replaceChildren(...[].concat(build()).filter(Boolean));
}
// What could not be shown while somebody was in it is shown when they leave.
document.addEventListener('focusout', event => {
  for (let e = event.target; e; e = e.parentElement) if (e.late) setTimeout(() => e.late && e.late());
});
let saying;
// For who hears the page.
export function say(text) {
  clearTimeout(saying);
  saying = setTimeout(() => { document.getElementById('said').textContent = text; }, 300);
}
