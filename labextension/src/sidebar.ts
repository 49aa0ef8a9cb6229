/** The sidebar: jobs, endpoints, evaluations, money. It draws what `watch` knows and decides nothing. */
import { Message } from '@lumino/messaging';
import { TranslationBundle } from '@jupyterlab/translation';
import { copyIcon, stopIcon } from '@jupyterlab/ui-components';
import { Widget } from '@lumino/widgets';

import { button, make, mark, order, write } from './dom';
import { Actions, Row } from './row';
import { Endpoint, Job, clean, title, usd } from './schema';
import { Watch } from './watch';

const SECTIONS = ['Jobs', 'Endpoints', 'Evaluations', 'Spend'] as const;
const JUDGED = new Set(['eval', 'load']);
const TICK_MS = 5000;

type Name = (typeof SECTIONS)[number];

/** What is kept from one day to the next. */
export type Memory = { closed: string[] };

type Parts = { [name in 'toggle' | 'more']: HTMLButtonElement } & { [name in 'count' | 'list' | 'empty']: HTMLElement };
type Section = Parts & { rows: Map<string, Row>; shown: number };

export class Sidebar extends Widget {
  /** How many jobs a list begins with. */
  first = 50;
  private _sections = {} as Record<Name, Section>;
  private _filter: HTMLInputElement;
  private _notice = make('div', { class: 'mlaas-notice', role: 'status' });
  private _retry: HTMLButtonElement;
  private _frame = 0;

  constructor(
    private _watch: Watch,
    private _does: Actions & { ask(endpoint: Endpoint): void; remember(memory: Memory): void }
  ) {
    super();
    const { trans } = _does;
    this.id = 'mlaas-lab';
    this.addClass('mlaas-Side');
    this.addClass('jp-ThemedContainer');
    this.node.setAttribute('role', 'region');
    this.node.setAttribute('aria-label', trans.__('Jobs, endpoints, evaluations and spend'));
    // Letters typed here are for here, not for the notebook.
    this.node.dataset.lmSuppressShortcuts = 'true';
    const hint = trans.__('Filter by name, task, state or id');
    this._filter = make('input', { type: 'search', class: 'mlaas-filter', placeholder: trans.__('Filter'), 'aria-label': hint });
    this._filter.addEventListener('input', () => this.draw());
    this._retry = button(trans.__('Try now'), null, () => _watch.connect(true));
    this.node.append(make('div', { class: 'mlaas-tools' }, this._filter), this._notice);
    SECTIONS.forEach(name => this.node.append(this._section(name, trans)));
    _watch.changed.connect(() => this._soon());
    window.setInterval(() => this._soon(), TICK_MS);
  }

  /** Which sections the user closed. */
  recall(memory: Memory): void {
    SECTIONS.forEach(name => this._toggle(name, !memory.closed.includes(name)));
  }

  /** A job with all there is to it, wherever the list was. */
  reveal(id: string): void {
    this._filter.value = '';
    this._toggle('Jobs', true);
    const { rows } = this._sections.Jobs;
    this._sections.Jobs.shown = Infinity;
    this.draw();
    rows.get(id)?.open(true);
    rows.get(id)?.focus();
  }

  protected onAfterShow(message: Message): void {
    super.onAfterShow(message);
    this.draw();
  }

  draw(): void {
    const jobs = this._watch.newest();
    const { trans } = this._does;
    const words = this._filter.value.toLowerCase().split(/\s+/);
    const fits = (job: Job) => {
      const text = `${title(job)} ${job.task} ${job.state} ${job.id}`.toLowerCase();
      return words.every(word => text.includes(word));
    };
    const fitting = jobs.filter(fits);
    const none = words[0] ? trans.__('No job fits the filter.') : trans.__('No jobs yet. A cell starts one: %mlaas finetune');
    this._jobs('Jobs', fitting, none);
    this._jobs('Evaluations', fitting.filter(job => JUDGED.has(job.task)), trans.__('None yet: %mlaas eval'));
    this._endpoints(this._watch.endpoints);
    this._spend(jobs);
    this._say();
  }

  /** Changes come in bursts; one frame draws them all, and none while nobody sees it. */
  private _soon(): void {
    if (this.isVisible && !this._frame) {
      this._frame = requestAnimationFrame(() => {
        this._frame = 0;
        this.draw();
      });
    }
  }

  private _section(name: Name, trans: TranslationBundle): HTMLElement {
    const count = make('span', { class: 'mlaas-count' });
    const list = make('ul', { class: 'mlaas-list', id: `mlaas-list-${name}`, 'aria-label': trans.__(name) });
    const toggle = make('button', { type: 'button', 'aria-controls': list.id }, make('span', {}, trans.__(name)), count);
    const more = button(trans.__('Show more'), null, () => {
      this._sections[name].shown += 4 * this.first;
      this.draw();
    });
    more.hidden = true;
    const empty = make('p', { class: 'mlaas-empty' });
    this._sections[name] = { toggle, count, list, empty, more, rows: new Map(), shown: 0 };
    toggle.addEventListener('click', () => {
      this._toggle(name, toggle.getAttribute('aria-expanded') !== 'true');
      this._does.remember({ closed: SECTIONS.filter(one => this._sections[one].toggle.getAttribute('aria-expanded') !== 'true') });
    });
    const section = make('section', { class: 'mlaas-Section' }, make('h3', {}, toggle), list, empty, more);
    this._toggle(name, true);
    return section;
  }

