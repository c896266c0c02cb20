// The dashboard: which page the address asks for, who looks at it, whether it is live, day and night, login, keys. The pages are in files of
// their own. Everything shown comes from the API, and texts only ever become text nodes.
import '/assets/shared.js';
import {Refused, Stream, get, login, logout, now} from '/assets/dashboard_api.js';
import {clock, notice, say, tick} from '/assets/dashboard_words.js';
import * as list from '/assets/dashboard_list.js';

const {make} = globalThis.weir;
const $ = id => document.getElementById(id);
const main = $('main');

// ---------------------------------------------------------------- live or not
let stream = null, wasLive = null;
function setLive(live, words) {
  if (live === wasLive) return;
  wasLive = live;
  $('live').className = `live ${live ? 'on' : 'off'}`;
  $('live').textContent = live ? 'live' : words || `not live since ${clock(now())}`;
  $('live').title = live ? 'Changes are shown as they happen.' : 'What is shown is as old as that; Weir is asked again and again.';
}

// ---------------------------------------------------------------- what the pages get from here
const app = {
  session: {canAct: false, user: '', version: ''},
  // One stream at a time: the page's.
  listen(params, handlers, onAgain) {
    if (stream) stream.close();
    stream = new Stream(params, handlers, setLive, onAgain);
  },
  title(text) { document.title = text ? `${text} · Weir` : 'Weir'; },
  failed(into, error) {
    if (error.name === 'AbortError' || error.status === 401) return;
    into.replaceChildren(notice(error.message, 'bad'));
    if (!(error instanceof Refused)) throw error;
  },
};

// ---------------------------------------------------------------- addresses: #/objects?state=held, #/objects/NS/NAME?kind=ScaledJob, #/overview
// The list is what people come for first: the other pages are loaded when it is there, or when they are asked for.
const object = () => import('/assets/dashboard_object.js'), overview = () => import('/assets/dashboard_overview.js');
let page = null, shown = '', turn = 0;
function parse(hash) {
  const [path, search] = hash.replace(/^#/, '').split('?');
  return {parts: path.split('/').filter(Boolean).map(decodeURIComponent), params: new URLSearchParams(search || '')};
}
function pageFor({parts, params}) {
  if (parts[0] === 'overview') return ['overview', overview, module => module.show(main, app)];
  if (parts[0] === 'objects' && parts.length === 3) {
    return [`objects/${parts.join('/')}?${params.get('kind') || ''}`, object, module => module.show(main, {namespace: parts[1], name: parts[2], kind: params.get('kind') || undefined}, params, app)];
  }
  return ['objects', () => list, module => module.show(main, params, app)];
}
function leave() {
  if (page) page.end();
  if (stream) stream.close();
  page = stream = null;
  main.replaceChildren();
}
async function route() {
  let asked;
  try { asked = parse(location.hash); } catch { asked = {parts: [], params: new URLSearchParams()}; }
  const [name, load, show] = pageFor(asked);
  for (const a of document.querySelectorAll('[data-page]')) {
    if (a.dataset.page === name.split('/')[0]) a.setAttribute('aria-current', 'page');
    else a.removeAttribute('aria-current');
  }
  if (page && name === shown && page.again) { page.again(asked.params); return; }
  const first = !page, mine = ++turn;
  leave();
  shown = name;
  scrollTo(0, 0);
  try {
    const module = await load();
    if (mine !== turn) return; // somebody is elsewhere already
    page = show(module);
  } catch (error) {
    main.replaceChildren(notice(`This page could not be loaded: ${error.message}`, 'bad'));
  }
  if (!first) main.focus({preventScroll: true});
}

// ---------------------------------------------------------------- login
function askToLogin() {
  if ($('login')) return;
  leave();
  turn++;
  shown = '';
  const token = make('input', {type: 'password', id: 'token', autocomplete: 'current-password', required: true, spellcheck: false});
  const said = make('p', {class: 'notice bad', role: 'alert', hidden: true});
  const form = make('form', {id: 'login', class: 'card login'}, make('h1', {}, 'Who is asking?'),
    make('p', {class: 'dim'}, 'This Weir answers only those it knows. Give a token of its --token-file, or of an account of your cluster (kubectl create token NAME).'),
    make('input', {type: 'text', autocomplete: 'username', value: 'weir', hidden: true, 'aria-hidden': 'true'}), make('label', {htmlFor: 'token'}, 'Token'), token, make('button', {type: 'submit', class: 'primary'}, 'Log in'), said);
  form.addEventListener('submit', async event => {
    event.preventDefault();
    try {
      await login(token.value.trim());
      form.remove();
      start();
    } catch (error) {
      said.hidden = false;
      said.textContent = error.message;
      token.select();
    }
  });
  main.append(form);
  wasLive = null;
  setLive(false, 'not logged in');
  token.focus();
}
document.addEventListener('weir:login', askToLogin);

// ---------------------------------------------------------------- day and night
const THEMES = {'': 'Auto', light: 'Light', dark: 'Dark'};
function setTheme(theme) {
  if (theme) document.documentElement.dataset.theme = theme;
  else delete document.documentElement.dataset.theme;
  $('theme').textContent = THEMES[theme];
  $('theme').setAttribute('aria-label', `Colours: ${THEMES[theme]}. Change`);
  if (page && page.redraw) page.redraw();
}
const theme = () => document.documentElement.dataset.theme || '';
$('theme').addEventListener('click', () => {
  const names = Object.keys(THEMES), next = names[(names.indexOf(theme()) + 1) % names.length];
  try { localStorage.setItem('weir-theme', next); } catch { /* not kept */ }
  setTheme(next);
  say(`Colours: ${THEMES[next]}`);
});
matchMedia('(prefers-color-scheme: dark)').addEventListener('change', () => setTheme(theme()));

// ---------------------------------------------------------------- keys
document.addEventListener('keydown', event => {
  if (event.ctrlKey || event.metaKey || event.altKey) return;
  const typing = event.target.matches('input:not([type=checkbox]), textarea, select');
  if (event.key === 'Escape' && typing) { event.target.blur(); return; }
  if (typing && !(event.target.id === 'search' && event.key === 'ArrowDown')) return;
  if (event.key === '/') {
    event.preventDefault();
    if ($('search')) $('search').focus();
    else { location.hash = '#/objects'; setTimeout(() => $('search') && $('search').focus(), 50); }
  } else if (event.key === 'u' && shown !== 'objects') location.hash = list.address();
  else if (page && page.key && page.key(event.key)) event.preventDefault();
});

// ---------------------------------------------------------------- start
async function start() {
  setTheme(theme());
  await route();
  try {
    app.session = await get('session');
    const known = app.session.user && app.session.user !== 'owner';
    $('who').replaceChildren(...(known ? [app.session.user, make('button', {type: 'button', class: 'quiet', on: () => logout().then(() => location.reload())}, 'Log out')] : []));
    $('version').textContent = `Weir ${app.session.version}${app.session.platform ? `, ${app.session.platform === 'local' ? 'this machine' : 'Kubernetes'}` : ''}`;
    if (page && page.session) page.session();
  } catch (error) {
    if (error.status !== 401) setLive(false);
  }
}
addEventListener('hashchange', route);
setInterval(tick, 1000);
start().then(() => { object(); overview(); });
