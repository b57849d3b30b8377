-- Code of the user's that runs while a set function is at work: it may call set functions, and alter what they look at.
-- All of this takes no rights but PUBLIC's.

CREATE ROLE occ_reentrant;
SET SESSION AUTHORIZATION occ_reentrant;
CREATE FUNCTION pg_temp.result(call text) RETURNS SETOF text LANGUAGE plpgsql AS $$
BEGIN
    RETURN QUERY EXECUTE 'SELECT concat_ws('' '', key, status, version) FROM ' || call;
EXCEPTION WHEN OTHERS THEN
    RETURN NEXT SQLSTATE || ' ' || SQLERRM;
END $$;

-- What the function in an index's expression does when a statement is planned.  It is immutable by its own word.
CREATE TEMP TABLE plan (what text, first int, last int);
CREATE FUNCTION pg_temp.act() RETURNS void LANGUAGE plpgsql AS $$
DECLARE
    p plan;
BEGIN
    DELETE FROM plan RETURNING * INTO p;
    CASE p.what
        WHEN 'many' THEN PERFORM pg_temp.make_plans(p.first, p.last);
        WHEN 'same' THEN PERFORM occ.update('t', '{"id": 2, "version": 1, "v": "inner"}');
        WHEN 'invalidate' THEN DISCARD PLANS;
        WHEN 'error' THEN RAISE division_by_zero;
        ELSE
    END CASE;
END $$;
CREATE FUNCTION pg_temp.planned(value text) RETURNS text IMMUTABLE LANGUAGE plpgsql AS $$
BEGIN
    PERFORM pg_temp.act();
    RETURN value;
END $$;
-- Plans that differ in the columns that they set: as many as the bits of a number have combinations.
CREATE TEMP TABLE other (id int PRIMARY KEY, a int, b int, c int, d int, e int, f int, g int, h int, i int, j int,
    version bigint NOT NULL DEFAULT 1);
SELECT occ.enable('other');
CREATE FUNCTION pg_temp.make_plans(first int, last int) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    DELETE FROM other;
    INSERT INTO other VALUES (1);
    FOR n IN first..last LOOP
        PERFORM occ.update_safely('other', (SELECT to_jsonb(o) FROM other AS o),
            (SELECT jsonb_object_agg(chr(97 + k), n) FROM generate_series(0, 9) AS k WHERE n & (1 << k) <> 0));
    END LOOP;
END $$;
CREATE TEMP TABLE t (id int PRIMARY KEY, v text, version bigint NOT NULL DEFAULT 1);
CREATE INDEX of_t ON t ((v || pg_temp.planned('.')));
SELECT occ.enable('t');
-- Let the next statement about the table, as new, be planned anew.
CREATE PROCEDURE pg_temp.plan(what text, first int = NULL, last int = NULL) LANGUAGE plpgsql AS $$
BEGIN
    DELETE FROM plan;
    DELETE FROM t;
    INSERT INTO t VALUES (1, 'a'), (2, 'b');
    ALTER INDEX of_t SET (fillfactor = 90);
    INSERT INTO plan VALUES (what, first, last);