  private _toggle(name: Name, open: boolean): void {
    const { toggle, list } = this._sections[name];
    mark(toggle, 'aria-expanded', String(open));
    list.parentElement?.classList.toggle('mlaas-closed', !open);
  }

  private _jobs(name: Name, jobs: Job[], none: string): void {
    const { rows, list, more, count, empty, shown } = this._sections[name];
    const most = Math.max(shown, this.first);
    const seen = jobs.slice(0, most);
    const ids = new Set(seen.map(job => job.id));
    [...rows].filter(([id]) => !ids.has(id)).forEach(([id, row]) => (row.open(false), rows.delete(id)));
    const nodes = seen.map(job => {
      const row = rows.get(job.id) ?? new Row(job, this._does);
      rows.set(job.id, row);
      row.update(job);
      return row.node;
    });
    order(list, nodes);
    write(count, jobs.length ? String(jobs.length) : '');
    write(empty, none);
    empty.hidden = jobs.length > 0;
    more.hidden = jobs.length <= most;
  }

  private _endpoints(endpoints: Endpoint[]): void {
    const { trans } = this._does;
    const { list, count, empty } = this._sections.Endpoints;
    // What a server does changes all the time, and would take the focus from the buttons of its rows.
    const key = JSON.stringify(endpoints.map(one => ({ ...one, work: null, doing: '' })));
    if (list.dataset.key !== key) {
      list.dataset.key = key;
      order(list, endpoints.map(one => this._endpoint(one, trans)));
    }
    endpoints.forEach((one, i) => {
      const line = list.children[i].querySelector<HTMLElement>('.mlaas-line')!;
      write(line, clean(one.doing));
      mark(line, 'title', line.textContent);
    });
    write(count, endpoints.length ? String(endpoints.length) : '');
    write(empty, trans.__('None runs. A cell starts one: %mlaas serve'));
    empty.hidden = endpoints.length > 0;
  }

  private _endpoint(one: Endpoint, trans: TranslationBundle): HTMLElement {
    const stop = button(trans.__('Stop: %mlaas cancel %1', one.job_id), stopIcon, () => this._does.cancel(one.job_id));
    const copy = button(trans.__('Copy as code'), copyIcon, () => this._does.ask(one));
    const top = make('span', { class: 'mlaas-top' }, make('span', { class: 'mlaas-name' }, clean(one.name)));
    top.append(make('span', { class: 'mlaas-what' }, clean(`${one.engine} · ${one.source}`)));
    const shape = make('span', { class: 'mlaas-shape', 'aria-hidden': 'true' }, one.ready ? '●' : '○');
    const head = make('div', { class: 'mlaas-head' }, shape, make('span', { class: 'mlaas-both' }, top, make('span', { class: 'mlaas-line' })));
    const both = make('div', { class: 'mlaas-both-ends' }, head, make('span', { class: 'mlaas-does' }, stop, copy));
    return make('li', { class: 'mlaas-Row', 'data-state': one.ready ? 'succeeded' : one.state === 'sick' ? 'sick' : 'running' }, both);
  }

  private _spend(jobs: Job[]): void {
    const { trans } = this._does;
    const { list, count, empty } = this._sections.Spend;
    const { today_usd, held_usd, cap_usd, at_least } = this._watch.spend;
    const facts: [string, string][] = [
      [trans.__('Today (UTC)'), (at_least ? trans.__('at least ') : '') + usd(today_usd)],
      [trans.__('Held for calls in flight'), usd(held_usd)],
      [trans.__('Cap of a day'), cap_usd === null ? trans.__('none set') : usd(cap_usd)]
    ];
    const spent = jobs.filter(job => job.progress?.spent_usd).slice(0, 5);
    const said = (job: Job) => `${usd(job.progress!.spent_usd)}${job.progress!.cap_usd === null ? '' : ` of ${usd(job.progress!.cap_usd)}`}`;
    const all = [...facts, ...spent.map((job): [string, string] => [title(job), said(job)])];
    const key = JSON.stringify(all);
    if (list.dataset.key !== key) {
      list.dataset.key = key;
      order(list, all.map(([name, value]) => make('li', { class: 'mlaas-fact' }, make('span', {}, name), make('span', {}, value))));
    }
    write(count, today_usd === null ? '' : usd(today_usd));
    write(empty, trans.__('By vendor and target: %mlaas cost'));
  }

  /** What is wrong with the line, and what mends it. */
  private _say(): void {
    const { trans } = this._does;
    const { line, problem } = this._watch;
    const said = {
      new: trans.__('Connecting …'),
      live: '',
      lost: trans.__('The Jupyter server does not answer; jobs go on. It is tried again by itself.'),
      absent: trans.__(
        'The server part of mlaas_lab is not here, so nothing can be shown. In the environment that runs JupyterLab: pip install mlaas_lab, then restart it. Cells work without it: %mlaas jobs'
      ),
      sick: `${clean(problem?.message ?? '')} ${clean(problem?.next ?? '')}`
    }[line];
    this._notice.hidden = line === 'live';
    mark(this._notice, 'data-line', line);
    if (this._notice.dataset.said !== said) {
      this._notice.dataset.said = said;
      this._notice.replaceChildren(make('span', {}, said), ...(line === 'new' ? [] : [this._retry]));
    }
  }
}
