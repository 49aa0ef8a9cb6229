/** One job in a list: a line, and when it is opened what it found, its error and the end of its log. */
import { TranslationBundle } from '@jupyterlab/translation';
import { copyIcon, linkIcon, stopIcon } from '@jupyterlab/ui-components';

import { button, make, mark, order, write } from './dom';
import { Details, Job, clean, ended, isSick, standing, title } from './schema';

const SHAPES = { queued: '○', running: '●', preempted: '◌', succeeded: '✓', failed: '✕', cancelled: '–' };
const LOG_EVERY_MS = 2000;

/** What rows can do; each is a command too. */
export interface Actions {
  trans: TranslationBundle;
  cancel(id: string): void;
  mlflow(id: string): void;
  copy(id: string): void;
  details(id: string): Promise<Details>;
  log(id: string): Promise<string[]>;
  /** What of a row lies open is asked for when the page comes back. */
  isShown(): boolean;
}

export class Row {
  readonly node: HTMLLIElement;
  private _head: HTMLButtonElement;
  private _shape = make('span', { class: 'mlaas-shape', 'aria-hidden': 'true' });
  private _name = make('span', { class: 'mlaas-name' });
  private _what = make('span', { class: 'mlaas-what' });
  private _line = make('span', { class: 'mlaas-line' });
  private _bar = make('div', { class: 'mlaas-bar', role: 'progressbar', 'aria-valuemin': '0' }, make('div'));
  private _error = make('pre', { class: 'mlaas-error' });
  private _found = make('div', { class: 'mlaas-found' });
  private _log = make('pre', { class: 'mlaas-log', tabindex: '0', role: 'log', 'aria-live': 'off' });
  private _more: HTMLDivElement;
  private _cancel: HTMLButtonElement;
  private _mlflow: HTMLButtonElement;
  private _timer = 0;
  private _asked = '';

  constructor(
    private _job: Job,
    private _does: Actions
  ) {
    const { trans } = _does;
    const id = _job.id;
    this._cancel = button(trans.__('Cancel: %mlaas cancel %1', id), stopIcon, () => _does.cancel(id));
    this._mlflow = button(trans.__('Open in MLflow'), linkIcon, () => _does.mlflow(id));
    const copy = button(trans.__('Copy as code'), copyIcon, () => _does.copy(id));
    this._more = make('div', { class: 'mlaas-more', id: `mlaas-more-${Row._n++}` }, this._error, this._found, this._log);
    this._head = make(
      'button',
      { type: 'button', class: 'mlaas-head', 'aria-controls': this._more.id },
      this._shape,
      make('span', { class: 'mlaas-both' }, make('span', { class: 'mlaas-top' }, this._name, this._what), this._line)
    );
    this._head.addEventListener('click', () => this.open(!this.isOpen));
    this._log.setAttribute('aria-label', trans.__('Last lines of its log'));
    const does = make('span', { class: 'mlaas-does' }, this._cancel, this._mlflow, copy);
    this.node = make('li', { class: 'mlaas-Row', 'data-job': id }, make('div', { class: 'mlaas-both-ends' }, this._head, does));
    this.node.append(this._bar, this._more);
    this.open(false);
    this.update(_job);
  }

  get isOpen(): boolean {
    return !this._more.hidden;
  }

  open(open: boolean): void {
    this._more.hidden = !open;
    mark(this._head, 'aria-expanded', String(open));
    clearTimeout(this._timer);
    if (open) void this._read();
  }

  focus(): void {
    this._head.scrollIntoView({ block: 'nearest' });
    this._head.focus();
  }

  update(job: Job): void {
    this._job = job;
    mark(this.node, 'data-state', job.silent ? 'silent' : isSick(job) ? 'sick' : job.state);
    write(this._shape, SHAPES[job.state]);
    write(this._name, title(job));
    write(this._what, `${clean(job.task)} · ${job.id}`);
    write(this._line, standing(job));
    this._head.title = [title(job), standing(job), job.error ? clean(job.error) : ''].filter(Boolean).join('\n');
    this._cancel.hidden = ended(job) || job.cancel_requested;
    this._mlflow.hidden = job.run_id === null;
    const progress = job.state === 'running' && !job.ready && !isSick(job) ? job.progress : null;
    this._bar.hidden = progress === null;
    if (progress !== null) {
      const share = progress.total ? Math.min(1, progress.n / progress.total) : null;
      mark(this._bar, 'aria-valuemax', progress.total ? String(progress.total) : null);
      mark(this._bar, 'aria-valuenow', progress.total ? String(progress.n) : null);
      mark(this._bar, 'aria-label', this._does.trans.__('Progress of %1', title(job)));
      this._bar.classList.toggle('mlaas-unknown', share === null);
      (this._bar.firstChild as HTMLElement).style.width = share === null ? '' : `${100 * share}%`;
    }
    this._error.hidden = !job.error;
    write(this._error, clean(job.error ?? ''));
    if (this.isOpen && this._asked !== this._key && this._does.isShown()) void this._read();
  }

  private get _key(): string {
    return `${this._job.attempt} ${this._job.state}`;
  }

  /** The log, again and again while the job lives and somebody looks; what it found once it has ended. */
  private async _read(): Promise<void> {
    clearTimeout(this._timer);
    const asked = (this._asked = this._key);
    try {
      const lines = await this._does.log(this._job.id);
      const atEnd = this._log.scrollTop + this._log.clientHeight >= this._log.scrollHeight - 4;
      write(this._log, clean(lines.join('\n')) || this._does.trans.__('(nothing yet)'));
      if (atEnd) this._log.scrollTop = this._log.scrollHeight;
      if (ended(this._job)) {
        order(this._found, findings(await this._does.details(this._job.id), this._does.trans));
      }
    } catch (error) {
      write(this._log, (error as Error).message);
    }
    if (this.isOpen && this._asked === asked && !ended(this._job)) {
      clearTimeout(this._timer);
      this._timer = window.setTimeout(() => this._does.isShown() && void this._read(), LOG_EVERY_MS);
    }
  }

  private static _n = 0;
}

function figure(value: number | null): string {
  return value === null ? '–' : value.toLocaleString('en', { maximumSignificantDigits: 3 });
}

/** Scores and verdicts of an evaluation, as small as a sidebar wants them. */
function findings(details: Details, trans: TranslationBundle): HTMLElement[] {
  const found: HTMLElement[] = [];
  if (details.summary.length) {
    const row = (cell: 'th' | 'td', ...texts: string[]) => make('tr', {}, ...texts.map(text => make(cell, {}, clean(text))));
    const rows = details.summary.slice(0, 30).map(one => {
      const within = one.ci_low === null ? '' : ` (${figure(one.ci_low)}–${figure(one.ci_high)})`;
      return row('td', one.target, one.metric, figure(one.mean) + within, String(one.n));
    });
    const head = row('th', trans.__('Target'), trans.__('Metric'), trans.__('Mean (95 %)'), 'n');
    found.push(make('table', { 'aria-label': trans.__('Scores') }, make('thead', {}, head), make('tbody', {}, ...rows)));
  }
  details.verdicts.slice(0, 12).forEach(one => {
    const better = { a_better: one.a, b_better: one.b }[one.verdict];
    const why = one.reason ? ` (${one.reason})` : '';
    const said = better ? trans.__('%1 is better', better) : one.verdict;
    found.push(make('p', {}, clean(`${one.metric}, ${one.a} – ${one.b}: ${said}${why}, n = ${one.n}`)));
  });
  return found;
}
