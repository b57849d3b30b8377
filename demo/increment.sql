-- Read a balance, compute in the client, write it back: what every application does.
\set aid random(1, 5)
SELECT abalance AS balance FROM pgbench_accounts WHERE aid = :aid \gset
UPDATE pgbench_accounts SET abalance = :balance + 1 WHERE aid = :aid;
