"""The store's schema, as a list one only adds to; the number of entries that ran is the file's `user_version`."""

from collections.abc import Callable
from sqlite3 import Connection

Migration = Callable[[Connection], None]
MIGRATIONS: list[Migration] = []


@MIGRATIONS.append
def jobs(db: Connection) -> None:
    """One row per job; `state` is rebuilt from `events` and must equal it."""
    db.execute(
        """create table jobs (
            id text primary key, task text not null, name text not null, spec text not null, spec_hash text not null,
            state text not null, attempt integer not null, executor text not null, folder text not null,
            created_at real not null, started_at real, ended_at real, progress text, ready integer not null default 0,
            handle text not null default '{}', run_id text, error text, cancel_requested integer not null default 0
        ) strict"""
    )
    db.execute("create index jobs_by_hash on jobs (spec_hash, created_at)")
    db.execute("create index jobs_by_name on jobs (name, created_at)")
    db.execute("create index jobs_by_state on jobs (state)")
    db.execute("create index jobs_by_age on jobs (created_at)")


@MIGRATIONS.append
def events(db: Connection) -> None:
    """What happened to each job, in the order of `seq`; the clock in `at` is for people."""
    db.execute(
        """create table events (
            seq integer primary key autoincrement, job_id text not null references jobs (id), attempt integer not null,
            at real not null, state text not null, why text
        ) strict"""
    )
    db.execute("create index events_by_job on events (job_id, seq)")


@MIGRATIONS.append
def endpoints(db: Connection) -> None:
    """Servers that a job announced; they exist for as long as the job runs."""
    db.execute(
        """create table endpoints (
            job_id text not null references jobs (id), name text not null, base_url text not null, model text not null,
            engine text not null, source text not null, ready integer not null, primary key (job_id, name)
        ) strict"""
    )
    db.execute("create index endpoints_by_name on endpoints (name)")


@MIGRATIONS.append
def attempts(db: Connection) -> None:
    """What lets a job go on after its supervisor died, and wait for its turn."""
    db.execute("alter table jobs add column beat integer not null default 0")
    db.execute("alter table jobs add column waiting text")
    db.execute("alter table jobs add column requeues integer not null default 0")
    # Jobs are listed by when they were added, which is the order of rowid, since a clock may be set back.
    db.execute("drop index jobs_by_age")


@MIGRATIONS.append
def leases(db: Connection) -> None:
    """Parts of this machine that jobs hold, and who waits for some; `seq` is the order of arrival."""
    db.execute(
        """create table leases (
            job_id text not null references jobs (id), resource text not null, amount integer not null,
            primary key (job_id, resource)
        ) strict"""
    )
    db.execute(
        """create table queue (
            seq integer primary key autoincrement, job_id text not null unique references jobs (id),
            needs text not null, priority integer not null
        ) strict"""
    )


@MIGRATIONS.append
def health(db: Connection) -> None:
    """How a server is doing; null where nobody looks after it."""
    db.execute("alter table endpoints add column state text")


@MIGRATIONS.append
def endpoint_facts(db: Connection) -> None:
    """How a server compares with what was trained, as JSON, and its first tokens; null where nobody knows."""
    db.execute("alter table endpoints add column parity text")
    db.execute("alter table endpoints add column cold_first_token_s real")
    db.execute("alter table endpoints add column warm_first_token_s real")


@MIGRATIONS.append
def claims(db: Connection) -> None:
    """Names that no other job may answer to, as JSON, and what a server was last seen to do."""
    db.execute("alter table jobs add column claims text")
    db.execute(
        "update jobs set claims=(select json_group_array(e.name) from endpoints e where e.job_id=jobs.id)"
        " where task='serve' and state='running'"
    )
    db.execute("alter table endpoints add column work text")
