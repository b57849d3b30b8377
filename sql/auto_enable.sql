-- occ.auto_enable(): tables are guarded as they are made; occ.unguarded: those that are not.

CREATE TABLE before (id int PRIMARY KEY, version bigint NOT NULL DEFAULT 1);
CREATE FUNCTION guarded() RETURNS TABLE (table_name regclass, version_column name, key_columns name[], token text, unstated text, enabled boolean)
    LANGUAGE sql AS 'SELECT table_name, version_column, key_columns, token, unstated, enabled FROM occ.tables ORDER BY table_name::text COLLATE "C"';
CREATE FUNCTION unguarded() RETURNS SETOF occ.unguarded
    LANGUAGE sql AS 'SELECT * FROM occ.unguarded ORDER BY table_name::text COLLATE "C", version_column';

-- Superusers only, and it says so before anything else.
CREATE ROLE migrator;
GRANT CREATE ON SCHEMA public TO migrator;
SET ROLE migrator;
SELECT occ.auto_enable('', 'nonsense');
SELECT occ.auto_disable();
RESET ROLE;
SELECT occ.auto_enable(preset => 'nonsense');
SELECT occ.auto_enable('');
SELECT occ.auto_disable();
SELECT count(*) FROM pg_event_trigger;
SELECT * FROM unguarded();

SELECT occ.auto_enable();
\sf occ.auto_enable_version
SELECT evtname, evtevent, evtenabled, evttags FROM pg_event_trigger ORDER BY evtname COLLATE "C";

-- Tables of every kind, by whoever makes them.
SET ROLE migrator;
CREATE TABLE product (id int PRIMARY KEY, name text, version bigint NOT NULL DEFAULT 1);
CREATE TABLE other (id int PRIMARY KEY, revision bigint);
CREATE TABLE IF NOT EXISTS before (id int PRIMARY KEY, version bigint);
CREATE TABLE late_key (id int, version int);
ALTER TABLE late_key ADD PRIMARY KEY (id);
CREATE TABLE copied AS SELECT 1 AS id, 1 AS version;
SELECT 1 AS id, 1::bigint AS version INTO selected;
CREATE TABLE product_like (LIKE product INCLUDING ALL);
CREATE UNLOGGED TABLE unlogged (id serial PRIMARY KEY, version timestamptz DEFAULT now());
CREATE TEMPORARY TABLE temporary (id int PRIMARY KEY, version bigint);
CREATE TABLE child (extra int) INHERITS (product);
RESET ROLE;
CREATE SCHEMA made CREATE TABLE one (id int PRIMARY KEY, version uuid) CREATE TABLE two (id int PRIMARY KEY) CREATE VIEW three AS SELECT version FROM one;
DO $$ BEGIN EXECUTE 'CREATE TABLE "By DO" ("I d" int PRIMARY KEY, version bigint)'; END $$;
SELECT * FROM guarded();
SELECT * FROM unguarded();
INSERT INTO product VALUES (1, 'teapot');
SET ROLE migrator;
UPDATE product SET name = 'kettle', version = 1;
UPDATE product SET name = 'teapot', version = 1;
UPDATE late_key SET version = 1;
INSERT INTO late_key VALUES (1, 5);
UPDATE late_key SET version = 1;
RESET ROLE;

-- Columns that are no versions, as tools have them: nothing fails.
CREATE TABLE schema_migrations (version varchar PRIMARY KEY);
CREATE TABLE migrations (version bigint PRIMARY KEY, dirty boolean);
CREATE TABLE generated (id int PRIMARY KEY, version bigint GENERATED ALWAYS AS (id) STORED);
CREATE TABLE identity (id int PRIMARY KEY, version bigint GENERATED ALWAYS AS IDENTITY);
SELECT * FROM unguarded();

-- A column that comes later; not one of another name, nor another change.
CREATE TABLE grown (id int PRIMARY KEY);
ALTER TABLE grown ADD COLUMN revision bigint;
SELECT count(*) FROM guarded() WHERE table_name = 'grown'::regclass;
ALTER TABLE grown DROP COLUMN revision, ADD COLUMN version bigint NOT NULL DEFAULT 1;
SELECT * FROM guarded() WHERE table_name = 'grown'::regclass;
ALTER TABLE before ADD COLUMN name text;
SELECT count(*) FROM guarded() WHERE table_name = 'before'::regclass;
-- What a migration says itself comes after, and stays.
SELECT occ.enable('grown', preset => 'strict');
ALTER TABLE grown ADD COLUMN IF NOT EXISTS version bigint;
SELECT * FROM guarded() WHERE table_name = 'grown'::regclass;
SELECT occ.disable('grown');
SELECT * FROM unguarded() WHERE table_name = 'grown'::regclass;

