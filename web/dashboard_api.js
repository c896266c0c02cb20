// The API (docs/openapi.yaml): questions, and the stream of changes.

// A refusal, with the words of the server.
export class Refused extends Error {
  constructor(status, text) {
    super(text);
    this.status = status;
  }
}

// The server's clock, by which ages and countdowns go: ours may be wrong.
let ahead_ms = 0;
export const now = () => Date.now() + ahead_ms;
function setClock(answer, asked_ms) {
  const told = Date.parse(answer.headers.get('Date'));
  const off = told + 500 - (asked_ms + Date.now()) / 2; // Date has whole seconds
  ahead_ms = Number.isFinite(off) && Math.abs(off) > 2000 ? off : 0;
}

async function ask(path, options) {
  const asked = Date.now();
  let answer;
  try {
    answer = await fetch(path, {credentials: 'same-origin', ...options});
  } catch (error) {
    if (error.name === 'AbortError') throw error;
    throw new Refused(0, 'Weir does not answer. Is it running, and is the network there?');
  }
  setClock(answer, asked);
  const text = await answer.text();
  let body = null;
  try { body = JSON.parse(text); } catch { /* not JSON: a proxy's page */ }
  if (answer.ok && body !== null) return body;
  if (answer.status === 401) document.dispatchEvent(new CustomEvent('weir:login'));
  throw new Refused(answer.status, (body && body.error) || `${path} was answered with ${answer.status} ${answer.statusText}`);
}

const query = params => {
  const said = Object.entries(params || {}).filter(([, v]) => v !== undefined && v !== null && v !== '');
  return said.length ? `?${new URLSearchParams(said)}` : '';
};
export const get = (path, params, signal) => ask(`/api/v1/${path}${query(params)}`, {signal});
export const post = (path, params, body, signal) => ask(`/api/v1/${path}${query(params)}`,
  {method: 'POST', headers: {'Content-Type': 'application/json'}, body: body && JSON.stringify(body), signal});
export const objectPath = (o, rest) => `objects/${encodeURIComponent(o.namespace)}/${encodeURIComponent(o.name)}${rest ? `/${rest}` : ''}`;

// The token goes to the server once and comes back as a cookie that scripts cannot read.
export async function login(token) {
  const answer = await fetch('/login', {method: 'POST', credentials: 'same-origin', headers: {'Content-Type': 'application/json'}, body: JSON.stringify({token})});
  if (answer.ok) return;
  let why = '';
  try { why = (await answer.json()).error; } catch { /* no words */ }
  throw new Refused(answer.status, why || `the login was answered with ${answer.status}`);
}

export const logout = () => fetch('/logout', {method: 'POST', credentials: 'same-origin', headers: {'Content-Type': 'application/json'}});

const FIRST_RETRY_MS = 1000, LAST_RETRY_MS = 30000, QUIET_MS = 45000, HIDDEN_MS = 60000;
// Events of the server, again and again until close(). onState(live): whether what is shown follows what happens; onAgain: events may have
// been missed.
export class Stream {
  constructor(params, handlers, onState, onAgain) {
    Object.assign(this, {params, handlers, onState, onAgain, retry_ms: FIRST_RETRY_MS, opened: false, ended: false});
    this.onVisible = () => this.setVisible();
    document.addEventListener('visibilitychange', this.onVisible);
    this.watch = setInterval(() => this.check(), QUIET_MS / 3);
    this.open();
  }
  open() {
    clearTimeout(this.again);
    this.heard_at = Date.now();
    this.source = new EventSource(`/api/v1/stream${query(this.params)}`);
    this.source.onopen = () => {
      this.retry_ms = FIRST_RETRY_MS;
      this.heard_at = Date.now();
      this.onState(true);
      if (this.opened) this.onAgain();
      this.opened = true;
    };
    this.source.onerror = () => this.lost();
    for (const [name, handle] of Object.entries({hello: () => {}, ...this.handlers})) {
      this.source.addEventListener(name, event => {
        this.heard_at = Date.now();
        handle(JSON.parse(event.data));
      });
    }
  }
  // We come again ourselves: a browser gives up for good when the answer was a refusal.
  lost() {
    this.source.close();
    this.onState(false);
    clearTimeout(this.again);
    if (this.ended) return;
    get('session').catch(() => {}); // the stream does not say why: perhaps a login is asked for
    this.again = setTimeout(() => this.open(), this.retry_ms * (0.75 + Math.random() / 2));
    this.retry_ms = Math.min(LAST_RETRY_MS, this.retry_ms * 2);
  }
  // A connection that died without a word says nothing, and neither does one on which nothing happens.
  async check() {
    if (document.hidden || this.source.readyState !== EventSource.OPEN || Date.now() - this.heard_at < QUIET_MS) return;
    try {
      await get('version', {}, AbortSignal.timeout(5000));
      this.heard_at = Date.now();
    } catch {
      this.lost();
    }
  }
  // Nobody looks at a page in the background: after a while it is left alone.
  setVisible() {
    clearTimeout(this.sleep);
    if (document.hidden) this.sleep = setTimeout(() => { this.source.close(); clearTimeout(this.again); this.asleep = true; }, HIDDEN_MS);
    else if (this.asleep) { this.asleep = false; this.open(); }
  }
  close() {
    this.ended = true;
    this.source.close();
    clearTimeout(this.again);
    clearTimeout(this.sleep);
    clearInterval(this.watch);
    document.removeEventListener('visibilitychange', this.onVisible);
  }
}
