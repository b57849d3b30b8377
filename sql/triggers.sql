-- Other triggers and generated columns beside the guard.

CREATE EXTENSION moddatetime;
CREATE EXTENSION amcheck;
CREATE TABLE t (
    id int PRIMARY KEY,
    note text,
    version int NOT NULL DEFAULT 1,
    label text GENERATED ALWAYS AS (note || ' v' || version) STORED
);
CREATE INDEX ON t (version);
INSERT INTO t VALUES (1, 'one'), (2, 'two');
SELECT occ.enable('t');

-- A stored generated column sees the new version.
UPDATE t SET note = 'ONE', version = 1 WHERE id = 1 RETURNING *;
SELECT * FROM t WHERE version = 2;

CREATE FUNCTION show() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE NOTICE '%: version % to %', tg_name, OLD.version, NEW.version;
    RETURN NEW;
END $$;
-- A later BEFORE trigger sees the new version, an AFTER trigger, too.
CREATE TRIGGER later BEFORE UPDATE ON t FOR EACH ROW EXECUTE FUNCTION show();
CREATE TRIGGER last AFTER UPDATE ON t FOR EACH ROW WHEN (NEW.version > OLD.version) EXECUTE FUNCTION show();
UPDATE t SET note = 'uno', version = 2 WHERE id = 1 RETURNING *;
UPDATE t SET note = 'stale', version = 2 WHERE id = 1;
DROP TRIGGER later ON t;
DROP TRIGGER last ON t;

-- An earlier BEFORE trigger sees the client's; its name sorts before, which occ.enable() warns of.
CREATE TRIGGER "Early" BEFORE UPDATE ON t FOR EACH ROW WHEN (NEW.version > 0) EXECUTE FUNCTION show();
SELECT occ.enable('t');
UPDATE t SET note = 'eins', version = 3 WHERE id = 1 RETURNING *;
SELECT * FROM t WHERE version = 4;
UPDATE t SET note = 'blind' WHERE id = 1 RETURNING *;
-- A version that an earlier trigger sets counts as stated.
CREATE OR REPLACE FUNCTION show() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    NEW.version := NEW.version + 1;
    RETURN NEW;
END $$;
UPDATE t SET note = 'bumped by another' WHERE id = 1 RETURNING version;
UPDATE t SET note = 'stale', version = 4 WHERE id = 1 RETURNING version;
CREATE OR REPLACE FUNCTION show() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    NEW.version := NULL;
    RETURN NEW;
END $$;
UPDATE t SET note = 'null' WHERE id = 1;
-- Triggers that return OLD, or nothing at all.
CREATE OR REPLACE FUNCTION show() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RETURN OLD; END $$;
UPDATE t SET note = 'old' WHERE id = 1 RETURNING note, version;
CREATE OR REPLACE FUNCTION show() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RETURN NULL; END $$;
UPDATE t SET note = 'skipped', version = 1 WHERE id = 1 RETURNING version;
DROP TRIGGER "Early" ON t;
CREATE TRIGGER later BEFORE UPDATE ON t FOR EACH ROW EXECUTE FUNCTION show();
UPDATE t SET note = 'skipped later', version = version WHERE id = 1 RETURNING version;
UPDATE t SET note = 'stale', version = 1 WHERE id = 1 RETURNING version;
DROP TRIGGER later ON t;

-- The row's key may be changed by an earlier trigger: the conflict names the stored one.
CREATE OR REPLACE FUNCTION show() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN NEW.id := 77; RETURN NEW; END $$;
CREATE TRIGGER "Early" BEFORE UPDATE ON t FOR EACH ROW EXECUTE FUNCTION show();
UPDATE t SET version = 1 WHERE id = 1;
DROP TRIGGER "Early" ON t;

-- A trigger that updates the row itself.
CREATE OR REPLACE FUNCTION show() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    UPDATE t SET note = note || '!', version = NEW.version WHERE id = NEW.id AND note NOT LIKE '%!';
    RETURN NULL;
END $$;
CREATE TRIGGER last AFTER UPDATE ON t FOR EACH ROW WHEN (pg_trigger_depth() = 0) EXECUTE FUNCTION show();
UPDATE t SET note = 'two', version = 1 WHERE id = 2 RETURNING note, version;
SELECT note, version FROM t WHERE id = 2;
DROP TRIGGER last ON t;