END $$;
-- More plans than a session keeps, the first time exactly so many that the outer one would go last.
CALL pg_temp.plan('many', 1, 128);
SELECT pg_temp.result('occ.update(''t'', ''[{"id": 1, "version": 1, "v": "x"}, {"id": 2, "version": 1, "v": "y"}]'')');
SELECT * FROM t ORDER BY id;
CALL pg_temp.plan('many', 129, 300);
SELECT pg_temp.result('occ.update(''t'', ''[{"id": 1, "version": 1, "v": "x"}, {"id": 2, "version": 1, "v": "y"}]'')');
SELECT * FROM t ORDER BY id;
CALL pg_temp.plan('many', 301, 500);
SELECT pg_temp.result('occ.touch(''t'', ''[{"id": 1, "version": 1}, {"id": 2, "version": 1}]'')');
CALL pg_temp.plan('many', 501, 700);
SELECT pg_temp.result('occ.update_safely(''t'', ''[{"id": 1, "v": "a"}]'', ''{"v": "x"}'', ''{v}'')');
CALL pg_temp.plan('many', 701, 900);
SELECT pg_temp.result('occ.delete(''t'', ''[{"id": 1, "version": 1}, {"id": 2, "version": 1}]'')');
CALL pg_temp.plan('many', 1, 200);
SELECT pg_temp.result('occ.check(''t'', ''[{"id": 1, "version": 1}, {"id": 2, "version": 1}]'')');
-- The same statement again, for a row of the same call and for another; and a plan that is out of date before it is made.
CALL pg_temp.plan('same');
SELECT pg_temp.result('occ.update(''t'', ''[{"id": 1, "version": 1, "v": "x"}, {"id": 2, "version": 1, "v": "y"}]'')');
SELECT * FROM t ORDER BY id;
CALL pg_temp.plan('same');
SELECT pg_temp.result('occ.update(''t'', ''{"id": 1, "version": 1, "v": "x"}'')');
SELECT * FROM t ORDER BY id;
CALL pg_temp.plan('invalidate');
SELECT pg_temp.result('occ.update(''t'', ''[{"id": 1, "version": 1, "v": "x"}, {"id": 2, "version": 1, "v": "y"}]'')');
-- What the function in a domain's constraint does when a value is read.  A rule that is made then counts, with or without a plan of its own.
CREATE FUNCTION pg_temp.read(value text) RETURNS boolean LANGUAGE plpgsql AS $$
BEGIN
    CASE value
        WHEN 'notify' THEN CREATE RULE r AS ON UPDATE TO u DO ALSO NOTIFY occ_reentrant;
        WHEN 'also' THEN CREATE RULE r AS ON UPDATE TO u DO ALSO UPDATE other SET a = 7, version = version WHERE id = NEW.id;
        WHEN 'instead' THEN CREATE RULE r AS ON UPDATE TO u DO INSTEAD NOTHING;
        WHEN 'swap' THEN
            ALTER TABLE u RENAME a TO c;
            ALTER TABLE u RENAME b TO a;
            ALTER TABLE u RENAME c TO b;
        WHEN 'version' THEN
            ALTER TABLE u RENAME a TO c;
            ALTER TABLE u RENAME version TO a;
            ALTER TABLE u RENAME c TO version;
        WHEN 'key' THEN
            ALTER TABLE u RENAME a TO c;
            ALTER TABLE u RENAME id TO a;
            ALTER TABLE u RENAME c TO id;
        WHEN 'plans' THEN PERFORM pg_temp.make_plans(1, 200);
        ELSE
    END CASE;
    RETURN true;
END $$;
CREATE DOMAIN pg_temp.read_text AS text CHECK (pg_temp.read(value));
CREATE PROCEDURE pg_temp.create_u() LANGUAGE plpgsql AS $$
BEGIN
    DROP TABLE IF EXISTS u;
    CREATE TABLE pg_temp.u (id int PRIMARY KEY, v read_text, a text, b int, version bigint NOT NULL DEFAULT 1);
    INSERT INTO u VALUES (1, '-', 'one', 1000), (2, '-', 'two', 2000);
    PERFORM occ.enable('u');
    UPDATE other SET a = 0, version = version;
END $$;
SET client_min_messages = warning;
CALL pg_temp.create_u();
SELECT pg_temp.result('occ.update(''u'', ''[{"id": 1, "version": 1, "v": "notify"}, {"id": 2, "version": 1, "v": "-"}]'')');
CALL pg_temp.create_u();
SELECT pg_temp.result('occ.update(''u'', ''{"id": 1, "version": 1, "v": "also"}'')');
SELECT id, a FROM other;
CALL pg_temp.create_u();
SELECT pg_temp.result('occ.update(''u'', ''{"id": 1, "version": 1, "v": "instead"}'')');
-- Columns that change their names: none is taken for another of another type, wherever it is compared or returned.
SELECT pg_temp.result('occ.update(''u'', ''{"id": 1, "version": 1, "v": "swap"}'')');
CALL pg_temp.create_u();
SELECT pg_temp.result('occ.update_safely(''u'', ''{"id": 1, "a": "one"}'', ''{"v": "swap"}'', ''{a}'')');
SELECT pg_temp.result('occ.update_safely(''u'', ''{"id": 1, "b": 1000}'', ''{"v": "swap"}'', ''{b}'')');
SELECT pg_temp.result('occ.update(''u'', ''{"id": 1, "version": 1, "v": "swap", "a": "x"}'')');
SELECT pg_temp.result('occ.update(''u'', ''{"id": 1, "version": 1, "v": "version"}'')');
SELECT pg_temp.result('occ.update(''u'', ''{"id": 1, "version": 1, "v": "version"}'', ''skip'')');
SELECT pg_temp.result('occ.update(''u'', ''{"id": 1, "version": 1, "v": "key"}'')');
SELECT pg_temp.result('occ.update(''u'', ''{"id": 1, "version": 1, "v": "plans"}'')');
SELECT * FROM u ORDER BY id;
-- The same by a trigger, before the version is read again.
CREATE FUNCTION pg_temp.rename() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    PERFORM pg_temp.read('version');
    RETURN NULL;
