-- Attacks from within a session, each of which must come to nothing.  Those on a database's owner's rights are in
-- test/t/023_rights.pl; on what errors show in privileges; on the set functions' search_path in set_privileges.

SET client_min_messages = warning;
CREATE ROLE occ_owner;
CREATE ROLE occ_user;
CREATE ROLE occ_boss;
GRANT occ_boss TO occ_user;
GRANT CREATE ON SCHEMA public TO occ_owner, occ_user;

-- Names that stand before PostgreSQL's own: nothing of ours looks where the caller does.
CREATE SCHEMA evil;
CREATE FUNCTION evil.hijacked() RETURNS boolean LANGUAGE plpgsql AS $$ BEGIN RAISE EXCEPTION 'hijacked'; END $$;
DO $$
DECLARE
    type text;
    operator text;
BEGIN
    FOREACH type IN ARRAY '{int2,int4,int8,oid,text,name,uuid,float8,timestamptz,jsonb,"\"char\""}'::text[] LOOP
        EXECUTE format('CREATE FUNCTION evil.compare(%1$s, %1$s) RETURNS boolean LANGUAGE sql AS $f$ SELECT evil.hijacked() $f$', type);
        FOREACH operator IN ARRAY '{=,<>,<,>,<=,>=,&}'::text[] LOOP
            EXECUTE format('CREATE OPERATOR evil.%s (LEFTARG = %2$s, RIGHTARG = %2$s, FUNCTION = evil.compare)', operator, type);
        END LOOP;
    END LOOP;
    FOREACH type IN ARRAY '{int8,text,name,jsonb,regclass,oid,event_trigger,trigger}'::text[] LOOP
        EXECUTE format('CREATE DOMAIN evil.%I AS pg_catalog.int4 CHECK (evil.hijacked())', type);
        EXECUTE format('CREATE DOMAIN pg_temp.%I AS pg_catalog.int4 CHECK (evil.hijacked())', type);
    END LOOP;
END $$;
CREATE FUNCTION evil.pg_event_trigger_ddl_commands() RETURNS TABLE (objid pg_catalog.oid, command_tag pg_catalog.text)
    LANGUAGE sql AS 'SELECT 0::pg_catalog.oid, NULL WHERE evil.hijacked()';
CREATE FUNCTION evil.isfinite(timestamptz) RETURNS boolean LANGUAGE sql AS 'SELECT evil.hijacked()';
CREATE FUNCTION evil.starts_with(pg_catalog.text, pg_catalog.text) RETURNS boolean LANGUAGE sql AS 'SELECT evil.hijacked()';
CREATE FUNCTION evil.substr(pg_catalog.text, int) RETURNS pg_catalog.text LANGUAGE sql AS 'SELECT evil.hijacked()::pg_catalog.text';
CREATE FUNCTION evil.pg_partition_tree(pg_catalog.oid) RETURNS TABLE (relid pg_catalog.oid) LANGUAGE sql AS 'SELECT NULL::pg_catalog.oid WHERE evil.hijacked()';
CREATE TABLE evil.pg_trigger (tgrelid int);
CREATE TABLE evil.pg_class (oid int);
CREATE TABLE evil.occ_rows (number int);
SELECT occ.auto_enable(), occ.auto_enable('changed');
SET search_path = evil, pg_temp, pg_catalog;
CREATE TABLE public.product (id int PRIMARY KEY, name pg_catalog.text, version pg_catalog.int8 NOT NULL DEFAULT 1);
CREATE TABLE public.note (id uuid PRIMARY KEY, name pg_catalog.text, changed timestamptz NOT NULL DEFAULT now());
CREATE TABLE public.bare (id int PRIMARY KEY);
SELECT occ.enable('public.bare');
CREATE TABLE public.sale (id int PRIMARY KEY, version int) PARTITION BY RANGE (id);
CREATE TABLE public.sale_1 (id int PRIMARY KEY, version int);
ALTER TABLE public.sale ATTACH PARTITION public.sale_1 DEFAULT;
ALTER TABLE public.sale DETACH PARTITION public.sale_1;
INSERT INTO public.product VALUES (1, 'cup'), (2, 'mug');
INSERT INTO public.note VALUES ('11111111-1111-1111-1111-111111111111', 'n', '2026-01-01');
UPDATE public.product SET version = 1 WHERE id OPERATOR(pg_catalog.=) 1;
UPDATE public.note SET name = 'm', changed = '2026-01-01 00:00:00+00';
SELECT status FROM occ.update('public.product', '{"id":1,"version":2,"name":"jug"}'::pg_catalog.jsonb);
SELECT n.status FROM public.note, LATERAL occ.touch('public.note', pg_catalog.to_jsonb(note)) AS n;
SELECT status FROM occ.update_safely('public.product', '{"id":2,"name":"mug"}'::pg_catalog.jsonb, '{"name":"pot"}'::pg_catalog.jsonb, '{name}');
SELECT status FROM occ.check('public.product', '{"id":1,"version":3}'::pg_catalog.jsonb);
SELECT status FROM occ.delete('public.product', '{"id":2,"version":2}'::pg_catalog.jsonb);
SELECT occ.etag(p), occ.etag(p, '{id,version}') FROM public.product AS p;
SELECT occ.etag(r, '{t,c}') FROM (SELECT timestamptz 'epoch' AS t, 'pg_catalog.pg_class'::pg_catalog.regclass AS c) AS r;
SELECT occ.etag_matches('"1"', '"2", "1"'), occ.merge('{"a":1}'::pg_catalog.jsonb, '{"a":2}'::pg_catalog.jsonb, '{}'::pg_catalog.jsonb);
SELECT key, actual FROM occ.conflicts('{"rows":[{"key":{"id":1},"status":"stale","expected":1,"actual":2}]}');
CALL occ.retry('SELECT $1 AS one', arguments => '["1"]'::pg_catalog.jsonb);
SELECT count(*) FROM occ.tables;
SELECT count(*) FROM occ.unguarded;
SELECT occ.disable('public.bare', true);
RESET search_path;
DROP TABLE bare, sale, sale_1, note, product;
SET client_min_messages = error;
DROP SCHEMA evil CASCADE;
DISCARD TEMP;
SET client_min_messages = warning;

