-- The same, but the write states the version that was read.
\set aid random(1, 5)
SELECT abalance AS balance, version FROM pgbench_accounts WHERE aid = :aid \gset
UPDATE pgbench_accounts SET abalance = :balance + 1, version = :version WHERE aid = :aid;
