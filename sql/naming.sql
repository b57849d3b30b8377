-- Which action of a statement names the version: a MERGE has several, and is judged by the one that runs; DEFAULT, and
-- excluded.version of an INSERT that gives none, say nothing of what was read.

SET client_min_messages = warning;
LOAD 'occ_lock';
CREATE TABLE account (id int PRIMARY KEY, holder text, version bigint NOT NULL DEFAULT 1);
-- What became of one statement on row 1, whose version is 1 before it.
CREATE FUNCTION try(options text, statement text) RETURNS text LANGUAGE plpgsql AS $$
BEGIN
    PERFORM occ.disable('account');
    TRUNCATE account;
    INSERT INTO account VALUES (1, 'old'), (2, 'old');
    EXECUTE format('SELECT occ.enable(''account'', %s)', options);
    EXECUTE statement;
    RETURN (SELECT string_agg(format('%s: %s %s', id, holder, version), ', ' ORDER BY id) FROM account);
EXCEPTION WHEN OTHERS THEN
    RETURN sqlstate || ' ' || sqlerrm;
END $$;
CREATE FUNCTION try_all(statement text) RETURNS TABLE (options text, outcome text) LANGUAGE sql AS $$
    SELECT o, try(o, statement) FROM unnest(ARRAY['preset => ''strict''', 'preset => ''shared''', 'preset => ''orm''',
        'preset => ''orm'', unstated => ''bump''', 'token => ''next''', 'preset => ''strict'', ignore => ''{holder}''']) AS o
$$;

-- The action that runs names none; one that never does names it.
SELECT * FROM try_all($$MERGE INTO account USING (VALUES (1)) AS v (i) ON id = i
    WHEN MATCHED AND false THEN UPDATE SET version = account.version WHEN MATCHED THEN UPDATE SET holder = 'blind'$$);
-- The one that runs names it, another one does not.
SELECT * FROM try_all($$MERGE INTO account USING (VALUES (1)) AS v (i) ON id = i
    WHEN MATCHED AND false THEN UPDATE SET holder = 'blind' WHEN MATCHED THEN UPDATE SET version = 1, holder = 'seen'$$);
SELECT * FROM try_all($$MERGE INTO account USING (VALUES (1)) AS v (i) ON id = i
    WHEN MATCHED AND false THEN UPDATE SET holder = 'blind' WHEN MATCHED THEN UPDATE SET version = 0, holder = 'stale'$$);
-- Row by row: each by its own.
SELECT * FROM try_all($$MERGE INTO account USING (VALUES (1), (2)) AS v (i) ON id = i
    WHEN MATCHED AND i = 2 THEN UPDATE SET holder = 'blind' WHEN MATCHED THEN UPDATE SET version = 1, holder = 'seen'$$);
SELECT * FROM try_all($$MERGE INTO account USING (VALUES (1), (2)) AS v (i) ON id = i
    WHEN MATCHED AND i = 1 THEN UPDATE SET version = 1, holder = 'seen' WHEN MATCHED AND i = 3 THEN DELETE
    WHEN MATCHED THEN UPDATE SET holder = 'blind'$$);

-- DEFAULT is no version that was read, be it right or not.
SELECT * FROM try_all($$UPDATE account SET holder = 'blind', version = DEFAULT$$);
SELECT * FROM try_all($$UPDATE account SET (holder, version) = ('blind', DEFAULT)$$);
SELECT * FROM try_all($$UPDATE account SET holder = 'seen', version = 1$$);
SELECT * FROM try_all($$MERGE INTO account USING (VALUES (1)) AS v (i) ON id = i WHEN MATCHED THEN UPDATE SET version = DEFAULT$$);
SELECT * FROM try_all($$MERGE INTO account USING (VALUES (1), (2)) AS v (i) ON id = i
    WHEN MATCHED AND i = 2 THEN UPDATE SET version = DEFAULT WHEN MATCHED THEN UPDATE SET version = 1, holder = 'seen'$$);
SELECT * FROM try_all($$INSERT INTO account VALUES (1, 'blind', 1) ON CONFLICT (id) DO UPDATE SET holder = excluded.holder, version = DEFAULT$$);
SELECT * FROM try_all($$WITH u AS (UPDATE account SET holder = 'blind', version = DEFAULT RETURNING 1) SELECT count(*) FROM u$$);
-- excluded.version, where the INSERT gives none, and where it does.
SELECT * FROM try_all($$INSERT INTO account (id, holder) VALUES (1, 'blind') ON CONFLICT (id) DO UPDATE SET holder = excluded.holder, version = excluded.version$$);
SELECT * FROM try_all($$INSERT INTO account (id, holder) VALUES (1, 'blind'), (2, 'blind') ON CONFLICT (id) DO UPDATE SET holder = excluded.holder, version = excluded.version$$);
SELECT * FROM try_all($$INSERT INTO account (id, holder) SELECT id, 'blind' FROM account ON CONFLICT (id) DO UPDATE SET holder = excluded.holder, version = excluded.version$$);
SELECT * FROM try_all($$INSERT INTO account VALUES (1, 'seen', 1) ON CONFLICT (id) DO UPDATE SET holder = excluded.holder, version = excluded.version$$);
SELECT * FROM try_all($$INSERT INTO account VALUES (1, 'seen', 1), (2, 'seen', 1) ON CONFLICT (id) DO UPDATE SET holder = excluded.holder, version = excluded.version$$);
-- A default that is computed is a value of its own: whoever stamps his rows so goes on doing that.
ALTER TABLE account ALTER COLUMN version SET DEFAULT length(current_user) - length(current_user) + 1;
SELECT try('preset => ''shared''', $$UPDATE account SET holder = 'stamped', version = DEFAULT$$);
ALTER TABLE account ALTER COLUMN version DROP DEFAULT, ALTER COLUMN version SET DEFAULT 1;

