// What if: another value, a trigger without one, another formula, other replicas, later. Decided by Weir, with the code that decides for real.
import '/assets/shared.js';
import {objectPath, post} from '/assets/dashboard_api.js';
import {moved, notice, reasonOf, sentence, value} from '/assets/dashboard_words.js';

const {make} = globalThis.weir;
const TYPING_MS = 250, AGAIN_MS = 1000;
const STATES = {'': 'as it is', missing: 'missing', failed: 'failed'};
const UNITS = {s: 1, m: 60, min: 60, h: 3600, d: 86400};

// "90", "90s", "10m", "1h": seconds; NaN: neither.
function seconds(text) {
  const found = /^\s*(\d+(?:\.\d+)?)\s*(s|m|min|h|d)?\s*$/.exec(text);
  return found ? Number(found[1]) * UNITS[found[2] || 's'] : NaN;
}
export function steps(decision) {
  return make('ol', {class: 'steps'}, ...(decision.steps || []).map(s => make('li', {class: s.before !== s.after ? 'moves' : ''}, sentence(s.text),
    s.before !== s.after ? make('b', {}, ` ${moved(s.before, s.after)}`) : null)));
}

export function whatIf(into, object) {
  let names = null, typing = 0, asked = null, fields = [];
  const answer = make('div', {class: 'answer', 'aria-live': 'polite'});
  const triggers = make('div', {class: 'what-values'}), text = make('textarea', {rows: 3, spellcheck: false, name: 'formula', 'aria-label': 'Formula'});
  const replicas = make('input', {inputMode: 'numeric', name: 'replicas', size: 5, autocomplete: 'off'}), later = make('input', {name: 'later', size: 6, autocomplete: 'off', placeholder: '10m'});
  const target = make('input', {inputMode: 'decimal', name: 'target', size: 5, autocomplete: 'off'}), ofTarget = make('label', {}, make('span', {}, 'its target'), target);
  const formula = make('label', {class: 'wide-label'}, make('span', {}, 'formula'), text);
  const reset = make('button', {type: 'button', class: 'quiet', on: () => clear()}, 'Clear');
  const form = make('form', {class: 'what-if'}, triggers, formula, make('div', {class: 'pair'}, ofTarget, make('label', {}, make('span', {}, 'replicas now'), replicas), make('label', {}, make('span', {}, 'later by'), later), reset));
  into.append(make('h2', {}, 'What if'), make('p', {class: 'dim small'}, 'Change something: the same code decides, and nothing is done.'), form, answer);

  function fieldOf(t) {
    const number = make('input', {inputMode: 'decimal', size: 8, autocomplete: 'off', 'aria-label': `${t.name}: value`});
    const state = make('select', {'aria-label': `${t.name}: state`}, ...Object.entries(STATES).map(([v, word]) => make('option', {value: v}, word)));
    return {name: t.name, number, state, box: make('div', {class: 'what-value'}, make('span', {class: 'name'}, t.name), number, state)};
  }
  function body() {
    const out = {}, values = {}, wrong = [];
    for (const f of fields) {
      f.number.disabled = f.state.value !== '';
      if (f.state.value) values[f.name] = f.state.value;
      else if (f.number.value.trim()) {
        const v = Number(f.number.value);
        if (Number.isFinite(v)) values[f.name] = v;
        else wrong.push(`${f.name}: "${f.number.value}" is not a number`);
      }
    }
    if (Object.keys(values).length) out.values = values;
    if (text.value.trim() && text.value !== (object.formula || '')) out.formula = text.value;
    if (target.value.trim()) {
      out.target = Number(target.value);
      if (!(out.target > 0)) wrong.push('its target: a number above 0');
    }
    if (replicas.value.trim()) {
      out.replicas = Number(replicas.value);
      if (!Number.isInteger(out.replicas) || out.replicas < 0) wrong.push('replicas: a whole number from 0');
    }
    if (later.value.trim()) {
      out.laterSeconds = seconds(later.value);
      if (Number.isNaN(out.laterSeconds)) wrong.push('later by: a span like 90s, 10m or 1h');
    }
    return {out, wrong};
  }
  async function ask() {
    const {out, wrong} = body();
    if (asked) asked.abort();
    reset.hidden = !Object.keys(out).length && !wrong.length;
    if (wrong.length) { answer.replaceChildren(...wrong.map(w => notice(w, 'bad'))); return; }
    if (reset.hidden) { answer.replaceChildren(); return; }
    const mine = asked = new AbortController();
    try {
      const {decision} = await post(objectPath(object, 'what-if'), {kind: object.kind}, out, mine.signal);
      if (mine.signal.aborted) return;
      const change = decision.before === decision.after ? 'same' : decision.after > decision.before ? 'up' : 'down';
      answer.replaceChildren(make('p', {class: `verdict ${change}`}, make('b', {}, moved(decision.before, decision.after)), ` ${reasonOf(decision.summary)}`),
        make('details', {class: 'data'}, make('summary', {}, `each step${decision.formula ? `; formula = ${value(decision.formula.value ?? decision.formula.fault)}` : ''}`), steps(decision)));
    } catch (error) {
      if (error.status === 429) typing = setTimeout(ask, AGAIN_MS);
      else if (error.name !== 'AbortError') answer.replaceChildren(notice(error.message, 'bad'));
    }
  }
  function clear() {
    for (const f of fields) { f.number.value = ''; f.state.value = ''; }
    text.value = object.formula || '';
    target.value = replicas.value = later.value = '';
    ask();
  }
  form.addEventListener('input', () => { clearTimeout(typing); typing = setTimeout(ask, TYPING_MS); });
  form.addEventListener('submit', event => { event.preventDefault(); ask(); });
  reset.hidden = true;
  return {
    set(o) {
      const before = object.formula || '';
      object = o;
      const said = JSON.stringify((o.triggers || []).map(t => t.name));
      if (said !== names) {
        names = said;
        fields = (o.triggers || []).map(fieldOf);
        triggers.replaceChildren(...fields.map(f => f.box));
      }
      (o.triggers || []).forEach((t, i) => { fields[i].number.placeholder = t.state === 'ok' || t.state === 'resource' ? value(t.value) : t.state; });
      formula.hidden = ofTarget.hidden = !o.formula;
      target.placeholder = value(o.formulaTarget);
      if (text.value === before || !text.value) text.value = o.formula || '';
      replicas.placeholder = String(o.specReplicas ?? o.wantedReplicas ?? '');
      if (!reset.hidden && !into.contains(document.activeElement)) { clearTimeout(typing); typing = setTimeout(ask, AGAIN_MS); }
    },
    end() { clearTimeout(typing); if (asked) asked.abort(); },
  };
}
