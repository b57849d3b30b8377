-- occ.enable() and occ.disable(): what they make, what they refuse, what they say.

CREATE TABLE t (id int PRIMARY KEY, note text);
INSERT INTO t SELECT i, 'note' FROM generate_series(1, 1000) AS i;
-- The column is added without a rewrite.
SELECT pg_relation_filenode('t') AS before \gset
SELECT occ.enable('t');
SELECT pg_relation_filenode('t') = :before AS same_file, min(version), max(version) FROM t;
\d t
-- Again: nothing changes.  With other options: all of them are set anew.
SELECT occ.enable('t');
SELECT occ.enable('t', preset => 'strict', enforce => 'warn');
SELECT pg_get_triggerdef(oid) FROM pg_trigger WHERE tgname = '_occ_guard';
SELECT occ.enable('t', preset => 'strict', token => 'next', echo => 'keep', unstated => 'warn', deletes => 'allow', key => '{id}', ignore => '{note}');
SELECT pg_get_triggerdef(oid) FROM pg_trigger WHERE tgname = '_occ_guard';
SELECT * FROM occ.tables \gx
-- NULL stands for the default of each option.
SELECT occ.enable('t', NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL);
SELECT pg_get_triggerdef(oid) FROM pg_trigger WHERE tgname = '_occ_guard';

-- Another version column, which is there already.
ALTER TABLE t ADD COLUMN updated_at timestamptz DEFAULT now();
SELECT occ.enable('t', 'updated_at', time_precision => 'ms');
SELECT version_column, version_type, time_precision FROM occ.tables;
SELECT occ.disable('t');
SELECT occ.disable('t');
ALTER TABLE t DROP COLUMN updated_at;
\d t

-- Options that make no sense.
SELECT occ.enable('t', preset => 'paranoid');
SELECT occ.enable('t', token => 'guess');
SELECT occ.enable('t', echo => 'shout');
SELECT occ.enable('t', unstated => '');
SELECT occ.enable('t', enforce => 'maybe');
SELECT occ.enable('t', deletes => 'never');
SELECT occ.enable('t', time_precision => 'ns');
SELECT occ.enable('t', time_precision => 'ms');
SELECT occ.enable('t', '');
SELECT occ.enable('t', 'ctid');
SELECT occ.enable('t', 'note');
SELECT occ.enable(NULL);
SELECT occ.disable(NULL);
SELECT count(*) FROM occ.tables;
\d t

-- Precision of seconds is allowed, with a warning.
CREATE TABLE slow (id int PRIMARY KEY, at timestamptz(0) DEFAULT now());
SELECT occ.enable('slow', 'at');
ALTER TABLE slow ALTER COLUMN at TYPE timestamptz(3);
SELECT occ.enable('slow', 'at', time_precision => 's');
DROP TABLE slow;

-- What can't be guarded.
CREATE VIEW v AS SELECT * FROM t;
CREATE MATERIALIZED VIEW mv AS SELECT * FROM t;
CREATE SEQUENCE s;
CREATE TYPE composite AS (id int);
SELECT occ.enable('v');
SELECT occ.enable('mv');
SELECT occ.enable('s');
SELECT occ.enable('t_pkey');
SELECT occ.enable('composite');
SELECT occ.enable('pg_class');
SELECT occ.enable('information_schema.sql_features');
SELECT occ.enable('pg_toast.pg_toast_1262');
SELECT occ.enable('nowhere');
SELECT occ.enable(4294967295::regclass);
SELECT occ.enable(0::regclass);
SELECT occ.disable('v');
SELECT occ.disable('pg_class');
SELECT occ.disable(4294967295::regclass);
DROP VIEW v;
DROP MATERIALIZED VIEW mv;
DROP SEQUENCE s;
DROP TYPE composite;

-- Partial and expression indexes are no keys; a deferrable constraint is one.
CREATE TABLE nokey (id int NOT NULL, code text NOT NULL);
CREATE UNIQUE INDEX ON nokey (id) WHERE id > 0;
CREATE UNIQUE INDEX ON nokey (lower(code));
SELECT occ.enable('nokey');
SELECT occ.enable('nokey', key => '{id}');
ALTER TABLE nokey ADD CONSTRAINT late UNIQUE (id) DEFERRABLE INITIALLY DEFERRED;
SELECT occ.enable('nokey');
SELECT key_columns FROM occ.tables;
DROP TABLE nokey;