END $$;
CREATE TRIGGER renames AFTER UPDATE ON u FOR EACH ROW EXECUTE FUNCTION pg_temp.rename();
SELECT pg_temp.result('occ.touch(''u'', ''{"id": 2, "version": 1}'')');
RESET client_min_messages;
-- A plan that could not be made is not kept for ever.
CALL pg_temp.plan('error');
SELECT pg_temp.result('occ.update(''t'', ''{"id": 1, "version": 1, "v": "x"}'')') FROM generate_series(1, 3);
TABLE plan;
DELETE FROM plan;
DO $$ BEGIN PERFORM pg_temp.make_plans(1, 128); END $$;
RESET SESSION AUTHORIZATION;
SELECT count(*) <= 128 AS kept, count(*) FILTER (WHERE ident LIKE 'UPDATE ONLY pg_temp.t %') AS of_t
FROM pg_backend_memory_contexts WHERE name = 'CachedPlanSource' AND ident LIKE '%occ_rows%';

-- An = that calls a set function which compares the same type; only a superuser makes an operator class, but anybody uses it.
CREATE TYPE pair AS (a int, b int);
CREATE TABLE outer_pair (id int PRIMARY KEY, p pair, x int);
INSERT INTO outer_pair VALUES (1, '(1,1)'), (2, '(2,2)'), (3, '(3,)');
CREATE TABLE inner_pair AS TABLE outer_pair;
ALTER TABLE inner_pair ADD PRIMARY KEY (id);
CREATE FUNCTION update_inner(pair) RETURNS boolean LANGUAGE plpgsql AS $$
BEGIN
    IF EXISTS (SELECT FROM inner_pair WHERE x IS NULL) THEN
        UPDATE inner_pair SET x = 0;
        PERFORM occ.update_safely('inner_pair', (SELECT jsonb_agg(to_jsonb(i)) FROM inner_pair AS i), '{"x": 5}', '{p}');
    END IF;
    RETURN true;
END $$;
CREATE FUNCTION pair_eq(pair, pair) RETURNS boolean LANGUAGE sql
AS 'SELECT update_inner($1) AND ($1).a = ($2).a AND ($1).b = ($2).b';
CREATE FUNCTION pair_cmp(pair, pair) RETURNS int IMMUTABLE LANGUAGE sql AS 'SELECT btint4cmp(($1).a, ($2).a)';
CREATE OPERATOR === (FUNCTION = pair_eq, LEFTARG = pair, RIGHTARG = pair);
CREATE OPERATOR CLASS pair_ops DEFAULT FOR TYPE pair USING btree AS OPERATOR 3 ===, FUNCTION 1 pair_cmp(pair, pair);
SELECT key, status FROM occ.update_safely('outer_pair', (SELECT jsonb_agg(to_jsonb(o)) FROM outer_pair AS o), '{"x": 7}', '{p}');
SELECT * FROM outer_pair JOIN inner_pair USING (id) ORDER BY id;
SELECT key, status FROM occ.update_safely('outer_pair', '{"id": 3, "p": {"a": 3, "b": 4}}', '{"x": 8}', '{p}', 'skip');
SET client_min_messages = warning;
DROP TABLE outer_pair, inner_pair;
DROP TYPE pair CASCADE;
