-- ALTER TABLE in mid-session: right behaviour or a clear error, never stale facts.

CREATE TABLE t (id int PRIMARY KEY, note text, other int DEFAULT 0, version bigint NOT NULL DEFAULT 1);
INSERT INTO t VALUES (1, 'one');
SELECT occ.enable('t');
PREPARE by_note AS UPDATE t SET note = note || '.' RETURNING *;
CREATE FUNCTION by_function() RETURNS SETOF t LANGUAGE plpgsql AS $$
BEGIN
    RETURN QUERY UPDATE t SET note = note || '.' RETURNING *;
END $$;
EXECUTE by_note;
SELECT * FROM by_function();

-- The version column is renamed, and back.
ALTER TABLE t RENAME version TO revision;
UPDATE t SET note = 'x';
UPDATE t SET revision = 1;
SELECT by_function();
ALTER TABLE t RENAME revision TO version;
UPDATE t SET note = 'one' RETURNING version;
-- It is dropped, and another one made in its place.
ALTER TABLE t DROP COLUMN version;
UPDATE t SET note = 'x';
SELECT version_column, version_type FROM occ.tables;
ALTER TABLE t ADD COLUMN version int DEFAULT 40;
UPDATE t SET note = 'one' RETURNING version;
UPDATE t SET version = 40;
-- It is given another type, of another width.
ALTER TABLE t ALTER COLUMN version TYPE smallint;
UPDATE t SET note = 'one', version = 41 RETURNING version;
ALTER TABLE t ALTER COLUMN version DROP DEFAULT, ALTER COLUMN version TYPE timestamptz USING '2020-01-01';
SELECT version_type FROM occ.tables;
UPDATE t SET note = 'one', version = '2020-01-01' RETURNING version > '2020-01-01' AS moved;
ALTER TABLE t ALTER COLUMN version TYPE uuid USING '11111111-1111-4111-8111-111111111111';
UPDATE t SET note = 'one', version = '22222222-2222-4222-8222-222222222222';
ALTER TABLE t ALTER COLUMN version TYPE text;
UPDATE t SET note = 'x';
ALTER TABLE t ALTER COLUMN version TYPE real USING 1;
UPDATE t SET note = 'x';
ALTER TABLE t ALTER COLUMN version TYPE numeric;
UPDATE t SET note = 'x';
CREATE DOMAIN positive AS int CHECK (value > 0);
ALTER TABLE t ALTER COLUMN version TYPE positive;
UPDATE t SET note = 'x';
ALTER TABLE t DROP COLUMN version;
ALTER TABLE t ADD COLUMN version int GENERATED ALWAYS AS (other + 1) STORED;
UPDATE t SET note = 'x';
ALTER TABLE t DROP COLUMN version;
ALTER TABLE t ADD COLUMN version bigint GENERATED ALWAYS AS IDENTITY;
UPDATE t SET note = 'x';
ALTER TABLE t DROP COLUMN version;
ALTER TABLE t ADD COLUMN version bigint NOT NULL DEFAULT 1;
DROP DOMAIN positive;

-- The key column is renamed, given another type, dropped.
ALTER TABLE t RENAME id TO number;
UPDATE t SET version = 9;
ALTER TABLE t ALTER COLUMN number TYPE text USING 'no. ' || number;
UPDATE t SET version = 9;
ALTER TABLE t DROP COLUMN number;
UPDATE t SET version = 9;
ALTER TABLE t ADD COLUMN id int PRIMARY KEY DEFAULT 5;
UPDATE t SET version = 9;
-- Columns that options name.
SELECT occ.enable('t', key => '{id}', ignore => '{other}');
UPDATE t SET other = other + 1 RETURNING version;
ALTER TABLE t RENAME other TO another;
UPDATE t SET note = 'x';
ALTER TABLE t RENAME another TO other;
ALTER TABLE t RENAME id TO number;
UPDATE t SET note = 'x';
SELECT occ.enable('t', key => '{number}');
UPDATE t SET version = 9;

-- The table is renamed, moved, given another owner.
ALTER TABLE t RENAME TO renamed;
CREATE SCHEMA "Other";
ALTER TABLE renamed SET SCHEMA "Other";
UPDATE "Other".renamed SET version = 9;
SELECT table_name FROM occ.tables;
ALTER TABLE "Other".renamed SET SCHEMA public;
ALTER TABLE renamed RENAME TO t;

-- The trigger's own: disabled, enabled, renamed, replaced, all in one session and one transaction.
BEGIN;
UPDATE t SET note = 'y' RETURNING version;
ALTER TABLE t DISABLE TRIGGER _occ_guard;
UPDATE t SET version = 50 RETURNING version;
ALTER TABLE t ENABLE TRIGGER _occ_guard;
SAVEPOINT s;
UPDATE t SET version = 40;
ROLLBACK TO s;
SELECT occ.enable('t', preset => 'orm');
UPDATE t SET version = 60 RETURNING version;
ALTER TRIGGER _occ_guard ON t RENAME TO my_guard;
SAVEPOINT s;
UPDATE t SET version = 40;
ROLLBACK;
UPDATE t SET note = 'z' RETURNING version;

-- ALTER TABLE is refused while a query runs on the table, so one query never sees two shapes of it.
CREATE FUNCTION alter_me() RETURNS text LANGUAGE plpgsql AS $$
BEGIN
    ALTER TABLE t ALTER version TYPE int;
    RETURN 'altered';
END $$;
UPDATE t SET note = alter_me();

-- DROP TRIGGER is not refused, and counts for later statements: this one has the triggers that it started with.
CREATE FUNCTION drop_guard() RETURNS text LANGUAGE plpgsql AS $$
BEGIN
    PERFORM occ.disable('t') FROM pg_trigger WHERE tgrelid = 't'::regclass AND tgname = '_occ_guard';
    RETURN 'dropped';
END $$;
BEGIN;
SELECT version AS before FROM t ORDER BY number LIMIT 1 \gset
UPDATE t SET note = drop_guard();
SELECT note, version - :before AS moved FROM t ORDER BY number LIMIT 1;
UPDATE t SET note = 'unguarded', version = 1;
ROLLBACK;
DROP FUNCTION by_function, alter_me, drop_guard;
DROP TABLE t;
DROP SCHEMA "Other";
DEALLOCATE by_note;
