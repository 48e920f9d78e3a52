-- Attempts to sign in, counted by all nodes together. `key`: a digest of an account, of a network, or of both; so the table
-- names nobody, nor what was typed into the wrong field. `taken`: one number for each attempt that counts, beginning with
-- its time in ms. Without any it says that the account has signed in from that network.
create table login_counts (
  key text primary key,
  taken bigint[] not null,
  expires_at timestamptz not null
);
create index login_counts_expires on login_counts (expires_at);
