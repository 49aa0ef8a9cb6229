/** mlaas_lab in JupyterLab and Notebook 7. Everything it may lean on is optional; what it does are commands. */
import { ILayoutRestorer, JupyterFrontEnd, JupyterFrontEndPlugin } from '@jupyterlab/application';
import { Clipboard, ICommandPalette, InputDialog, Notification } from '@jupyterlab/apputils';
import { ILauncher } from '@jupyterlab/launcher';
import { IRunningSessionManagers } from '@jupyterlab/running';
import { ISettingRegistry } from '@jupyterlab/settingregistry';
import { IStateDB } from '@jupyterlab/statedb';
import { IStatusBar } from '@jupyterlab/statusbar';
import { ITranslator, TranslationBundle, nullTranslator } from '@jupyterlab/translation';
import { LabIcon } from '@jupyterlab/ui-components';
import { Signal } from '@lumino/signaling';
import { Widget } from '@lumino/widgets';

import { button, make, write } from './dom';
import { Endpoint, Job, clean, ended, standing, title, usd } from './schema';
import { Memory, Sidebar } from './sidebar';
import { Watch } from './watch';

const ID = 'mlaas_lab:plugin';
const CATEGORY = 'mlaas_lab';
/** A curve that falls: what a fine-tune is watched for. */
const SVG =
  '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 24 24" width="16"><path class="jp-icon3" fill="#616161" d="M3 3h2v16h16v2H3z"/>' +
  '<path class="jp-icon3" fill="#616161" d="M7 5c1 7 4 10 13 10.500v2C9.500 17 6 13 5 5.300z"/><circle class="jp-icon3" fill="#616161" cx="19" cy="8" r="2.200"/></svg>';
export const labIcon = new LabIcon({ name: 'mlaas_lab:icon', svgstr: SVG });

const plugin: JupyterFrontEndPlugin<void> = {
  id: ID,
  description: 'Jobs, endpoints, evaluations and spend of mlaas_lab.',
  autoStart: true,
  optional: [
    ILayoutRestorer, ICommandPalette, ILauncher, IRunningSessionManagers, IStatusBar, ISettingRegistry, IStateDB, ITranslator
  ],
  activate: (
    app: JupyterFrontEnd, restorer: ILayoutRestorer | null, palette: ICommandPalette | null, launcher: ILauncher | null,
    running: IRunningSessionManagers | null, bar: IStatusBar | null, settings: ISettingRegistry | null,
    state: IStateDB | null, translator: ITranslator | null
  ): void => {
    const trans = (translator ?? nullTranslator).load('mlaas_lab');
    const watch = new Watch(app.serviceManager.serverSettings);
    const run = (command: string) => (id: string) => void app.commands.execute(command, { id });
    const does = {
      trans, cancel: run('mlaas:cancel'), mlflow: run('mlaas:mlflow'), copy: run('mlaas:copy'),
      ask: (one: Endpoint) => copied(`%mlaas ask "Hello" --targets ${one.name}`, trans),
      details: (id: string) => watch.details(id),
      log: (id: string) => watch.log(id),
      isShown: () => sidebar.isVisible && !document.hidden,
      remember: (memory: Memory) => void state?.save(ID, { ...memory })
    };
    const sidebar: Sidebar = new Sidebar(watch, does);
    sidebar.title.icon = labIcon;
    sidebar.title.caption = trans.__('Jobs, endpoints and spend');
    app.shell.add(sidebar, 'left', { rank: 250 });
    restorer?.add(sidebar, sidebar.id);
    void state?.fetch(ID).then(memory => memory && sidebar.recall(memory as unknown as Memory));

    const names = addCommands(app, watch, sidebar, trans);
    names.forEach(command => palette?.addItem({ command, category: CATEGORY }));
    launcher?.add({ command: 'mlaas:show', category: trans.__('Other'), rank: 10 });
    addRunning(running, app, watch, trans);
    const item = addStatus(bar, app, watch, trans);

    const wishes = { notify: 'all' };
    watch.finished.connect((_, job) => tellEnd(job, wishes.notify, run('mlaas:logs'), trans));
    watch.exhausted.connect((_, job) => {
      const who = job === null ? trans.__('All jobs of today') : title(job);
      wishes.notify !== 'none' && Notification.warning(trans.__('%1: the budget is spent.', who), { autoClose: false });
    });
    const read = (given: ISettingRegistry.ISettings) => {
      wishes.notify = given.get('notifications').composite as string;
      sidebar.first = given.get('jobsShown').composite as number;
      item.setHidden(!(given.get('statusBar').composite as boolean));
      watch.changed.emit();
    };
    void settings?.load(ID).then(
      given => (given.changed.connect(read), read(given)),
      reason => console.warn('mlaas_lab: settings', reason)
    );
    void app.restored.then(() => watch.connect());
  }
};
export default plugin;

