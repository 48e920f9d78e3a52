-- The step for which the session's last proof of identity was given: `<transaction>/<group>`, or null for none.
alter table sessions add column identity_confirmed_for text;
