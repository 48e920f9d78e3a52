-- Schedules by intervals too, with what is to be run and how. A row is what people have set; what runs is the entity of
-- that id, which is told of every revision.

alter table schedules
  alter column cron drop not null,
  add column every integer,
  add column unit text check (unit in ('minutes', 'hours', 'days')),
  add column anchor_at timestamptz,
  add column params jsonb not null default '{}',
  -- Without a runner and without this it is nobody's: its runner was deleted.
  add column runs_as_owner boolean not null default false,
  add column missed text not null default 'once' check (missed in ('once', 'all', 'skip')),
  add column overlap text not null default 'skip' check (overlap in ('skip', 'queue-one', 'allow')),
  add column revision integer not null default 1,
  -- The newest revision that the entity has taken.
  add column applied_revision integer not null default 0,
  -- Ticks after this time count, by the clock of the node that has taken the change.
  add column since_at timestamptz not null default now(),
  add constraint schedules_times check (
    (cron is not null and every is null and unit is null and anchor_at is null)
    or (cron is null and every is not null and unit is not null and anchor_at is not null));
create index schedules_unapplied on schedules (updated_at) where applied_revision < revision;

alter table schedule_runs
  drop constraint schedule_runs_status_check,
  add constraint schedule_runs_status_check
    check (status in ('WAITING', 'STARTING', 'RUNNING', 'SUCCESS', 'FAILURE', 'SKIPPED')),
  add column cause text not null default 'tick' check (cause in ('tick', 'missed', 'manual')),
  -- Ticks skipped in a row are one row.
  add column ticks integer not null default 1,
  add column last_due_at timestamptz,
  add column ended_at timestamptz;
create index schedule_runs_created on schedule_runs (created_at);
