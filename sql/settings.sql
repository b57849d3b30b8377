-- The settings, and enforce => 'warn'.

CREATE TABLE t (id int PRIMARY KEY, note text, version bigint NOT NULL DEFAULT 5);
CREATE TABLE u (id int PRIMARY KEY, note text, version bigint NOT NULL DEFAULT 5);
INSERT INTO t SELECT i, 'note' FROM generate_series(1, 5) AS i;
INSERT INTO u SELECT i, 'note' FROM generate_series(1, 2) AS i;
SELECT occ.enable('t');
SELECT occ.enable('u', preset => 'strict');
SELECT name, boot_val, context, vartype FROM pg_settings WHERE name LIKE 'occ\_lock.%' ORDER BY name COLLATE "C";

-- All fields of the error.
CREATE FUNCTION fields(command text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
    schema_name text; table_name text; column_name text; constraint_name text; message text; detail text; hint text;
BEGIN
    EXECUTE command;
    RETURN 'no error';
EXCEPTION WHEN OTHERS THEN
    GET STACKED DIAGNOSTICS schema_name = SCHEMA_NAME, table_name = TABLE_NAME, column_name = COLUMN_NAME,
        constraint_name = CONSTRAINT_NAME, message = MESSAGE_TEXT, detail = PG_EXCEPTION_DETAIL, hint = PG_EXCEPTION_HINT;
    RETURN concat_ws(E'\n', sqlstate, message, detail, hint, concat_ws(' | ', schema_name, table_name, column_name, constraint_name));
END $$;
\pset format unaligned
\pset tuples_only on
SELECT fields('UPDATE t SET version = 1 WHERE id < 3');
SELECT fields('UPDATE u SET note = note');
-- Under strict the hint for a stated next version is another one.
SELECT fields('UPDATE u SET version = 6');
SELECT fields('UPDATE u SET version = 6 - id % 2');
SELECT fields('UPDATE u SET version = 7 - id % 2');
-- The detail is one line of JSON.
DO $$
DECLARE
    detail text;
BEGIN
    UPDATE t SET version = 1;
EXCEPTION WHEN SQLSTATE 'PT409' THEN
    GET STACKED DIAGNOSTICS detail = PG_EXCEPTION_DETAIL;
    RAISE NOTICE 'lines: %, object: %', array_length(string_to_array(detail, E'\n'), 1), jsonb_typeof(detail::jsonb);
END $$;
\pset format aligned
\pset tuples_only off

-- conflict_sqlstate: PT4xx and 40001, nothing else.
SET occ_lock.conflict_sqlstate = '40001';
SELECT fields('UPDATE t SET version = 1 WHERE id = 1') LIKE '40001%' AS "40001";
SET occ_lock.conflict_sqlstate = 'PT412';
SELECT fields('UPDATE t SET version = 1 WHERE id = 1') LIKE 'PT412%' AS "PT412";
SELECT fields('UPDATE u SET note = note') LIKE 'PT428%' AS "PT428 stays";
SET occ_lock.conflict_sqlstate = '23505';
SET occ_lock.conflict_sqlstate = 'PT509';
SET occ_lock.conflict_sqlstate = 'PT40';
SET occ_lock.conflict_sqlstate = 'PT4099';
SET occ_lock.conflict_sqlstate = 'PT4A9';
SET occ_lock.conflict_sqlstate = 'pt409';
SET occ_lock.conflict_sqlstate = '';
SHOW occ_lock.conflict_sqlstate;
RESET occ_lock.conflict_sqlstate;
SHOW occ_lock.conflict_sqlstate;

-- max_reported_rows: the list ends, the count is exact.
SET occ_lock.max_reported_rows = 2;
UPDATE t SET version = 1;
SET occ_lock.max_reported_rows = 0;
UPDATE t SET version = 1;
SET occ_lock.max_reported_rows = -1;
SET occ_lock.max_reported_rows = 1000000;
SET occ_lock.max_reported_rows = 100000;
CREATE TABLE many (id int PRIMARY KEY, version int DEFAULT 2);
INSERT INTO many SELECT generate_series(1, 5000);
SELECT occ.enable('many');
RESET occ_lock.max_reported_rows;
DO $$
DECLARE
    detail text;
BEGIN
    UPDATE many SET version = 1;
EXCEPTION WHEN SQLSTATE 'PT409' THEN
    GET STACKED DIAGNOSTICS detail = PG_EXCEPTION_DETAIL;
    RAISE NOTICE '% conflicts, % ids, % rows, %', detail::jsonb -> 'conflicts', jsonb_array_length(detail::jsonb -> 'ids'),
        (SELECT count(*) FROM occ.conflicts(detail)), sqlerrm;
END $$;
DROP TABLE many;

-- No setting skips stale rows; unknown ones are refused.
SET occ_lock.on_conflict = 'skip';

-- bypass: rows pass as stated; only superusers and whom they let.
SET occ_lock.bypass = on;
SET client_min_messages = log;
\set VERBOSITY terse
BEGIN;
UPDATE t SET version = 1 WHERE id = 1 RETURNING version;
UPDATE t SET note = 'repaired' WHERE id = 1 RETURNING version;
UPDATE u SET version = NULL WHERE id = 1;
ROLLBACK;
BEGIN;
UPDATE u SET note = 'repaired' WHERE id = 1 RETURNING version;
COMMIT;
\set VERBOSITY default
RESET client_min_messages;
RESET occ_lock.bypass;
UPDATE u SET note = 'refused' WHERE id = 1;
CREATE ROLE occ_plain;
GRANT SELECT, UPDATE ON t TO occ_plain;
SET ROLE occ_plain;
SET occ_lock.bypass = on;
UPDATE t SET version = 1 WHERE id = 1;
RESET ROLE;
GRANT SET ON PARAMETER occ_lock.bypass TO occ_plain;
SET ROLE occ_plain;
SET occ_lock.bypass = on;
UPDATE t SET version = 1 WHERE id = 1 RETURNING version;
RESET occ_lock.bypass;
RESET ROLE;
DROP OWNED BY occ_plain;
DROP ROLE occ_plain;

-- enforce => 'warn': one warning a statement with the same detail; the version goes on from the stored one.
UPDATE t SET note = 'note', version = 1 WHERE id = 1;
SELECT occ.enable('t', enforce => 'warn');
UPDATE t SET note = 'written', version = 77 RETURNING id, note, version;
UPDATE t SET note = 'echoed', version = 6 WHERE id > 2 RETURNING id, version;
SELECT occ.enable('t', preset => 'strict', enforce => 'warn');
UPDATE t SET note = 'blind' RETURNING id, version;
UPDATE t SET note = 'next', version = version + 1 RETURNING id, version;
-- One table warns, the other one refuses: the warning comes first.
SELECT occ.enable('u');
WITH a AS (UPDATE t SET version = 1), b AS (UPDATE u SET version = 1 WHERE id = 2) SELECT 1;
-- One statement, two tables, one warning.
SELECT occ.enable('u', enforce => 'warn');
WITH a AS (UPDATE t SET version = 1 WHERE id = 1), b AS (UPDATE u SET version = 1 WHERE id = 2) SELECT 1 AS done;
-- What is not a refusal of ours is not softened.
UPDATE u SET version = NULL;
DROP TABLE t, u;

-- unstated => 'warn' on a partitioned table: one warning, not one a partition.
CREATE TABLE p (id int PRIMARY KEY, note text) PARTITION BY HASH (id);
CREATE TABLE p0 PARTITION OF p FOR VALUES WITH (MODULUS 2, REMAINDER 0);
CREATE TABLE p1 PARTITION OF p FOR VALUES WITH (MODULUS 2, REMAINDER 1);
INSERT INTO p SELECT generate_series(1, 20);
SELECT occ.enable('p', unstated => 'warn');
UPDATE p SET note = 'blind';
SELECT occ.enable('p', enforce => 'warn');
SET occ_lock.max_reported_rows = 1;
UPDATE p SET note = 'stale', version = 1;
RESET occ_lock.max_reported_rows;
DROP TABLE p;
DROP FUNCTION fields;