-- Only the owner may; all rights on the table are not enough.
CREATE ROLE occ_owner;
CREATE ROLE occ_other;
ALTER TABLE t OWNER TO occ_owner;
GRANT ALL ON t TO occ_other;
GRANT CREATE ON SCHEMA public TO occ_owner;
SET ROLE occ_other;
SELECT occ.enable('t');
SELECT occ.disable('t');
SET ROLE occ_owner;
SELECT occ.enable('t');
SET ROLE occ_other;
SELECT occ.enable('t', preset => 'orm');
SELECT occ.disable('t', true);
UPDATE t SET note = 'other', version = 1 WHERE id = 1 RETURNING version;
UPDATE t SET note = 'other', version = 7 WHERE id = 1;
SELECT table_name, key_columns FROM occ.tables;
RESET ROLE;
ALTER TABLE t OWNER TO CURRENT_USER;
REVOKE CREATE ON SCHEMA public FROM occ_owner;
SELECT occ.disable('t');
ALTER TABLE t DROP COLUMN version;

-- Another trigger in the guard's place; a guard of another name.
CREATE TRIGGER _occ_guard BEFORE UPDATE ON t FOR EACH ROW EXECUTE FUNCTION suppress_redundant_updates_trigger();
SELECT occ.enable('t');
ALTER TRIGGER _occ_guard ON t RENAME TO other;
ALTER TABLE t ADD COLUMN version int;
CREATE TRIGGER by_hand BEFORE UPDATE ON t FOR EACH ROW EXECUTE FUNCTION occ.guard();
SELECT occ.enable('t');
SELECT table_name, version_type FROM occ.tables;
SELECT occ.disable('t');
ALTER TABLE t DROP COLUMN version;
\d t
DROP TABLE t;

-- Names that need quoting, other schemas.
CREATE SCHEMA "Odd schema";
CREATE TABLE "Odd schema"."Table ""quoted"" 'x' \ y" ("Key ""k""" int PRIMARY KEY, "a,b" int, "NULL" int, "Größe" int, " blank " int);
INSERT INTO "Odd schema"."Table ""quoted"" 'x' \ y" VALUES (1);
SELECT occ.enable('"Odd schema"."Table ""quoted"" ''x'' \ y"', 'Version {1} \ "x" ''y''', ignore => ARRAY['a,b', 'NULL', 'Größe', ' blank '], key => ARRAY['Key "k"']);
SELECT table_name, version_column, key_columns, ignore FROM occ.tables;
UPDATE "Odd schema"."Table ""quoted"" 'x' \ y" SET "a,b" = 1, "NULL" = 1, "Größe" = 1, " blank " = 1 RETURNING *;
UPDATE "Odd schema"."Table ""quoted"" 'x' \ y" SET "Version {1} \ ""x"" 'y'" = 9;
SELECT occ.enable('"Odd schema"."Table ""quoted"" ''x'' \ y"', 'Version {1} \ "x" ''y''', 'strict');
UPDATE "Odd schema"."Table ""quoted"" 'x' \ y" SET "a,b" = 2;
SELECT occ.disable('"Odd schema"."Table ""quoted"" ''x'' \ y"', true);
DROP SCHEMA "Odd schema" CASCADE;
CREATE TABLE long_names (id int PRIMARY KEY, a123456789b123456789c123456789d123456789e123456789f123456789abc int DEFAULT 1);
SELECT occ.enable('long_names', 'a123456789b123456789c123456789d123456789e123456789f123456789abc');
INSERT INTO long_names VALUES (1);
UPDATE long_names SET a123456789b123456789c123456789d123456789e123456789f123456789abc = 7;
DROP TABLE long_names;

-- Temporary tables.
CREATE TEMP TABLE temporary (id int PRIMARY KEY);
SELECT occ.enable('temporary');
INSERT INTO temporary VALUES (1);
UPDATE temporary SET version = 7;
DROP TABLE temporary;

-- Whatever a user puts into the search path, our own commands mean pg_catalog and occ.
CREATE SCHEMA hostile;
CREATE DOMAIN hostile.int8 AS text;
CREATE FUNCTION hostile.guard() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RAISE ''hostile''; END';
CREATE FUNCTION hostile.never(oid, oid) RETURNS boolean LANGUAGE sql AS 'SELECT false';
CREATE OPERATOR hostile.= (LEFTARG = oid, RIGHTARG = oid, FUNCTION = hostile.never);
CREATE TABLE target (id int PRIMARY KEY);
INSERT INTO target VALUES (1);
SET search_path = hostile, pg_catalog, public;
SELECT occ.enable('target');
SELECT table_name, version_type FROM occ.tables;
UPDATE target SET id = 1 RETURNING version;
SELECT occ.disable('target');
RESET search_path;
DROP TABLE target;
DROP SCHEMA hostile CASCADE;

-- Enabling is transactional.
CREATE TABLE t (id int PRIMARY KEY);
BEGIN;
SELECT occ.enable('t');
ROLLBACK;
SELECT count(*) FROM occ.tables;
\d t
DROP TABLE t;
DROP ROLE occ_owner, occ_other;
