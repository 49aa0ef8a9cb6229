/**
 * What the page knows of the store, and the line it comes by. A line that is lost comes back by itself and says how
 * far the page had come, so that nothing is missed; a page that nobody looks at hangs up.
 */
import { PageConfig, URLExt } from '@jupyterlab/coreutils';
import { ServerConnection } from '@jupyterlab/services';
import { Signal } from '@lumino/signaling';

import { Details, Endpoint, Job, Problem, Spend, ended } from './schema';

type About = { version: string; store: string; mlflow_url: string | null };
type Parts = { endpoints?: Endpoint[]; spend?: Spend; about?: About };
type News = Parts & { at: string; full: boolean; jobs: Job[]; gone: string[] };

const FIRST_MS = 500;
const LONGEST_MS = 15000;
const HIDDEN_MS = 30000;
const ROOT = 'mlaas_lab';
/** Of a budget: the last call seldom fits exactly. */
const SPENT = 0.99;

export class Watch {
  jobs = new Map<string, Job>();
  endpoints: Endpoint[] = [];
  spend: Spend = { today_usd: null, held_usd: null, cap_usd: null, at_least: false };
  about: About | null = null;
  /** `absent`: the server extension is not there; `sick`: it is, and the store cannot be read. */
  line: 'new' | 'live' | 'lost' | 'absent' | 'sick' = 'new';
  problem: Problem | null = null;
  /** Something is to be drawn anew. */
  readonly changed = new Signal<this, void>(this);
  /** A job that was alive has ended, maybe while the line was lost. */
  readonly finished = new Signal<this, Job>(this);
  /** A job or the day has spent what it may. */
  readonly exhausted = new Signal<this, Job | null>(this);

  constructor(private _settings: ServerConnection.ISettings) {
    document.addEventListener('visibilitychange', () => this._shown());
    window.addEventListener('online', () => this.connect());
  }

  /** Newest first. */
  newest(): Job[] {
    return [...this.jobs.values()].sort((a, b) => b.nr - a.nr);
  }

  running(): Job[] {
    return this.newest().filter(job => !ended(job));
  }

  /** Dial now, whatever was waited for; a line that is up stays, and nobody nags a server that lacks our part. */
  connect(asked = PageConfig.getOption('mlaasLab') !== ''): void {
    clearTimeout(this._timer);
    if (!asked) return this._now('absent');
    if (this._socket === null && !this._dialling) {
      this._dialling = true;
      void this._dial().finally(() => (this._dialling = false));
    }
  }

  details(id: string): Promise<Details> {
    return this._ask(`jobs/${encodeURIComponent(id)}`) as Promise<Details>;
  }

  async log(id: string): Promise<string[]> {
    return ((await this._ask(`jobs/${encodeURIComponent(id)}/log`)) as { lines: string[] }).lines;
  }

  async cancel(id: string): Promise<void> {
    await this._ask(`jobs/${encodeURIComponent(id)}/cancel`, { method: 'POST' });
  }

  private async _ask(path: string, init: RequestInit = {}): Promise<unknown> {
    const url = URLExt.join(this._settings.baseUrl, ROOT, path);
    const response = await ServerConnection.makeRequest(url, init, this._settings);
    if (response.ok) return response.json();
    const told = await response.json().catch(() => ({}));
    const problem: Problem = told.error ?? { message: told.message ?? response.statusText, next: null };
    throw Object.assign(new Error(`${problem.message} ${problem.next ?? ''}`.trim()), { status: response.status });
  }

  /** A websocket does not say why it was refused; a question does. */
  private async _dial(): Promise<void> {
    try {
      await this._ask('spend');
    } catch (error) {
      const status = (error as { status?: number }).status;
      // What the store's trouble is comes by the line itself.
      if (status !== 503) {
        return status === 404 ? this._now('absent') : (this._now('lost'), this._again());
      }
    }
    const words = new URLSearchParams(this._at ? { since: this._at } : {});
    if (this._settings.appendToken && this._settings.token) {
      words.set('token', this._settings.token);
    }
    const socket = new this._settings.WebSocket(URLExt.join(this._settings.wsUrl, ROOT, 'changes') + `?${words}`);
    this._socket = socket;
    socket.onmessage = event => this._heard(JSON.parse(event.data));
    socket.onclose = () => {
      this._socket = null;
      if (!document.hidden) {
        this._now('lost');
        this._again();
      }
    };
  }

  private _again(): void {
    const pause = this._pause * (0.75 + Math.random() / 2);
    this._pause = Math.min(LONGEST_MS, 2 * this._pause);
    clearTimeout(this._timer);
    this._timer = window.setTimeout(() => this.connect(true), pause);
  }

  private _shown(): void {
    clearTimeout(this._timer);
    if (document.hidden) {
      this._timer = window.setTimeout(() => this._socket?.close(), HIDDEN_MS);
    } else {
      this._pause = FIRST_MS;
      this.connect();
    }
  }

  private _now(line: Watch['line'], problem: Problem | null = null): void {
    if (this.line !== line || this.problem?.message !== problem?.message) {
      this.line = line;
      this.problem = problem;
      this.changed.emit();
    }
  }

  private _heard(news: News | { error: Problem }): void {
    this._pause = FIRST_MS;
    if ('error' in news) return this._now('sick', news.error);
    const before = this.jobs;
    this.jobs = new Map(news.full ? [] : before);
    news.jobs.forEach(job => this.jobs.set(job.id, job));
    news.gone.forEach(id => this.jobs.delete(id));
    this.endpoints = news.endpoints ?? this.endpoints;
    const spent = this.spend;
    this.spend = news.spend ?? this.spend;
    this.about = news.about ?? this.about;
    this._at = news.at;
    this.line = 'live';
    this.problem = null;
    this.changed.emit();
    news.jobs.forEach(job => this._compare(before.get(job.id), job));
    if (before.size && dayIsSpent(this.spend) && !dayIsSpent(spent)) {
      this.exhausted.emit(null);
    }
  }

  private _compare(before: Job | undefined, now: Job): void {
    if (before === undefined) return;
    if (ended(now) && !ended(before)) this.finished.emit(now);
    if (isSpent(now) && !isSpent(before)) this.exhausted.emit(now);
  }

  private _socket: WebSocket | null = null;
  private _dialling = false;
  private _at = '';
  private _pause = FIRST_MS;
  private _timer = 0;
}

function isSpent(job: Job): boolean {
  const { spent_usd, cap_usd } = job.progress ?? { spent_usd: null, cap_usd: null };
  return spent_usd !== null && cap_usd !== null && spent_usd >= SPENT * cap_usd;
}

export function dayIsSpent(spend: Spend): boolean {
  return spend.today_usd !== null && spend.cap_usd !== null && spend.today_usd + (spend.held_usd ?? 0) >= SPENT * spend.cap_usd;
}
