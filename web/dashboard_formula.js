// A formula with what each of its parts is worth, written under it:
//
//     queue / replicas > 5 ? 3 : 1
//     12      4
//     ───────────────
//          3
//
// The parts come from the decision's trace, as bytes of the formula's text; they lie within each other. Also as a list, for whom the picture is no help.
import '/assets/shared.js';
import {value} from '/assets/dashboard_words.js';

const {make} = globalThis.weir;
const LITERAL = /^(?:[\d._]+(?:e[+-]?\d+)?|"[^"]*"|'[^']*'|true|false|nil)$/i;

const worth = v => v === null || v === undefined ? 'nil' : value(v);

// The trace as a tree: {begin, end, value, parts}. What was evaluated more than once has the value it had last.
export function tree(trace) {
  const last = new Map();
  for (const t of trace) if (t.end > t.begin) last.set(`${t.begin} ${t.end}`, t);
  const root = {begin: 0, end: Infinity, parts: []}, open = [root];
  for (const t of [...last.values()].sort((a, b) => a.begin - b.begin || b.end - a.end)) {
    while (open[open.length - 1].end <= t.begin) open.pop();
    const within = open[open.length - 1];
    if (t.end > within.end) continue;
    const part = {...t, parts: []};
    within.parts.push(part);
    open.push(part);
  }
  return root;
}

export function formula(text, trace, outcome) {
  const bytes = new TextEncoder().encode(text), decoder = new TextDecoder();
  const piece = (begin, end) => decoder.decode(bytes.slice(begin, Math.min(end, bytes.length)));
  function pieces(part) {
    const out = [];
    let from = part.begin;
    for (const p of part.parts) {
      out.push(piece(from, p.begin), ...shown(p));
      from = p.end;
    }
    out.push(piece(from, part.end));
    return out;
  }
  function shown(part) {
    if (LITERAL.test(piece(part.begin, part.end))) return pieces(part);
    return [make('span', {class: `part${part.parts.length ? '' : ' leaf'}`}, make('span', {class: 'of'}, ...pieces(part)), make('span', {class: 'is'}, worth(part.value)))];
  }
  function listed(part) {
    const words = piece(part.begin, part.end).replace(/\s+/g, ' ');
    return [...part.parts.flatMap(listed), ...(LITERAL.test(words) ? [] : [make('li', {}, make('code', {}, words), ` = ${worth(part.value)}`)])];
  }
  const root = tree(trace || []);
  root.end = bytes.length;
  const items = root.parts.flatMap(listed), seen = new Set(), unique = items.filter(li => !seen.has(li.textContent) && seen.add(li.textContent));
  return [
    make('div', {class: 'formula', role: 'img', tabIndex: 0, 'aria-label': `${text}: ${outcome}`}, ...pieces(root)),
    unique.length ? make('details', {class: 'data'}, make('summary', {}, 'as a list'), make('ul', {class: 'values'}, ...unique)) : null,
  ].filter(Boolean);
}