-- Partitions: made as such, made and attached, detached.
CREATE TABLE sale (id int, day date, version bigint NOT NULL DEFAULT 1, PRIMARY KEY (id, day)) PARTITION BY RANGE (day);
CREATE TABLE sale_1 PARTITION OF sale FOR VALUES FROM ('2026-01-01') TO ('2026-02-01');
CREATE TABLE sale_2 (LIKE sale INCLUDING ALL);
CREATE TABLE sale_3 (LIKE sale INCLUDING ALL) PARTITION BY RANGE (day);
CREATE TABLE sale_3a PARTITION OF sale_3 FOR VALUES FROM ('2026-03-01') TO ('2026-03-15');
SELECT * FROM guarded() WHERE table_name::text LIKE 'sale%';
GRANT ALL ON sale, sale_2 TO migrator;
SET ROLE migrator;
ALTER TABLE sale ATTACH PARTITION sale_2 FOR VALUES FROM ('2026-02-01') TO ('2026-03-01');
RESET ROLE;
BEGIN;
ALTER TABLE sale ATTACH PARTITION sale_2 FOR VALUES FROM ('2026-01-15') TO ('2026-03-01');
ROLLBACK;
ALTER TABLE sale ATTACH PARTITION nowhere DEFAULT;
SELECT * FROM guarded() WHERE table_name::text LIKE 'sale%';
ALTER TABLE sale ATTACH PARTITION sale_2 FOR VALUES FROM ('2026-02-01') TO ('2026-03-01');
ALTER TABLE sale ATTACH PARTITION sale_3 FOR VALUES FROM ('2026-03-01') TO ('2026-04-01');
SELECT tgrelid::regclass, tgname FROM pg_trigger WHERE tgrelid::regclass::text LIKE 'sale%' ORDER BY 1;
INSERT INTO sale VALUES (1, '2026-01-05'), (2, '2026-02-05'), (3, '2026-03-05');
UPDATE sale SET version = 7;
ALTER TABLE sale DETACH PARTITION sale_2;
ALTER TABLE sale DETACH PARTITION sale_1 CONCURRENTLY;
SELECT * FROM guarded() WHERE table_name::text LIKE 'sale%';
UPDATE sale_2 SET version = 7;
-- Options that somebody has chosen do not go by themselves.
SELECT occ.enable('sale_2', preset => 'strict');
ALTER TABLE sale ATTACH PARTITION sale_2 FOR VALUES FROM ('2026-02-01') TO ('2026-03-01');
-- A partitioned table that has no guard takes nothing away.
SELECT occ.disable('sale');
ALTER TABLE sale ATTACH PARTITION sale_2 FOR VALUES FROM ('2026-02-01') TO ('2026-03-01');
CREATE TABLE sale_4 PARTITION OF sale FOR VALUES FROM ('2026-05-01') TO ('2026-06-01');
SELECT * FROM guarded() WHERE table_name::text LIKE 'sale%';
SELECT * FROM unguarded() WHERE table_name::text LIKE 'sale%';

-- A partition of a table that has no guard has none to lose.
ALTER TABLE sale DETACH PARTITION sale_4;
SELECT * FROM guarded() WHERE table_name::text LIKE 'sale\_4';
DROP TABLE sale_4;

-- Two guards by hand, on the partitioned table or on the partition, are a matter for updates, not for DDL.
CREATE TABLE two (id int PRIMARY KEY, version int) PARTITION BY RANGE (id);
CREATE TABLE two_1 (id int PRIMARY KEY, version int);
CREATE TRIGGER hand BEFORE UPDATE ON two_1 FOR EACH ROW EXECUTE FUNCTION occ.guard('version');
ALTER TABLE two ATTACH PARTITION two_1 DEFAULT;
CREATE TRIGGER by_hand BEFORE UPDATE ON two FOR EACH ROW EXECUTE FUNCTION occ.guard('version');
ALTER TABLE two DETACH PARTITION two_1;
ALTER TABLE two ATTACH PARTITION two_1 DEFAULT;
DROP TABLE two;

