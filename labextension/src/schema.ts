/** What the server sends: rows of the store, and words for them. Unknown is null, never 0. */

export type Progress = {
  [name in 'rate' | 'total' | 'spent_usd' | 'cap_usd']: number | null;
} & { n: number; unit: string; phase: string };

export interface Job {
  id: string;
  /** The order in which jobs were added. */
  nr: number;
  task: string;
  name: string;
  state: 'queued' | 'running' | 'succeeded' | 'failed' | 'cancelled' | 'preempted';
  attempt: number;
  created_at: number;
  started_at: number | null;
  ended_at: number | null;
  progress: Progress | null;
  /** A service that answers. */
  ready: boolean;
  run_id: string | null;
  error: string | null;
  cancel_requested: boolean;
  waiting: string | null;
  silent: boolean;
}

export type Endpoint = { [name in 'name' | 'job_id' | 'base_url' | 'model' | 'engine' | 'source']: string } & {
  ready: boolean;
  state: string | null;
  /** What it and its server do now, in words. */
  doing: string;
};

/** Of today, which is a day of UTC. */
export type Spend = { [name in 'today_usd' | 'held_usd' | 'cap_usd']: number | null } & { at_least: boolean };

export type Problem = { message: string; next: string | null };

type Score = { [name in 'mean' | 'ci_low' | 'ci_high']: number | null } & { target: string; metric: string; n: number };
type Verdict = { [name in 'a' | 'b' | 'metric' | 'verdict']: string } & { n: number; reason: string | null };
export type Details = { code: string; summary: Score[]; verdicts: Verdict[] };

const ESCAPES = /\x1b(?:\][^\x07\x1b]*(?:\x07|\x1b\\)?|\[[0-?]*[ -/]*[@-~]|[@-Z\\-_])/g;
const CONTROLS = /[\u0000-\u0008\u000b-\u001f\u007f-\u009f\u00ad\u061c\u200b\u200e\u200f\u2028-\u202e\u2060-\u2069\ufeff\ufff9-\ufffb\ud800-\udfff\u{e0000}-\u{e007f}]/gu;

/** Text of jobs without what a terminal would obey or a reader be fooled by. */
export function clean(text: string): string {
  return text.replace(ESCAPES, '').replace(CONTROLS, '');
}

export function ended(job: Job): boolean {
  return job.state === 'succeeded' || job.state === 'failed' || job.state === 'cancelled';
}

/** A server that answers nobody, though its job goes on. */
export function isSick(job: Job): boolean {
  return job.state === 'running' && job.task === 'serve' && job.progress?.phase === 'sick';
}

export function title(job: Job): string {
  return clean(job.name) || job.task;
}

export function usd(value: number | null): string {
  if (value === null) return 'unknown';
  const digits = value === 0 || value >= 0.995 ? 2 : Math.min(6, 1 - Math.floor(Math.log10(value)));
  return `$${value.toFixed(digits)}`;
}

export function duration(seconds: number): string {
  const s = Math.max(0, Math.round(seconds));
  if (s < 60) return `${s} s`;
  return s < 3600 ? `${Math.floor(s / 60)} min ${s % 60} s` : `${Math.floor(s / 3600)} h ${Math.floor((s % 3600) / 60)} min`;
}

function ago(at: number): string {
  const s = Date.now() / 1000 - at;
  if (s < 90) return 'just now';
  if (s < 5400) return `${Math.round(s / 60)} min ago`;
  return s < 129600 ? `${Math.round(s / 3600)} h ago` : `${Math.round(s / 86400)} days ago`;
}

function speed(progress: Progress): string[] {
  if (!progress.rate) return [];
  const left = progress.total === null ? [] : [`${duration(Math.max(0, progress.total - progress.n) / progress.rate)} left`];
  return [`${progress.rate.toPrecision(3)} ${progress.unit}/s`, ...left];
}

/** How far a job is and what holds it, in one line. */
export function standing(job: Job): string {
  const took = job.started_at === null ? null : (job.ended_at ?? Date.now() / 1000) - job.started_at;
  if (ended(job)) {
    return [job.state, ...(took === null ? [] : [duration(took)]), ago(job.ended_at ?? job.created_at)].join(' · ');
  }
  if (job.cancel_requested) return 'stopping';
  if (job.silent) return 'no sign of life for 30 s';
  if (job.state === 'queued') return job.waiting === null ? 'queued' : clean(job.waiting);
  const progress = job.progress;
  if (job.ready || isSick(job)) return `${job.ready ? 'ready' : 'sick'} · ${duration(took ?? 0)}`;
  if (job.state === 'preempted' || progress === null) return job.state;
  const of = progress.total === null ? '' : `/${progress.total.toLocaleString('en')}`;
  const phase = progress.phase ? `${clean(progress.phase)}: ` : '';
  return [`${phase}${progress.n.toLocaleString('en')}${of} ${clean(progress.unit)}`, ...speed(progress)].join(' · ');
}
