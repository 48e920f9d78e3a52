-- The ring: which nodes there are, and who leads and copies each partition.

-- One row: the cluster that this database belongs to.
create table cluster (
  one boolean primary key default true check (one),
  id uuid not null default gen_random_uuid(),
  founded_at timestamptz not null default now()
);

create table cluster_nodes (
  node_id text primary key,
  -- Lives inside the node's store: another store id is another member.
  store_id text not null unique,
  -- Grows with each start of the process.
  boot bigint not null,
  channel_address text not null,
  forward_address text not null,
  registered_at timestamptz not null default now()
);

create table partition_configurations (
  partition integer primary key check (partition between 0 and 255),
  epoch bigint not null,
  owner text not null,
  replicas text[] not null,
  -- Made anew by each change, so that a change whose answer was lost can be recognised.
  nonce text not null,
  changed_at timestamptz not null default now()
);