-- Settings that change how SQL is read do not change what ours says.
SET standard_conforming_strings = off;
SET escape_string_warning = off;
SET backslash_quote = off;
SET quote_all_identifiers = on;
SET array_nulls = off;
SET transform_null_equals = on;
SET check_function_bodies = off;
CREATE TABLE "a\'b""%s" ("k\'}{,""" int PRIMARY KEY, "NULL" text);
SELECT occ.enable('"a\\''b""%s"', 'v\\''}{,"', ignore => ARRAY['NULL'::name], key => ARRAY['k\\''}{,"'::name]);
INSERT INTO "a\'b""%s" VALUES (1);
UPDATE "a\'b""%s" SET "v\'}{,""" = 7;
SELECT t.* FROM "a\'b""%s" AS r, occ.touch('"a\\''b""%s"', to_jsonb(r)) AS t;
SELECT version_column, key_columns, ignore FROM occ.tables;
SELECT occ.auto_enable('v\\''}{,"');
CREATE TABLE second (id int PRIMARY KEY, "v\'}{,""" int);
SELECT table_name, version_column FROM occ.tables ORDER BY table_name::text;
SELECT occ.auto_disable('v\\''}{,"');
SELECT occ.disable('"a\\''b""%s"', true), occ.disable('second');
SELECT * FROM "a\'b""%s";
DROP TABLE "a\'b""%s", second;
RESET standard_conforming_strings;
RESET escape_string_warning;
RESET backslash_quote;
RESET quote_all_identifiers;
RESET array_nulls;
RESET transform_null_equals;
RESET check_function_bodies;
SELECT occ.auto_disable(), occ.auto_disable('changed');

-- What takes an "internal" can't be had from SQL, nor wrapped in anything that an ordinary user can make.
-- How PostgreSQL says so differs between its minor releases.
DO $$BEGIN
    PERFORM occ.next_version(NULL, 'pg_class'::regclass, 1);
EXCEPTION WHEN undefined_function OR feature_not_supported THEN
    RAISE WARNING 'nobody can call it';
END$$;
SET ROLE occ_user;
CREATE AGGREGATE next (regclass, anyelement) (SFUNC = occ.next_version, STYPE = internal);
CREATE FUNCTION next_version(internal, regclass, anyelement) RETURNS anyelement LANGUAGE c AS '$libdir/occ_lock', 'occ_next_version';
CREATE FUNCTION guard_new_tables() RETURNS event_trigger LANGUAGE c AS '$libdir/occ_lock', 'occ_guard_new_tables';
SELECT occ.guard();