function addCommands(app: JupyterFrontEnd, watch: Watch, sidebar: Sidebar, trans: TranslationBundle): string[] {
  const { commands } = app;
  /** The job that is meant: by the id of a button, else somebody picks one. */
  const meant = async (id: unknown, which: (job: Job) => boolean): Promise<Job | null> => {
    const named = watch.jobs.get(String(id ?? ''));
    const jobs = watch.newest().filter(which);
    if (named || !jobs.length) {
      named || Notification.info(trans.__('There is no such job.'), { autoClose: 5000 });
      return named ?? null;
    }
    const items = jobs.map(job => `${title(job)} · ${job.id} · ${standing(job)}`);
    const picked = await InputDialog.getItem({ title: trans.__('Which job?'), items });
    return picked.button.accept && picked.value !== null ? jobs[items.indexOf(picked.value)] : null;
  };
  const guarded = (act: (args: { id?: unknown }) => Promise<void>) => async (args: object) =>
    act(args).catch((error: Error) => void Notification.error(clean(error.message), { autoClose: false }));
  const add = (name: string, label: string, act: (args: { id?: unknown }) => Promise<void>) =>
    commands.addCommand(name, { label, icon: name === 'mlaas:show' ? labIcon : undefined, execute: guarded(act) });

  add('mlaas:show', trans.__('Jobs, endpoints and spend'), async () => app.shell.activateById(sidebar.id));
  add('mlaas:cancel', trans.__('Cancel a job'), async ({ id }) => {
    const job = await meant(id, one => !ended(one) && !one.cancel_requested);
    await (job && watch.cancel(job.id));
  });
  add('mlaas:logs', trans.__('Show the log of a job'), async ({ id }) => {
    const job = await meant(id, () => true);
    if (job) {
      app.shell.activateById(sidebar.id);
      sidebar.reveal(job.id);
    }
  });
  add('mlaas:mlflow', trans.__('Open a job in MLflow'), async ({ id }) => {
    const job = await meant(id, one => one.run_id !== null);
    const base = watch.about?.mlflow_url;
    if (job && !base) {
      throw new Error(trans.__("Where MLflow's pages are is not known. Start `mlflow server` and set MLAAS_MLFLOW_UI_URL to its address."));
    }
    job && window.open(`${base}#/runs/${encodeURIComponent(job.run_id ?? '')}`, '_blank', 'noopener');
  });
  add('mlaas:copy', trans.__('Copy a job as code'), async ({ id }) => {
    const job = await meant(id, () => true);
    job && copied((await watch.details(job.id)).code, trans);
  });
  return ['mlaas:show', 'mlaas:cancel', 'mlaas:logs', 'mlaas:mlflow', 'mlaas:copy'];
}

function copied(code: string, trans: TranslationBundle): void {
  Clipboard.copyToSystem(code);
  Notification.info(trans.__('Copied: %1', clean(code.split('\n')[0])), { autoClose: 2000 });
}

function addRunning(running: IRunningSessionManagers | null, app: JupyterFrontEnd, watch: Watch, trans: TranslationBundle): void {
  const changed = new Signal<object, void>({});
  let shown = '';
  const item = (job: Job) => ({
    open: () => void app.commands.execute('mlaas:logs', { id: job.id }),
    shutdown: () => void app.commands.execute('mlaas:cancel', { id: job.id }),
    icon: () => labIcon,
    label: () => `${title(job)} · ${clean(job.task)}`,
    detail: () => job.state
  });
  watch.changed.connect(() => {
    // The panel draws itself anew as a whole, so it hears of what it shows only.
    const before = shown;
    shown = watch.running().map(job => `${job.id} ${job.state}`).join();
    shown === before || changed.emit();
  });
  running?.add({
    name: trans.__('Jobs and Endpoints'),
    running: () => watch.running().map(item),
    shutdownAll: () => watch.running().forEach(job => void watch.cancel(job.id)),
    refreshRunning: () => watch.connect(),
    runningChanged: changed,
    shutdownLabel: trans.__('Cancel'),
    shutdownAllLabel: trans.__('Cancel All'),
    shutdownAllConfirmationText: trans.__('Cancel every job and stop every endpoint?')
  });
}

function addStatus(bar: IStatusBar | null, app: JupyterFrontEnd, watch: Watch, trans: TranslationBundle): Widget {
  const node = button(trans.__('Jobs and spend'), labIcon, () => void app.commands.execute('mlaas:show'));
  const text = make('span');
  node.append(text);
  const item = new Widget({ node: make('div', { class: 'mlaas-Status' }, node) });
  const draw = () => {
    const n = watch.running().length;
    const { today_usd, cap_usd, at_least } = watch.spend;
    const of = cap_usd === null ? '' : ` / ${usd(cap_usd)}`;
    const unknown = watch.line !== 'live';
    write(text, unknown ? '–' : `${n} · ${at_least ? '≥ ' : ''}${usd(today_usd)}${of}`);
    const said = trans.__('%1 jobs run or wait; spent today: %2; cap: %3', n, usd(today_usd), cap_usd === null ? trans.__('none') : usd(cap_usd));
    node.title = unknown ? trans.__('Jobs: no line to the server') : said;
    node.setAttribute('aria-label', node.title);
  };
  watch.changed.connect(draw);
  draw();
  bar?.registerStatusItem('mlaas_lab:status', { item, align: 'left', rank: 90 });
  return item;
}

function tellEnd(job: Job, wish: string, show: (id: string) => void, trans: TranslationBundle): void {
  const failed = job.state === 'failed';
  if (wish === 'none' || (wish === 'failures' && !failed)) return;
  const actions = [{ label: trans.__('Log'), callback: () => show(job.id) }];
  const why = failed && job.error ? `: ${clean(job.error).split('\n')[0].slice(0, 200)}` : '';
  Notification.emit(`${title(job)} ${job.state}${why}`, failed ? 'error' : job.state === 'succeeded' ? 'success' : 'info', { actions, autoClose: failed ? false : 8000 });
}