-- enforce => 'warn' and unstated => 'warn' say so.
SELECT try('preset => ''strict'', enforce => ''warn''', $$MERGE INTO account USING (VALUES (1)) AS v (i) ON id = i
    WHEN MATCHED AND false THEN UPDATE SET version = account.version WHEN MATCHED THEN UPDATE SET holder = 'blind'$$);
SELECT try('unstated => ''warn''', $$UPDATE account SET holder = 'blind', version = DEFAULT$$);

-- Who writes around the guard gets the default, also by a plan that was made before.
SELECT occ.enable('account', preset => 'strict');
TRUNCATE account;
CREATE FUNCTION around() RETURNS TABLE (how text, version bigint) LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO account VALUES (1, 'old', 5) ON CONFLICT (id) DO UPDATE SET version = excluded.version;
    how := 'UPDATE';
    UPDATE account SET holder = 'repaired', version = DEFAULT RETURNING account.version INTO version;
    RETURN NEXT;
    INSERT INTO account VALUES (1, 'old', 5) ON CONFLICT (id) DO UPDATE SET version = excluded.version;
    how := 'ON CONFLICT';
    INSERT INTO account (id) VALUES (1) ON CONFLICT (id) DO UPDATE SET version = excluded.version RETURNING account.version INTO version;
    RETURN NEXT;
    INSERT INTO account VALUES (1, 'old', 5) ON CONFLICT (id) DO UPDATE SET version = excluded.version;
    how := 'MERGE';
    MERGE INTO account USING (VALUES (1)) AS v (i) ON id = i
        WHEN MATCHED AND i = 0 THEN UPDATE SET holder = 'blind' WHEN MATCHED THEN UPDATE SET version = DEFAULT;
    SELECT account.version INTO version FROM account;
    RETURN NEXT;
EXCEPTION WHEN OTHERS THEN
    how := how || ': ' || SQLSTATE;
    RETURN NEXT;
END $$;
SELECT around();
SET occ_lock.bypass = on;
SELECT around();
RESET occ_lock.bypass;
SET session_replication_role = replica;
SELECT around();
RESET session_replication_role;
TRUNCATE account;
DROP FUNCTION around;

-- Prepared statements, also after the guard has changed, and under another role.
SELECT occ.enable('account', preset => 'shared');
PREPARE merge AS MERGE INTO account USING (VALUES (1)) AS v (i) ON id = i
    WHEN MATCHED AND false THEN UPDATE SET version = account.version WHEN MATCHED THEN UPDATE SET holder = 'blind';
PREPARE by_default AS UPDATE account SET holder = 'blind', version = DEFAULT;
DELETE FROM account;
INSERT INTO account VALUES (1, 'old');
EXECUTE merge;
EXECUTE merge;
SELECT occ.enable('account', preset => 'strict');
EXECUTE merge;
EXECUTE by_default;
CREATE ROLE occ_user;
GRANT SELECT, UPDATE ON account TO occ_user;
REVOKE EXECUTE ON FUNCTION occ.next_version(internal, regclass, anyelement) FROM PUBLIC;
SET ROLE occ_user;
MERGE INTO account USING (VALUES (1)) AS v (i) ON id = i
    WHEN MATCHED AND false THEN UPDATE SET version = account.version WHEN MATCHED THEN UPDATE SET holder = 'blind';
\set VERBOSITY default
RESET ROLE;
GRANT EXECUTE ON FUNCTION occ.next_version(internal, regclass, anyelement) TO PUBLIC;

-- Partitions, an inheritance child, a view, a rule, and a table that is written twice.
DROP TABLE account;
CREATE TABLE account (version bigint NOT NULL DEFAULT 1, id int PRIMARY KEY, holder text) PARTITION BY RANGE (id);
CREATE TABLE account_1 (holder text, id int PRIMARY KEY, version bigint NOT NULL DEFAULT 1);
ALTER TABLE account ATTACH PARTITION account_1 FOR VALUES FROM (1) TO (2);
CREATE TABLE account_2 PARTITION OF account DEFAULT;
INSERT INTO account VALUES (1, 1, 'old'), (1, 2, 'old');
SELECT occ.enable('account', preset => 'strict');
CREATE VIEW seen AS SELECT id, holder, version FROM account;
CREATE FUNCTION outcome(statement text) RETURNS text LANGUAGE plpgsql AS $$
BEGIN
    EXECUTE statement;
    RAISE EXCEPTION '%', (SELECT string_agg(format('%s: %s %s', id, holder, version), ', ' ORDER BY id) FROM account);