-- A WHEN clause deforms NEW before the guard changes it, and an earlier trigger hands on the same tuple:
-- RETURNING, heap and index must agree all the same.
CREATE TABLE w (id int PRIMARY KEY, note text, version int NOT NULL DEFAULT 1, more text);
CREATE INDEX ON w (version);
INSERT INTO w SELECT i, 'note' FROM generate_series(1, 3) AS i;
CREATE TRIGGER "Early" BEFORE UPDATE ON w FOR EACH ROW WHEN (NEW.version > 0 AND NEW.more IS NULL)
    EXECUTE FUNCTION suppress_redundant_updates_trigger();
CREATE TRIGGER _occ_guard BEFORE UPDATE ON w FOR EACH ROW WHEN (NEW.version > 0) EXECUTE FUNCTION occ.guard();
CREATE TRIGGER later BEFORE UPDATE ON w FOR EACH ROW WHEN (NEW.version > 1) EXECUTE FUNCTION suppress_redundant_updates_trigger();
UPDATE w SET note = 'new', version = 1 RETURNING *;
SET enable_seqscan = off;
SELECT * FROM w WHERE version = 2 ORDER BY id;
SELECT * FROM w WHERE version = 1;
RESET enable_seqscan;
SELECT * FROM w ORDER BY id;
SELECT bt_index_check('w_version_idx', heapallindexed => true);
DROP TABLE w;

-- Transition tables hold what was written.
CREATE OR REPLACE FUNCTION show() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE NOTICE '%', (SELECT string_agg(o.version || ' to ' || n.version, ', ' ORDER BY id) FROM o JOIN n USING (id));
    RETURN NULL;
END $$;
CREATE TRIGGER last AFTER UPDATE ON t REFERENCING OLD TABLE AS o NEW TABLE AS n FOR EACH STATEMENT EXECUTE FUNCTION show();
UPDATE t SET note = 'all';
DROP TRIGGER last ON t;
DROP TABLE t;

-- contrib's moddatetime on the version column itself: the guard sees the client's value first.
CREATE TABLE m (id int PRIMARY KEY, note text, updated_at timestamptz NOT NULL DEFAULT '2020-01-01');
INSERT INTO m VALUES (1, 'one');
CREATE TRIGGER mdt BEFORE UPDATE ON m FOR EACH ROW EXECUTE FUNCTION moddatetime(updated_at);
SELECT occ.enable('m', 'updated_at');
UPDATE m SET note = 'new', updated_at = '2020-01-01' RETURNING updated_at = now() AS now;
\set VERBOSITY terse
UPDATE m SET note = 'stale', updated_at = '2020-01-01';
\set VERBOSITY default
-- A stated NULL is no way around it, although the later trigger would fill the column.
SELECT occ.enable('m', 'updated_at', preset => 'strict');
UPDATE m SET note = 'blind', updated_at = NULL;
DROP TABLE m;
DROP FUNCTION show;
DROP EXTENSION moddatetime, amcheck;

-- session_replication_role = replica: rows pass as they are, also where the guard is ENABLE ALWAYS.
CREATE TABLE r (id int PRIMARY KEY, note text, version int NOT NULL DEFAULT 5);
INSERT INTO r VALUES (1, 'one');
SELECT occ.enable('r', preset => 'strict');
SET session_replication_role = replica;
UPDATE r SET note = 'applied' RETURNING version;
UPDATE r SET version = 3 RETURNING version;
ALTER TABLE r ENABLE ALWAYS TRIGGER _occ_guard;
UPDATE r SET note = 'applied' RETURNING version;
UPDATE r SET version = 7 RETURNING version;
RESET session_replication_role;
UPDATE r SET note = 'blind';
SELECT enabled FROM occ.tables;
ALTER TABLE r ENABLE REPLICA TRIGGER _occ_guard;
SELECT enabled FROM occ.tables;
UPDATE r SET note = 'not guarded' RETURNING version;
ALTER TABLE r DISABLE TRIGGER _occ_guard;
SELECT enabled FROM occ.tables;
SELECT occ.enable('r', preset => 'strict');
SELECT enabled FROM occ.tables;
UPDATE r SET note = 'blind';
DROP TABLE r;