-- Nobody forges what lets the guard pass: the switches are not his, and referential actions are not made by hand.
SET occ_lock.bypass = on;
SET session_replication_role = replica;
SELECT set_config('occ_lock.bypass', 'on', false);
ALTER ROLE occ_user SET occ_lock.bypass = on;
CREATE FUNCTION bypassing() RETURNS void LANGUAGE sql SET occ_lock.bypass = on AS 'SELECT';
SET ROLE occ_owner;
CREATE TABLE account (id int PRIMARY KEY, holder text, version bigint NOT NULL DEFAULT 5);
INSERT INTO account VALUES (1, 'occ_user'), (2, 'somebody else'), (3, 'somebody else');
SELECT occ.enable('account', preset => 'strict');
GRANT SELECT, INSERT, UPDATE, DELETE, REFERENCES ON account TO occ_user;
SET ROLE occ_user;
UPDATE account SET holder = 'anybody';
ALTER TABLE account DISABLE TRIGGER _occ_guard;
ALTER TABLE account DISABLE TRIGGER USER;
DROP TRIGGER _occ_guard ON account;
CREATE OR REPLACE TRIGGER _occ_guard BEFORE UPDATE ON account FOR EACH ROW EXECUTE FUNCTION occ.guard('version', 'enforce=warn');
CREATE TRIGGER zz BEFORE UPDATE ON account FOR EACH ROW EXECUTE FUNCTION occ.guard('version');
CREATE RULE around AS ON UPDATE TO account DO INSTEAD NOTHING;
CREATE TABLE child () INHERITS (account);
DROP FUNCTION occ.guard() CASCADE;
DROP EXTENSION occ_lock CASCADE;
-- Only with a right that lets PostgreSQL replace any trigger of the table: SECURITY.md says so.
RESET ROLE;
BEGIN;
GRANT TRIGGER ON account TO occ_user;
SET ROLE occ_user;
CREATE OR REPLACE TRIGGER _occ_guard BEFORE UPDATE ON account FOR EACH ROW EXECUTE FUNCTION occ.guard('version', 'enforce=warn');
ROLLBACK;
SET ROLE occ_user;
-- A trigger that a cascade fires is no referential action.
CREATE TABLE mine (id int PRIMARY KEY);
CREATE TABLE below (id int REFERENCES mine ON UPDATE CASCADE ON DELETE CASCADE);
INSERT INTO mine VALUES (1);
INSERT INTO below VALUES (1);
CREATE FUNCTION smuggle() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF TG_OP = 'DELETE' THEN
        DELETE FROM account;
    ELSE
        UPDATE account SET holder = 'smuggled';
    END IF;
    RETURN NULL;
END $$;
CREATE TRIGGER smuggle AFTER UPDATE OR DELETE ON below FOR EACH ROW EXECUTE FUNCTION smuggle();
UPDATE mine SET id = 2;
DELETE FROM mine;
-- Nor is what a rule makes of one: the foreign key's table, and so its rules, are the attacker's own.
DROP TRIGGER smuggle ON below;
CREATE TABLE under (id int REFERENCES mine ON UPDATE CASCADE ON DELETE CASCADE, n int);
INSERT INTO mine VALUES (7), (8);
INSERT INTO under VALUES (7), (8);
CREATE FUNCTION attempt(statement text, rule text) RETURNS text LANGUAGE plpgsql AS $$
BEGIN
    EXECUTE 'CREATE RULE attempt AS ON ' || rule;
    EXECUTE statement;
    RAISE EXCEPTION 'passed: %', rule;
EXCEPTION WHEN OTHERS THEN
    RETURN SQLSTATE || ' ' || SQLERRM;
END $$;
SELECT attempt('UPDATE mine SET id = 9 WHERE id = 7', rule) FROM (VALUES
    ($$UPDATE TO under DO ALSO UPDATE account SET holder = 'blind' WHERE account.id = 1$$),
    ($$UPDATE TO under DO INSTEAD UPDATE account SET holder = 'blind' WHERE account.id = 1$$),
    ($$UPDATE TO under WHERE new.id = 9 DO INSTEAD UPDATE account SET holder = 'blind' WHERE account.id = 1$$),
    ($$UPDATE TO under DO INSTEAD (SELECT 1; UPDATE account SET holder = 'blind' WHERE account.id = 1)$$),
    ($$UPDATE TO under DO ALSO INSERT INTO account VALUES (1) ON CONFLICT (id) DO UPDATE SET holder = 'blind'$$),
    ($$UPDATE TO under DO ALSO INSERT INTO account SELECT 1 ON CONFLICT (id) DO UPDATE SET holder = 'blind'$$),
    ($$UPDATE TO under DO ALSO INSERT INTO account SELECT old.id - 6 ON CONFLICT (id) DO UPDATE SET holder = 'blind'$$),
    ($$UPDATE TO under DO ALSO DELETE FROM account WHERE account.id = 3$$)) AS r (rule);
SELECT attempt('DELETE FROM mine WHERE id = 8', rule) FROM (VALUES
    ($$DELETE TO under DO ALSO DELETE FROM account WHERE account.id = 3$$),
    ($$DELETE TO under DO INSTEAD DELETE FROM account WHERE account.id = 3$$),
    ($$DELETE TO under WHERE old.id = 8 DO INSTEAD DELETE FROM account WHERE account.id = 3$$),
    ($$DELETE TO under DO INSTEAD UPDATE account SET holder = 'blind' WHERE account.id = 1$$),
    ($$DELETE TO under DO ALSO INSERT INTO account SELECT 1 ON CONFLICT (id) DO UPDATE SET holder = 'blind'$$),
    ($$DELETE TO under DO ALSO WITH d AS (DELETE FROM account RETURNING id) SELECT count(*) FROM d$$),
    ($$DELETE TO under DO ALSO WITH d AS (DELETE FROM account RETURNING id) UPDATE account SET holder = 'blind' FROM d$$)) AS r (rule);