-- What is not new stays as it is: a guard that was taken off does not come back.
CREATE TABLE off (id int PRIMARY KEY, version bigint NOT NULL DEFAULT 1);
CREATE TABLE off_child () INHERITS (off);
CREATE TABLE off_parts (id int PRIMARY KEY, version int) PARTITION BY RANGE (id);
CREATE TABLE off_part PARTITION OF off_parts DEFAULT;
SELECT occ.disable('off'), occ.disable('off_parts');
SET client_min_messages = warning;
ALTER TABLE off ADD COLUMN IF NOT EXISTS version bigint NOT NULL DEFAULT 1;
ALTER TABLE IF EXISTS off ADD COLUMN IF NOT EXISTS version bigint;
ALTER TABLE IF EXISTS off_not_there ADD COLUMN IF NOT EXISTS version bigint;
ALTER TABLE off ADD COLUMN IF NOT EXISTS version bigint, ADD COLUMN name text, ADD COLUMN IF NOT EXISTS note text;
ALTER TABLE off ALTER COLUMN version TYPE int, ALTER COLUMN version SET STATISTICS 7, ADD COLUMN IF NOT EXISTS version int;
BEGIN;
ALTER TABLE off ALTER COLUMN version SET DEFAULT 2;
ALTER TABLE off ADD COLUMN IF NOT EXISTS version bigint;
COMMIT;
ALTER TABLE off_child ADD COLUMN IF NOT EXISTS version bigint;
ALTER TABLE off_parts ADD COLUMN IF NOT EXISTS version int;
ALTER TABLE off_parts DETACH PARTITION off_part;
ALTER TABLE off_part ADD COLUMN IF NOT EXISTS version int;
ALTER TABLE off_parts ATTACH PARTITION off_part DEFAULT;
CREATE TABLE IF NOT EXISTS off (id int PRIMARY KEY, version bigint);
CREATE TABLE IF NOT EXISTS off AS SELECT 1 AS version;
ALTER TABLE off RENAME COLUMN version TO revision;
ALTER TABLE off RENAME COLUMN revision TO version;
SELECT * FROM guarded() WHERE table_name::text LIKE 'off%';
-- A column that is dropped and added is new; so is a parent's, which takes its children along.
ALTER TABLE off_parts DROP COLUMN version, ADD COLUMN IF NOT EXISTS version bigint NOT NULL DEFAULT 1;
CREATE TABLE off_above (id int PRIMARY KEY);
ALTER TABLE off INHERIT off_above;
ALTER TABLE off_above ADD COLUMN IF NOT EXISTS version int;
RESET client_min_messages;
SELECT table_name, key_columns FROM guarded() WHERE table_name::text LIKE 'off%';
DROP TABLE off_above, off, off_child, off_parts;

-- A tool's working copies, in a schema that its extension has made.
CREATE SCHEMA tool;
ALTER EXTENSION plpgsql ADD SCHEMA tool;
CREATE TABLE tool.copy (LIKE product INCLUDING ALL);
CREATE TABLE tool.filled AS SELECT 1 AS id, 1 AS version;
CREATE TABLE tool.widened (id int PRIMARY KEY);
ALTER TABLE tool.widened ADD COLUMN version int NOT NULL DEFAULT 1;
CREATE TABLE tool.part (id int PRIMARY KEY, version int NOT NULL DEFAULT 1);
CREATE TABLE parts (id int PRIMARY KEY, version int NOT NULL DEFAULT 1) PARTITION BY RANGE (id);
ALTER TABLE parts ATTACH PARTITION tool.part DEFAULT;
SELECT table_name FROM guarded() WHERE table_name::text LIKE 'tool.%' OR table_name::text = 'parts';
ALTER TABLE parts DETACH PARTITION tool.part;
SELECT table_name FROM guarded() WHERE table_name::text LIKE 'tool.%';
SELECT table_name FROM unguarded() WHERE table_name::text LIKE 'tool.%';
-- Its log is replayed as it is.
INSERT INTO tool.copy VALUES (1, 'teapot', 7);
UPDATE tool.copy SET name = 'kettle', version = 9 RETURNING version;
UPDATE tool.copy SET name = 'teapot', version = 9 RETURNING version;
-- One that leaves the schema is listed; guarding it by name is possible in any.
ALTER TABLE tool.widened SET SCHEMA public;
SELECT * FROM unguarded() WHERE table_name::text = 'widened';
SELECT occ.enable('tool.copy');
SELECT table_name FROM guarded() WHERE table_name::text LIKE 'tool.%';
ALTER EXTENSION plpgsql DROP SCHEMA tool;
CREATE TABLE tool.member (id int PRIMARY KEY);
ALTER EXTENSION plpgsql ADD TABLE tool.member;
ALTER TABLE tool.member ADD COLUMN version int;
ALTER EXTENSION plpgsql DROP TABLE tool.member;
SELECT table_name FROM guarded() WHERE table_name::text = 'tool.member';
DROP TABLE tool.member;
CREATE TABLE tool.ordinary (id int PRIMARY KEY, version int);
SELECT table_name FROM guarded() WHERE table_name::text LIKE 'tool.%';
SELECT table_name FROM unguarded() WHERE table_name::text LIKE 'tool.%';
SET client_min_messages = warning;
DROP SCHEMA tool CASCADE;
RESET client_min_messages;
DROP TABLE parts, widened;

