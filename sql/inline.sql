-- The guard as a part of the plan: where it is, where it is not, and that nobody can tell by the result.
LOAD 'occ_lock';
SET occ_lock.inline = on;

-- Who judged the rows of an UPDATE: the plan, the trigger, or the trigger after the plan had called for it.
CREATE FUNCTION judge(command text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
    line text;
    in_plan bool := false;
    fired bool := false;
BEGIN
    FOR line IN EXECUTE 'EXPLAIN (ANALYZE, VERBOSE, COSTS OFF, TIMING OFF, SUMMARY OFF) ' || command LOOP
        in_plan := in_plan OR line LIKE '%occ.next_version(%';
        fired := fired OR line LIKE '%Trigger \_occ_guard%';
    END LOOP;
    RETURN CASE WHEN in_plan AND fired THEN 'both' WHEN in_plan THEN 'plan' WHEN fired THEN 'trigger' ELSE 'nobody' END;
END $$;

CREATE TABLE t (id int PRIMARY KEY, n int, note text, version bigint NOT NULL DEFAULT 1);
INSERT INTO t SELECT i, 0, 'note', 1 FROM generate_series(1, 5) AS i;
SELECT occ.enable('t');

-- What it looks like.
EXPLAIN (VERBOSE, COSTS OFF) UPDATE t SET n = n + 1;
EXPLAIN (VERBOSE, COSTS OFF) UPDATE t SET version = 1, n = n + 1 WHERE id = 1;
SELECT judge('UPDATE t SET n = n + 1'), judge('UPDATE t SET version = 2, n = 2 WHERE id = 1');
TABLE t ORDER BY id;

-- The next version may be stated as well, and doubt calls for the trigger.
SELECT judge('UPDATE t SET version = version + 1');
UPDATE t SET version = CASE WHEN id > 2 THEN 7 ELSE version END RETURNING *;
UPDATE t SET version = NULL;
SELECT id, version FROM t ORDER BY id;

-- Several columns from one sub-select, and entries that are not stored.
UPDATE t SET (n, version) = (SELECT 10, max(version) FROM t) WHERE id = 2 RETURNING *;
UPDATE t SET (n, note) = (SELECT 11, 'both') WHERE id = 2 RETURNING *;
SELECT judge($$UPDATE t SET (n, note) = (SELECT 12, 'both') WHERE id = 2$$);
UPDATE t SET version = DEFAULT WHERE id = 2;

-- RETURNING, an index on the version, and the heap agree.
CREATE INDEX ON t (version);
SET enable_seqscan = off;
SELECT judge('UPDATE t SET n = 1 WHERE version < 100');
UPDATE t SET n = 2 WHERE id = 1 RETURNING version AS moved \gset
SELECT id FROM t WHERE version = :moved;
RESET enable_seqscan;

-- Several matches of one row: PostgreSQL takes the first, and the others count for nothing.
CREATE TABLE source (id int, version bigint);
INSERT INTO source SELECT id, version FROM t WHERE id = 1;
INSERT INTO source VALUES (1, 99);
UPDATE t SET n = 3, version = source.version FROM source WHERE t.id = source.id RETURNING t.id, t.n;
TRUNCATE source;
INSERT INTO source VALUES (1, 99);
INSERT INTO source SELECT id, version FROM t WHERE id = 1;
UPDATE t SET n = 4, version = source.version FROM source WHERE t.id = source.id;

-- CTEs: each UPDATE on its own, but not two of one table.
CREATE TABLE u (id int PRIMARY KEY, n int, version int NOT NULL DEFAULT 1);
INSERT INTO u VALUES (1, 0, 1), (2, 0, 1);
SELECT occ.enable('u', preset => 'strict');
EXPLAIN (VERBOSE, COSTS OFF)
WITH first AS (UPDATE u SET version = 1, n = 1 WHERE id = 1 RETURNING n)
UPDATE t SET n = first.n FROM first WHERE t.id = 1;
WITH first AS (UPDATE u SET version = 1, n = 1 WHERE id = 1 RETURNING n)
UPDATE t SET n = first.n FROM first WHERE t.id = 1 RETURNING t.n;
WITH first AS (UPDATE u SET version = 8, n = 1 WHERE id = 1 RETURNING n)
UPDATE t SET n = 1 WHERE t.id = 1;
EXPLAIN (VERBOSE, COSTS OFF)
WITH first AS (UPDATE u SET version = 1, n = 1 WHERE id = 1 RETURNING n)
UPDATE u SET n = 2, version = 1 WHERE id = 2;
-- The main query's version is computed before the CTE calls for the trigger; its own row stays with the plan.
WITH other AS (UPDATE t SET version = 99, n = 1 WHERE id = 1 RETURNING n)
UPDATE u SET version = 1, n = (SELECT count(*) FROM other) WHERE id = 2;
-- What a rule makes of a CTE can have a CTE of its own.
CREATE TABLE w (id int);
CREATE TABLE elsewhere (id int);
CREATE RULE instead AS ON UPDATE TO w DO INSTEAD
    WITH nested AS (UPDATE t SET n = -1, version = 99 WHERE id = 1 RETURNING id)
    UPDATE elsewhere SET id = 2 RETURNING id;
WITH first AS (UPDATE t SET n = n + 1 WHERE id = 2 RETURNING id), ruled AS (UPDATE w SET id = 2 RETURNING id)
SELECT first.id FROM first;
DROP TABLE w, elsewhere;

-- Strict: without a version it is the trigger's, which refuses it.
SELECT judge('UPDATE u SET n = 5, version = 2 WHERE id = 1');
EXPLAIN (VERBOSE, COSTS OFF) UPDATE u SET n = 5 WHERE id = 1;
UPDATE u SET n = 5 WHERE id = 1;
UPDATE u SET n = 5, version = version + 1;
DROP TABLE u;

-- Every type of version.
SELECT occ.disable('t');
ALTER TABLE t DROP COLUMN version;
DO $$
DECLARE
    type text;
    preset text;
BEGIN
    FOREACH type IN ARRAY ARRAY['smallint', 'integer', 'bigint', 'timestamptz', 'timestamptz(3)', 'timestamp',
                                'double precision', 'uuid']
    LOOP
        FOREACH preset IN ARRAY ARRAY['shared', 'strict', 'orm'] LOOP
            EXECUTE format('ALTER TABLE t ADD COLUMN v %s', type);
            PERFORM occ.enable('t', 'v', preset => preset);
            RAISE INFO '% %: first %, again %, unstated %', type, preset,
                judge('UPDATE t SET v = v, n = 1'),
                judge('UPDATE t SET v = v, n = 2'),
                CASE WHEN preset = 'strict' THEN '-' ELSE judge('UPDATE t SET n = 3') END;
            PERFORM occ.disable('t');
            ALTER TABLE t DROP COLUMN v;
        END LOOP;
    END LOOP;
END $$;

-- The trigger alone: whatever is not provably the same.
ALTER TABLE t ADD COLUMN version bigint NOT NULL DEFAULT 1;
SELECT occ.enable('t', enforce => 'warn');
SELECT judge('UPDATE t SET n = 1') AS enforce_warn;
SELECT occ.enable('t', ignore => '{note}');
SELECT judge('UPDATE t SET n = 1') AS ignored_columns;
SELECT occ.enable('t', unstated => 'warn');
SELECT judge('UPDATE t SET n = 1') AS unstated_warn, judge('UPDATE t SET n = 1, version = version') AS stated;
SELECT occ.enable('t');

CREATE FUNCTION pass() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RETURN NEW; END $$;
CREATE TRIGGER other BEFORE UPDATE ON t FOR EACH ROW EXECUTE FUNCTION pass();
SELECT judge('UPDATE t SET n = 1') AS another_trigger;
ALTER TABLE t DISABLE TRIGGER other;
SELECT judge('UPDATE t SET n = 1') AS another_trigger_disabled;
DROP TRIGGER other ON t;
CREATE TRIGGER "A" BEFORE UPDATE ON t FOR EACH ROW EXECUTE FUNCTION pass();
SELECT judge('UPDATE t SET n = 1') AS an_earlier_trigger;
DROP TRIGGER "A" ON t;
CREATE TRIGGER other BEFORE UPDATE ON t FOR EACH STATEMENT EXECUTE FUNCTION pass();
CREATE TRIGGER after_row AFTER UPDATE ON t FOR EACH ROW EXECUTE FUNCTION pass();
SELECT judge('UPDATE t SET n = 1') AS other_kinds_of_triggers;
DROP TRIGGER other ON t;
DROP TRIGGER after_row ON t;

ALTER TABLE t ADD COLUMN doubled bigint GENERATED ALWAYS AS (version * 2) STORED;
SELECT judge('UPDATE t SET n = 1') AS generated_column;
SELECT bool_and(doubled = version * 2) FROM t;
ALTER TABLE t DROP COLUMN doubled;

ALTER TABLE t DISABLE TRIGGER _occ_guard;
SELECT judge('UPDATE t SET n = 1') AS disabled;
ALTER TABLE t ENABLE REPLICA TRIGGER _occ_guard;
SELECT judge('UPDATE t SET n = 1') AS on_replicas_only;
ALTER TABLE t ENABLE ALWAYS TRIGGER _occ_guard;
SELECT judge('UPDATE t SET n = 1') AS always;
ALTER TABLE t ENABLE TRIGGER _occ_guard;

SELECT occ.disable('t');
CREATE TRIGGER guard BEFORE UPDATE ON t FOR EACH ROW WHEN (NEW.n > 0) EXECUTE FUNCTION occ.guard();
SELECT judge('UPDATE t SET n = 1') AS when_clause, min(version) = max(version) AS same FROM t;
DROP TRIGGER guard ON t;
CREATE TRIGGER guard BEFORE UPDATE OF n ON t FOR EACH ROW EXECUTE FUNCTION occ.guard();
EXPLAIN (VERBOSE, COSTS OFF) UPDATE t SET n = 1;
DROP TRIGGER guard ON t;
CREATE TRIGGER guard BEFORE UPDATE ON t FOR EACH ROW EXECUTE FUNCTION occ.guard('version', 'token=next', 'token=next');
EXPLAIN (VERBOSE, COSTS OFF) UPDATE t SET n = 1;
UPDATE t SET n = 1;
DROP TRIGGER guard ON t;
CREATE TRIGGER guard BEFORE UPDATE ON t FOR EACH ROW EXECUTE FUNCTION occ.guard('version', 'key={gone}');
EXPLAIN (VERBOSE, COSTS OFF) UPDATE t SET n = 1;
DROP TRIGGER guard ON t;
SELECT occ.enable('t');

SELECT judge('INSERT INTO t (id, n) VALUES (1, 5) ON CONFLICT (id) DO UPDATE SET n = EXCLUDED.n') AS upsert;

-- Views and rules lead to the table.
CREATE VIEW v AS SELECT id, n AS amount, version AS etag FROM t WHERE id < 4 WITH CHECK OPTION;
SELECT judge('UPDATE v SET amount = 6, etag = etag WHERE id = 2'), judge('UPDATE v SET amount = 7 WHERE id = 2');
UPDATE v SET amount = 1, etag = 0 WHERE id = 2;
DROP VIEW v;
CREATE TABLE w (id int);
CREATE RULE instead AS ON UPDATE TO w DO INSTEAD UPDATE t SET n = NEW.id WHERE t.id = OLD.id;
INSERT INTO w VALUES (2);
SELECT judge('UPDATE w SET id = 9');
DROP TABLE w;

-- The settings and the role are those of the time when it runs: no plan is thrown away for them.
PREPARE bump AS UPDATE t SET n = n + 1 WHERE id = 3 RETURNING n;
SET plan_cache_mode = force_generic_plan;
SELECT judge('EXECUTE bump');
SET occ_lock.inline = off;
SELECT judge('EXECUTE bump');
SET occ_lock.inline = on;
SELECT judge('EXECUTE bump');
SELECT version AS before FROM t WHERE id = 3 \gset
-- On a replica the trigger is called for, and does not fire.
SET session_replication_role = replica;
SELECT judge('EXECUTE bump');
RESET session_replication_role;
SELECT version = :before AS untouched FROM t WHERE id = 3;
SET occ_lock.bypass = on;
SELECT judge('EXECUTE bump');
RESET occ_lock.bypass;
SELECT version = :before AS untouched FROM t WHERE id = 3;

-- Even a statement that changes them on its way is no exception.
BEGIN;
CREATE TEMP TABLE versions AS SELECT id, version FROM t;
UPDATE t SET note = set_config('occ_lock.bypass', CASE WHEN id > 3 THEN 'on' ELSE 'off' END, true);
SELECT id, t.version - versions.version AS moved FROM t JOIN versions USING (id) ORDER BY id;
ROLLBACK;

-- Cached plans follow what is done to the table.
SELECT judge('EXECUTE bump');
ALTER TABLE t DISABLE TRIGGER _occ_guard;
SELECT judge('EXECUTE bump');
ALTER TABLE t ENABLE TRIGGER _occ_guard;
SELECT judge('EXECUTE bump');
ALTER TABLE t RENAME COLUMN version TO v;
EXECUTE bump;
ALTER TABLE t RENAME COLUMN v TO version;
SELECT judge('EXECUTE bump');
ALTER TABLE t ALTER COLUMN version TYPE smallint;
SELECT judge('EXECUTE bump');
ALTER TABLE t ADD COLUMN twice int GENERATED ALWAYS AS (n * 2) STORED;
SELECT judge('EXECUTE bump');
ALTER TABLE t DROP COLUMN twice;
SELECT judge('EXECUTE bump');
SELECT occ.enable('t', preset => 'strict');
EXECUTE bump;
SELECT occ.disable('t');
SELECT judge('EXECUTE bump');
SELECT occ.enable('t');
SELECT judge('EXECUTE bump');

-- Who may not execute the function gets the trigger, whoever made the plan.
CREATE ROLE regress_inline;
GRANT SELECT, UPDATE ON t TO regress_inline;
SET ROLE regress_inline;
SELECT judge('EXECUTE bump');
RESET ROLE;
REVOKE EXECUTE ON FUNCTION occ.next_version(internal, regclass, anyelement) FROM PUBLIC;
SELECT judge('EXECUTE bump');
SET ROLE regress_inline;
SELECT judge('EXECUTE bump');
RESET ROLE;
SELECT judge('EXECUTE bump');
GRANT EXECUTE ON FUNCTION occ.next_version(internal, regclass, anyelement) TO PUBLIC;
-- A plan that was made without it stays as it is.
SELECT judge('EXECUTE bump');
-- Rights are asked for what the statement names, and the version need not be among that.
REVOKE ALL ON t FROM regress_inline;
GRANT UPDATE (n) ON t TO regress_inline;
SET ROLE regress_inline;
UPDATE t SET n = 70;
RESET ROLE;
SELECT bool_and(n = 70) FROM t;
DROP OWNED BY regress_inline;
DROP ROLE regress_inline;
DEALLOCATE bump;
RESET plan_cache_mode;

-- Nobody can call it; minor releases differ in how they say so.
DO $$
DECLARE
    arguments text;
BEGIN
    FOREACH arguments IN ARRAY ARRAY['NULL, $1, 1', 'NULL::internal, $1, 1', 'NULL, $1, 1, 2', 'NULL::internal, $1, 1, 2'] LOOP
        BEGIN
            EXECUTE format('SELECT occ.next_version(%s)', arguments) USING 't'::regclass;
            RAISE WARNING 'occ.next_version(%) can be called', arguments;
        EXCEPTION WHEN undefined_function OR cannot_coerce OR feature_not_supported THEN
            NULL;
        END;
    END LOOP;
END $$;

-- Partitions: all that are written must allow it, and rows move with their version.
CREATE TABLE p (id int, area int, n int, version int NOT NULL DEFAULT 1, PRIMARY KEY (id, area)) PARTITION BY LIST (area);
CREATE TABLE p1 PARTITION OF p FOR VALUES IN (1);
CREATE TABLE p2 (gone int, version int NOT NULL DEFAULT 1, n int, area int NOT NULL, id int NOT NULL);
ALTER TABLE p2 DROP COLUMN gone;
ALTER TABLE p ATTACH PARTITION p2 FOR VALUES IN (2);
INSERT INTO p SELECT i, 1 + i % 2, 0, 1 FROM generate_series(1, 4) AS i;
SELECT occ.enable('p');
EXPLAIN (VERBOSE, COSTS OFF) UPDATE p SET n = n + 1;
SELECT judge('UPDATE p SET n = n + 1'), judge('UPDATE p SET n = 1, version = 2 WHERE area = 2'), judge('UPDATE p2 SET n = 5');
UPDATE p SET area = 2, version = 2 WHERE id = 2 RETURNING tableoid::regclass, *;
UPDATE p SET version = 4 WHERE area = 2;
CREATE TRIGGER other BEFORE UPDATE ON p1 FOR EACH ROW EXECUTE FUNCTION pass();
SELECT judge('UPDATE p SET n = 6'), judge('UPDATE p SET n = 6 WHERE area = 2'), judge('UPDATE p1 SET n = 7');
DROP TRIGGER other ON p1;
ALTER TABLE p1 DISABLE TRIGGER _occ_guard;
SELECT judge('UPDATE p SET n = 6');
ALTER TABLE p1 ENABLE TRIGGER _occ_guard;
SELECT occ.enable('p', preset => 'strict');
EXPLAIN (VERBOSE, COSTS OFF) UPDATE p SET n = 1, version = version;
DROP TABLE p;

-- Inheritance: a child's guard must be the same.
CREATE TABLE parent (id int PRIMARY KEY, n int, version int NOT NULL DEFAULT 1);
CREATE TABLE child (more text, PRIMARY KEY (id)) INHERITS (parent);
INSERT INTO parent VALUES (1, 0), (2, 0);
INSERT INTO child VALUES (3, 0), (4, 0);
SELECT occ.enable('parent');
SELECT judge('UPDATE parent SET n = 1'), judge('UPDATE ONLY parent SET n = 1');
SELECT occ.disable('child');
SELECT judge('UPDATE parent SET n = 2');
SELECT tableoid::regclass, version FROM parent ORDER BY id;
SELECT occ.enable('child', preset => 'orm');
SELECT judge('UPDATE parent SET n = 2');
SELECT tableoid::regclass, version FROM parent ORDER BY id;
DROP TABLE parent CASCADE;

-- The set functions' own queries, and updates of the same table inside one.
SELECT key, status, version FROM occ.update('t', '{"id": 1, "n": 5, "version": 1}', on_conflict => 'skip');
CREATE FUNCTION touch_other(row_id int) RETURNS int LANGUAGE sql AS
    'UPDATE t SET n = n + 1, version = version WHERE id = row_id RETURNING n';
SELECT judge('UPDATE t SET n = touch_other(2) WHERE id = 1');
UPDATE t SET n = touch_other(2), version = -5 WHERE id = 1;

-- Foreign keys: cascades are UPDATEs, too.
CREATE TABLE master (id int PRIMARY KEY);
INSERT INTO master VALUES (1), (2);
CREATE TABLE detail (id int PRIMARY KEY, master int REFERENCES master ON UPDATE CASCADE, version int NOT NULL DEFAULT 1);
INSERT INTO detail VALUES (1, 1), (2, 2);
SELECT occ.enable('detail', preset => 'strict');
UPDATE master SET id = id + 10;
TABLE detail ORDER BY id;
DROP TABLE detail, master;

-- The extension goes, plans stay right.
PREPARE bump AS UPDATE t SET n = n + 1 WHERE id = 3 RETURNING n;
SELECT judge('EXECUTE bump');
SET client_min_messages = warning;
DROP EXTENSION occ_lock CASCADE;
EXECUTE bump;
CREATE EXTENSION occ_lock;
RESET client_min_messages;
SELECT occ.enable('t');
SELECT judge('EXECUTE bump');
DROP TABLE t, source;
DROP FUNCTION judge, pass, touch_other;