-- A function in SQL that is evaluated row by row runs like a referential action, too.
CREATE FUNCTION lazily() RETURNS SETOF int LANGUAGE sql AS $$UPDATE account SET holder = 'lazy'; SELECT id FROM account$$;
SELECT lazily() LIMIT 1;
CREATE FUNCTION calls() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN PERFORM lazily() LIMIT 1; RETURN new; END $$;
CREATE TRIGGER calls BEFORE UPDATE ON under FOR EACH ROW EXECUTE FUNCTION calls();
UPDATE mine SET id = 9 WHERE id = 7;
DROP TRIGGER calls ON under;
-- A rule that does no harm leaves the referential action its right.
CREATE TABLE kept (id int PRIMARY KEY REFERENCES mine ON UPDATE CASCADE ON DELETE CASCADE);
SELECT occ.enable('kept', preset => 'strict');
INSERT INTO kept VALUES (7), (8);
CREATE TABLE log (id int);
CREATE RULE logged AS ON UPDATE TO kept DO ALSO INSERT INTO log VALUES (old.id);
CREATE RULE not_all AS ON DELETE TO kept WHERE old.id = 0 DO INSTEAD NOTHING;
UPDATE mine SET id = 9 WHERE id = 7;
DELETE FROM mine WHERE id = 8;
SELECT kept.*, log.id AS logged FROM kept, log;
DROP TABLE under, kept, log;
DROP FUNCTION attempt, lazily, calls;
-- Nor does the version that a set function has verified stand for other statements.
CREATE FUNCTION smuggle_again() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN UPDATE account SET holder = 'smuggled'; RETURN new; END $$;
SELECT occ.enable('mine');
CREATE TRIGGER smuggle BEFORE UPDATE ON mine FOR EACH ROW EXECUTE FUNCTION smuggle_again();
SELECT * FROM occ.touch('mine', '{"id":1,"version":1}');
DROP TABLE below, mine;
DROP FUNCTION smuggle, smuggle_again;
RESET ROLE;
SELECT DISTINCT version, holder LIKE 'smuggled' AS smuggled FROM account;

-- Row-level security: what is hidden by a policy is not listed, by whatever kind of statement.
SET ROLE occ_owner;
SELECT occ.enable('account');
ALTER TABLE account ENABLE ROW LEVEL SECURITY;
CREATE POLICY own ON account FOR SELECT TO occ_user USING (holder = current_user);
CREATE POLICY change ON account FOR UPDATE TO occ_user USING (true);
CREATE POLICY add ON account FOR INSERT TO occ_user WITH CHECK (true);
SET ROLE occ_user;
CREATE FUNCTION leak(anyelement) RETURNS boolean LANGUAGE plpgsql COST 0.0001 AS $$ BEGIN RAISE WARNING 'leaked: %', $1; RETURN true; END $$;
UPDATE account SET version = 1 WHERE leak(id);
UPDATE account SET version = (SELECT 1 WHERE leak(account.id));
MERGE INTO account USING (VALUES (1), (2), (3)) AS v (i) ON id = i WHEN MATCHED THEN UPDATE SET version = 1;
MERGE INTO account USING (VALUES (1)) AS v (i) ON true WHEN MATCHED THEN UPDATE SET version = 1;
INSERT INTO account VALUES (3, 'occ_user', 1) ON CONFLICT (id) DO UPDATE SET version = 1;
BEGIN;
DECLARE c CURSOR FOR SELECT * FROM account;
FETCH c;
UPDATE account SET version = 1 WHERE CURRENT OF c;
ROLLBACK;
WITH u AS (UPDATE account SET version = 1 RETURNING 1) SELECT count(*) FROM u;
UPDATE account SET version = 1 FROM account AS other WHERE other.id = 1 RETURNING other.holder;
SET row_security = off;
UPDATE account SET version = 1;
SELECT * FROM occ.check('account', '{"id":1,"version":1}');
RESET row_security;
-- A role that the statement takes on may see what it may see, and got nothing by it.
BEGIN;
UPDATE account SET holder = set_config('role', 'occ_boss', true), version = 1 WHERE id > 0;
ROLLBACK;
DROP FUNCTION leak;
RESET ROLE;

DROP TABLE account;
REVOKE CREATE ON SCHEMA public FROM occ_owner, occ_user;
DROP ROLE occ_owner, occ_user, occ_boss;
