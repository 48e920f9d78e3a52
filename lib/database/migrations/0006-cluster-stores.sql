-- Every store that was ever a member, with the last of its process lives: also of nodes that have left. An older copy of a
-- data directory is known by its lower boot, whenever it comes.
create table cluster_stores (
  store_id text primary key,
  node_id text not null,
  boot bigint not null,
  registered_at timestamptz not null default now()
);

insert into cluster_stores (store_id, node_id, boot) select store_id, node_id, boot from cluster_nodes;