EXCEPTION WHEN OTHERS THEN
    RETURN sqlstate || ' ' || sqlerrm;
END $$;
SELECT outcome(statement) FROM (VALUES
    ($$MERGE INTO account USING (VALUES (1), (2)) AS v (i) ON id = i
        WHEN MATCHED AND i = 1 THEN UPDATE SET version = 1, holder = 'seen' WHEN MATCHED THEN UPDATE SET holder = 'blind'$$),
    ($$MERGE INTO account USING (VALUES (1)) AS v (i) ON id = i
        WHEN MATCHED AND i = 1 THEN UPDATE SET version = 1, holder = 'seen' WHEN MATCHED THEN UPDATE SET holder = 'blind'$$),
    ($$INSERT INTO account (id) VALUES (1), (2) ON CONFLICT (id) DO UPDATE SET holder = 'blind', version = excluded.version$$),
    ($$INSERT INTO account VALUES (1, 1), (1, 2) ON CONFLICT (id) DO UPDATE SET holder = 'seen', version = excluded.version$$),
    ($$UPDATE account SET version = DEFAULT$$),
    ($$UPDATE seen SET version = DEFAULT$$),
    ($$UPDATE account_1 SET version = DEFAULT$$),
    ($$WITH u AS (UPDATE account SET version = 1, holder = 'seen' WHERE id = 1 RETURNING 1) UPDATE account SET version = 1, holder = 'too' WHERE id = 2$$),
    ($$WITH u AS (UPDATE account SET version = 1, holder = 'seen' WHERE id = 1 RETURNING 1)
        MERGE INTO account USING (VALUES (2)) AS v (i) ON id = i WHEN MATCHED THEN UPDATE SET version = 1, holder = 'too'$$),
    ($$WITH u AS (UPDATE account SET version = 1, holder = 'seen' WHERE id = 1 RETURNING 1)
        MERGE INTO account USING (VALUES (2)) AS v (i) ON id = i WHEN MATCHED AND false THEN UPDATE SET version = 1 WHEN MATCHED THEN UPDATE SET holder = 'too'$$))
    AS s (statement);
DROP VIEW seen;
DROP TABLE account;
CREATE TABLE account (id int PRIMARY KEY, holder text, version bigint NOT NULL DEFAULT 1);
CREATE TABLE special (PRIMARY KEY (id)) INHERITS (account);
INSERT INTO special VALUES (1, 'old');
SELECT occ.enable('special', preset => 'strict');
SELECT outcome($$MERGE INTO account USING (VALUES (1)) AS v (i) ON id = i
    WHEN MATCHED AND false THEN UPDATE SET version = account.version WHEN MATCHED THEN UPDATE SET holder = 'blind'$$);
SELECT outcome($$MERGE INTO special USING (VALUES (1)) AS v (i) ON id = i
    WHEN MATCHED AND false THEN UPDATE SET version = special.version WHEN MATCHED THEN UPDATE SET holder = 'blind'$$);

-- The library comes with the statement, unless it is preloaded: what can't be told is refused; what can, passes.
DROP TABLE special;
INSERT INTO account VALUES (1, 'old');
SELECT occ.enable('account', preset => 'strict');
\c -
\set VERBOSITY sqlstate
MERGE INTO account USING (VALUES (1)) AS v (i) ON id = i
    WHEN MATCHED AND false THEN UPDATE SET version = account.version WHEN MATCHED THEN UPDATE SET holder = 'blind';
\c -
\set VERBOSITY sqlstate
MERGE INTO account USING (VALUES (1)) AS v (i) ON id = i WHEN MATCHED AND i = 0 THEN UPDATE SET version = 1 WHEN MATCHED THEN UPDATE SET holder = 'seen', version = 1;
\c -
\set VERBOSITY sqlstate
UPDATE account SET holder = 'seen again', version = 2;
-- Plans that are older than the library are made anew.
\c -
\set VERBOSITY sqlstate
SET plan_cache_mode = force_generic_plan;
PREPARE merge AS MERGE INTO account USING (VALUES (1)) AS v (i) ON id = i
    WHEN MATCHED AND false THEN UPDATE SET holder = 'blind' WHEN MATCHED THEN UPDATE SET version = $1, holder = 'seen';
EXPLAIN EXECUTE merge (3) \g /dev/null
LOAD 'occ_lock';
EXECUTE merge (3);
EXECUTE merge (3);
SELECT * FROM account;
DROP TABLE account;
DROP FUNCTION try, try_all, outcome;
DROP ROLE occ_user;