-- Several columns, options, and setting them anew.
SELECT occ.auto_enable('updated "at', preset => 'orm', unstated => 'bump', time_precision => 'ms');
CREATE TABLE twice (id int PRIMARY KEY, "updated ""at" timestamptz, version int);
CREATE TABLE stamped (id int PRIMARY KEY, "updated ""at" timestamptz);
CREATE TABLE counted (id int PRIMARY KEY, "updated ""at" int);
SELECT t.*, time_precision FROM guarded() AS t JOIN occ.tables USING (table_name) WHERE table_name::text IN ('twice', 'stamped') ORDER BY table_name::text COLLATE "C";
SELECT * FROM unguarded() WHERE table_name::text = 'counted';
SELECT occ.auto_enable(preset => 'strict');
CREATE TABLE strict (id int PRIMARY KEY, version int);
SELECT * FROM guarded() WHERE table_name::text = 'strict';
SELECT count(*) FROM pg_event_trigger;

-- A transaction that is rolled back; an extension's own tables.
BEGIN;
CREATE TABLE gone (id int PRIMARY KEY, version int);
ROLLBACK;
SELECT count(*) FROM guarded() WHERE table_name::text = 'gone';

-- The function does nothing without its setting, or called by hand.
CREATE FUNCTION bare() RETURNS event_trigger LANGUAGE c AS '$libdir/occ_lock', 'occ_guard_new_tables';
SELECT bare();
CREATE EVENT TRIGGER bare ON ddl_command_end WHEN TAG IN ('CREATE TABLE') EXECUTE FUNCTION bare();
CREATE TABLE fails (id int);
DROP EVENT TRIGGER bare;
DROP FUNCTION bare;

-- The extension is not dropped from under it without saying so.
BEGIN;
DROP EXTENSION occ_lock;
ROLLBACK;
SET client_min_messages = warning;
BEGIN;
DROP EXTENSION occ_lock CASCADE;
SELECT count(*) FROM pg_event_trigger;
CREATE TABLE free (id int PRIMARY KEY, version int);
ROLLBACK;
RESET client_min_messages;

-- No column takes another one's event triggers away: not one whose name begins with it, nor one that differs at its end.
BEGIN;
SELECT occ.auto_enable(name), count(*) FROM (VALUES ('v'), ('v_attach'), (repeat('v', 62) || 'a'), (repeat('v', 62) || 'b')) AS c (name) GROUP BY name;
SELECT left(evtname, 54) AS evtname, evtevent FROM pg_event_trigger WHERE evtname LIKE '%\_v%' AND evtname NOT LIKE '%\_version' ORDER BY evtname COLLATE "C";
SELECT occ.auto_disable(repeat('v', 62) || 'a'), occ.auto_disable('v');
SELECT left(evtname, 54) AS evtname FROM pg_event_trigger WHERE evtname LIKE '%\_v%' AND evtname NOT LIKE '%\_version' ORDER BY evtname COLLATE "C";
ROLLBACK;

-- Off again: guards stay.
SELECT occ.auto_disable('updated "at');
SELECT occ.auto_disable();
SELECT occ.auto_disable();
SELECT count(*) FROM pg_event_trigger;
SELECT count(*) FROM pg_proc WHERE proname LIKE 'auto\_enable\_%';
CREATE TABLE after (id int PRIMARY KEY, version int);
SELECT * FROM unguarded() WHERE table_name::text = 'after';

DROP SCHEMA made CASCADE;
DROP TABLE before, child, product, other, late_key, copied, selected, product_like, unlogged, temporary, "By DO", schema_migrations,
    migrations, generated, identity, grown, sale, sale_1, twice, stamped, counted, strict, after;
DROP FUNCTION guarded, unguarded;
REVOKE ALL ON SCHEMA public FROM migrator;
DROP ROLE migrator;
