-- What occ.snapshot() makes of a row goes back as that row, whatever its types and whatever the settings on either side.
CREATE EXTENSION hstore;
CREATE EXTENSION citext;
CREATE SCHEMA elsewhere;
CREATE TYPE colour AS ENUM ('red', 'green');
CREATE DOMAIN sku AS varchar(9) CHECK (VALUE ~ '^[a-z]');
CREATE DOMAIN pairs AS int[];
CREATE DOMAIN document AS json;
CREATE TYPE part AS (at daterange, n numeric, doc jsonb);
CREATE TYPE whole AS (a interval, parts part[], "Größe" sku);
CREATE DOMAIN checked_whole AS whole CHECK (VALUE IS NULL OR (VALUE).a IS NOT NULL);

-- Where to_jsonb() is exact, it is the same.
CREATE TABLE product (id int PRIMARY KEY, name text, price numeric, tags text[], doc jsonb, made timestamptz, dead int, size real, "Big ""one""" bigint,
    inside part, c char(4), u uuid, b boolean, v colour, version bigint NOT NULL DEFAULT 1);
ALTER TABLE product DROP COLUMN dead;
INSERT INTO product VALUES (1, 'teapot', 10.50, '{a,NULL,"b c"}', '{"a": [1, 2.50, null]}', '2026-01-02 03:04:05.678901Z', 0.1, 9007199254740992,
    ROW(NULL, 1.0, '{}'), 'ab', 'a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11', true, 'red');
INSERT INTO product (id) VALUES (2);
INSERT INTO product VALUES (3, '', 'NaN', '{}', '[]', '-infinity', 'Infinity');
SELECT occ.snapshot(p) = to_jsonb(p) AS same, occ.snapshot(p) FROM product AS p ORDER BY id;
-- Numbers that JavaScript would round are strings; so what it has parsed and written again, all numbers as doubles, goes back as it was.
CREATE TABLE numbers (id bigint PRIMARY KEY, n numeric, i bigint, many numeric[], inside part, f double precision, r real);
INSERT INTO numbers VALUES
    (9007199254740993, 123456789012345.6, 9007199254740992, '{0.1234567890123456,1.5,NULL}', ROW(NULL, 12345678901234567890, NULL), 0.1::float8 + 0.2, 0.1),
    (-9007199254740993, 1e400, -9223372036854775808, '{{1e-20},{-1}}', NULL, 5e-324, 3.4028235e38),
    (1, 12345678901234.5, 9223372036854775807, '{}', NULL, 1.7976931348623157e308, 16777216);
SELECT jsonb_pretty(occ.snapshot(numbers)) FROM numbers WHERE id > 1;
CREATE FUNCTION as_doubles(part jsonb) RETURNS jsonb LANGUAGE sql AS $$
    SELECT CASE jsonb_typeof(part)
        WHEN 'number' THEN to_jsonb((part #>> '{}')::float8)
        WHEN 'array' THEN (SELECT COALESCE(jsonb_agg(as_doubles(e) ORDER BY o), '[]') FROM jsonb_array_elements(part) WITH ORDINALITY AS x (e, o))
        WHEN 'object' THEN (SELECT COALESCE(jsonb_object_agg(k, as_doubles(v)), '{}') FROM jsonb_each(part) AS x (k, v))
        ELSE part END;
$$;
CREATE TABLE numbers_before AS TABLE numbers;
SELECT occ.enable('numbers');
SELECT status FROM occ.update('numbers', (SELECT as_doubles(jsonb_agg(occ.snapshot(numbers))) FROM numbers));
SELECT count(*) FROM numbers AS n JOIN numbers_before AS b USING (id) WHERE ROW(n.n, n.i, n.many, n.inside, n.f, n.r) IS NOT DISTINCT FROM ROW(b.n, b.i, b.many, b.inside, b.f, b.r);
DROP TABLE numbers, numbers_before;
DROP FUNCTION as_doubles;
-- Of a view, a subquery, a row without columns, none at all.
CREATE VIEW cheap AS SELECT id, price, doc::json AS doc FROM product WHERE price < 11;
SELECT occ.snapshot(c) FROM cheap AS c;
SELECT occ.snapshot(s) FROM (SELECT 1 AS a, 'x'::text AS "b c", NULL::int AS n, 2 AS a) AS s;
SELECT occ.snapshot(ROW(1, '1 day'::interval, ROW('null'::jsonb)));
SELECT occ.snapshot(ROW()), occ.snapshot(NULL::product) IS NULL AS none, occ.snapshot(NULL);
SELECT p.id, occ.snapshot(q) FROM product AS p LEFT JOIN product AS q ON q.id = p.id AND q.id < 0 ORDER BY 1;
SELECT occ.snapshot(1);
-- A row that is older than its table, in a variable of a function that goes on.
DO $$
DECLARE
    old product;
BEGIN
    SELECT * INTO old FROM product WHERE id = 1;
    RAISE NOTICE '%', occ.snapshot(old) ->> 'name';
    ALTER TABLE product ADD COLUMN late text DEFAULT 'late', ADD COLUMN later hstore DEFAULT 'a=>1';
    RAISE NOTICE '%', occ.snapshot(old) -> 'later';
END $$;
SELECT occ.snapshot(p) -> 'later' AS later FROM product AS p WHERE id = 1;
DROP TABLE product CASCADE;

-- Every type, read under settings that cut or localize, written under others.
CREATE TABLE every (
    id bigint PRIMARY KEY,
    s smallint, b boolean, r real, d double precision, n numeric, n2 numeric(40,10), t text, v varchar(30), c char(5), c2 bpchar, ch "char",
    bin bytea, da date, ti time, tz timetz, ts timestamp, tstz timestamptz, iv interval, u uuid, ip inet, cd cidr, mac macaddr, mac8 macaddr8,
    bits bit(4), vbits bit varying, j json, jb jsonb, dj document, ia int[], fa float8[], ta text[], da2 daterange[], dp pairs, dpa pairs[], ja json[], jba jsonb[],
    tsr int4range, nr numrange, dr daterange, tstr tstzrange, mr int4multirange, dmr datemultirange,
    p point, po polygon, col colour, cit citext, sk sku, w whole, wa whole[], cw checked_whole, o oid, rc regclass, ro regproc, rp regprocedure, rt regtype, rr regrole, rn regnamespace,
    rca regclass[], na name, tq tsquery, tv tsvector, mo money, lsn pg_lsn, h hstore, ha hstore[], iv2 int2vector, ov oidvector, tid tid, jp jsonpath,
    version bigint NOT NULL DEFAULT 1);
CREATE TABLE elsewhere.every (x int);
INSERT INTO every VALUES
    (9007199254740993, -32768, true, 0.1, 0.1::float8 + 0.2, 123456789012345678901234567890.123456789012345678901234567890,
     123456789012345678901234567890.1234567890, E'quote " apostrophe '' backslash \\ newline \n tab \t unicode é ☃ \u0001', 'ä', 'a', 'b  ', 'x',
     '\x00ff', '2026-02-03', '23:59:59.999999', '12:00:00.000001+05:30', '2026-01-01 00:00:00.123456', '1800-01-01 00:00:00.654321+00',
     '1 mon -2 days 03:04:05.678901', 'a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11', '10.0.0.1/8', '10.0.0.0/8', '08:00:2b:01:02:03', '08:00:2b:01:02:03:04:05',
     '1010', '10101', '{"a" :  1, "a": 2.50}', '{"a": [1, 2.50, "x", null]}', E'["a" ,\n 1e3]', '{{1,NULL},{3,4}}', '{0.1,NaN,-0}', E'{"a,b","c \\"d\\"",NULL,""}', '{"[2026-02-03,2026-03-04)"}',
     '{1,2}', '{"{1,2}","{3}"}', ARRAY['{"a":  1}'::json], ARRAY['[1]'::jsonb, 'null', NULL, '{"a": []}'],
     '[1,5)', '(1.5,)', '[2026-02-03,2026-03-04)', '["2026-02-03 01:02:03.456789+00",)', '{[1,3),[5,7)}', '{[2026-02-03,2026-03-04)}',
     '(0.30000000000000004,-2)', '((0.1,0.2),(1e-300,-0))', 'green', 'CiText', 'abc', ROW('-1 days +02:03', ARRAY[ROW('[2026-02-03,2026-03-04)', 1.50, 'null')::part, NULL], 'x'), ARRAY[ROW('1 mon', '{}', 'y')::whole, NULL], ROW('1 day', NULL, NULL),
     4294967295, 'every', 'pg_backend_pid', 'lower(text)', 'every', 'pg_monitor', 'elsewhere', '{every,elsewhere.every}', 'Name', 'a & b', 'a:1 b:2', 12.34, '16/B374D848',
     'a=>"1", b=>NULL, "c d"=>"\"e\""', ARRAY['a=>1'::hstore, NULL, ''], '1 2', '3 4', '(1,2)', '$."a"[*]');
INSERT INTO every VALUES
    (2, NULL, NULL, 'NaN', '-Infinity', 'NaN', NULL, '', NULL, NULL, '', '', '', '-infinity', NULL, NULL, 'infinity', '-infinity', NULL, NULL, NULL, NULL, NULL, NULL,
     NULL, '', 'null', 'null', 'null', NULL, '{}', '{NULL}', '{}', '{}', '{}', ARRAY['null'::json, NULL], ARRAY['"x"'::jsonb], 'empty', NULL, NULL, NULL, '{}', NULL,
     NULL, NULL, NULL, NULL, NULL, NULL, '{}', ROW('-1 mons', NULL, 'z'), 0, '-', '-', '-', '-', '-', '-', NULL, '', NULL, '', NULL, NULL, '', '{}', '', '');
INSERT INTO every VALUES
    (3, 0, false, '-0', '-0', 0.00, 0, '007', ' ', '', ' ', ' ', '\x5c', '0044-03-15 BC', '24:00', '00:00-15:59:59', '4713-01-01 00:00:00 BC', '294276-12-31 23:59:59.999999+00',
     '-178000000 years', NULL, '::1', NULL, NULL, NULL, NULL, NULL, '"text"', '"text"', '{"d": "\u0000"}', '[0:1]={1,2}', '[-1:0][2:3]={{0.1,-0},{1e-300,NULL}}', NULL, NULL, '[5:5]={1}', '[0:0]={"{1}"}', '[2:2]={1}', '[0:0]={null}',
     '(,)', '[1.50,infinity]', '[2026-01-01,infinity)', '(,"0044-03-15 00:00:00+00 BC")', '{(,)}', '{(,2026-01-01)}', NULL, NULL, NULL, NULL, NULL, ROW(NULL, '[7:7]={"(,,)"}', NULL), '[0:0]={"(,,)"}', NULL,
     NULL, 'elsewhere.every', 'now', 'occ.update(regclass,jsonb,text)', 'timestamptz', NULL, NULL, '[0:0]={pg_class}', NULL, NULL, NULL, '-92233720368547758.08');
INSERT INTO every VALUES
    (4, NULL, NULL, 1.17549435e-38, 5e-324, 1e-20, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, '-1 years -2 mons +3 days -04:05:06.789', NULL, NULL, NULL, NULL, NULL,
     NULL, NULL, '1e99999', '1.0', '"\ud834\udd1e"');
INSERT INTO every VALUES
    (5, NULL, NULL, 3.4028235e38, 1.7976931348623157e308, 'Infinity', NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, '1 day -00:00:01', NULL, NULL, NULL, NULL, NULL,
     NULL, NULL, '{"big": 12345678901234567890123456789012345678901234567890.0}', '{"null": null}', '{"half": "\ud834"}');
SELECT occ.enable('every');
CREATE TABLE before AS TABLE every;
-- What is not what it was: byte by byte, but for the version.
CREATE FUNCTION differences() RETURNS TABLE (id bigint, col text, was text, became text) LANGUAGE plpgsql AS $$
DECLARE
    c name;
BEGIN
    FOR c IN SELECT attname FROM pg_attribute WHERE attrelid = 'public.every'::regclass AND attnum > 0 AND attname <> 'version' LOOP
        RETURN QUERY EXECUTE format('SELECT b.id, %L::text, b.%2$I::text, e.%2$I::text FROM before b JOIN every e USING (id) WHERE record_image_ne(ROW(b.%2$I), ROW(e.%2$I))', c, c);
    END LOOP;
END $$;
CREATE PROCEDURE settings(kind text) LANGUAGE plpgsql AS $$
DECLARE
    s record;
BEGIN
    FOR s IN SELECT * FROM (VALUES
        ('DateStyle', 'ISO, MDY', 'SQL, DMY', 'German'), ('IntervalStyle', 'postgres', 'sql_standard', 'postgres_verbose'),
        ('extra_float_digits', '1', '-15', '3'), ('bytea_output', 'hex', 'escape', 'escape'), ('TimeZone', 'UTC', 'Asia/Kolkata', 'America/St_Johns'),
        ('search_path', 'public', 'elsewhere, public', 'public, pg_catalog'), ('xmloption', 'content', 'content', 'content'),
        ('quote_all_identifiers', 'off', 'on', 'off')) AS v (name, plain, one, other) LOOP
        PERFORM set_config(s.name, CASE kind WHEN 'one' THEN s.one WHEN 'other' THEN s.other ELSE s.plain END, false);
    END LOOP;
END $$;
CREATE TABLE read (under text, rows jsonb);
CALL settings('plain');
INSERT INTO read SELECT 'plain', jsonb_agg(occ.snapshot(e) ORDER BY id) FROM public.every AS e;
CALL settings('one');
INSERT INTO read SELECT 'one', jsonb_agg(occ.snapshot(e) ORDER BY id) FROM public.every AS e;
CALL settings('other');
INSERT INTO read SELECT 'other', jsonb_agg(occ.snapshot(e) ORDER BY id) FROM public.every AS e;
-- Only the time zone is in what was read.
SELECT under, m.key, count(*) FROM read, jsonb_array_elements(rows) AS x (element), jsonb_each(x.element) AS m
WHERE NOT EXISTS (SELECT FROM read AS r, jsonb_array_elements(r.rows) AS p (element)
    WHERE r.under = 'plain' AND p.element -> 'id' = x.element -> 'id' AND p.element -> m.key = m.value)
GROUP BY 1, 2 ORDER BY 1, 2;
-- No version moves between these: only what was read counts.
CREATE FUNCTION write_back(rows jsonb) RETURNS TABLE (status text, count bigint) LANGUAGE sql AS $$
    SELECT u.status, count(*) FROM occ.update('public.every', (SELECT jsonb_agg(x.element || jsonb_build_object('version', e.version)) FROM jsonb_array_elements($1) AS x (element)
        JOIN public.every AS e ON e.id = (x.element ->> 'id')::bigint)) AS u GROUP BY 1;
$$;
SET search_path = public;
SELECT r.under, w.* FROM read AS r, write_back(r.rows) AS w ORDER BY 1;
CALL settings('plain');
SELECT * FROM differences();
CALL settings('one');
SELECT r.under, w.* FROM public.read AS r, public.write_back(r.rows) AS w ORDER BY 1;
CALL public.settings('plain');
SELECT * FROM differences();
-- Under each of them as it was before, the rows differ: to_jsonb() is not exact.
SELECT occ.snapshot(e) = to_jsonb(e) AS same FROM every AS e WHERE id = 2;
-- Each column as a lock field.
SELECT attname, status FROM pg_attribute, LATERAL (SELECT string_agg(status, ',') FROM occ.update_safely('every', (SELECT jsonb_agg(occ.snapshot(every)) FROM every), '{"s": 1}', ARRAY[attname])) AS u (status)
WHERE attrelid = 'every'::regclass AND attnum > 1 AND NOT attname = ANY ('{j,dj,p,po,ja,w,wa,cw,s,jp,tid,ch,version}') AND status <> 'updated,updated,updated,updated,updated' ORDER BY attnum;
-- Set from changes, with the marks beside them; deleted.
SELECT status FROM occ.update_safely('every', (SELECT occ.snapshot(e) FROM every AS e WHERE id = 2), (SELECT occ.snapshot(old) - '{id,version}'::text[] FROM before AS old WHERE id > 5));
SELECT count(*) FROM every AS e, before AS b WHERE e.id = 2 AND b.id > 5 AND ROW(e.j::text, e.jb, e.h, e.fa, e.w::text) = ROW(b.j::text, b.jb, b.h, b.fa, b.w::text);
SELECT status, count(*) FROM occ.delete('every', (SELECT jsonb_agg(occ.snapshot(every)) FROM every)) GROUP BY 1;
RESET ALL;
DROP TABLE every, before, read, elsewhere.every;
DROP FUNCTION differences, write_back;
DROP PROCEDURE settings;

-- A generated json, which can't be set, is what it was.
CREATE TABLE made (id int PRIMARY KEY, n int, doc json GENERATED ALWAYS AS ('{"a" :  1}'::json) STORED, x text, version int NOT NULL DEFAULT 1);
INSERT INTO made (id) VALUES (1);
SELECT occ.enable('made');
SELECT occ.snapshot(m) FROM made AS m;
SELECT status FROM occ.update('made', (SELECT occ.snapshot(m) FROM made AS m));
SELECT status FROM occ.update('made', (SELECT jsonb_set(occ.snapshot(m), '{doc}', '{"a": 2}') FROM made AS m));
DROP TABLE made;

-- XML keeps its declaration.  (A server may be built without it.)
DO $$
DECLARE
    same boolean;
BEGIN
    CREATE TABLE page (id int PRIMARY KEY, body xml, version int NOT NULL DEFAULT 1);
    INSERT INTO page VALUES (1, '<?xml version="1.0" encoding="UTF-8"?><a b="c">d &amp; e</a>');
    PERFORM occ.enable('page');
    PERFORM occ.update('page', (SELECT occ.snapshot(p) FROM page AS p));
    SELECT body::text = '<?xml version="1.0" encoding="UTF-8"?><a b="c">d &amp; e</a>' AND version = 2 INTO same FROM page;
    RAISE NOTICE 'same: %', same;
    DROP TABLE page;
EXCEPTION WHEN feature_not_supported THEN
    RAISE NOTICE 'same: t';
END $$;

-- Types with a cast of their own to json.  One that rounds, one whose strings mean something else as text, one that can't do all.
SET client_min_messages = warning;
CREATE TYPE length;
CREATE FUNCTION length_in(cstring) RETURNS length IMMUTABLE STRICT LANGUAGE internal AS 'float8in';
CREATE FUNCTION length_out(length) RETURNS cstring IMMUTABLE STRICT LANGUAGE internal AS 'float8out';
CREATE TYPE length (INPUT = length_in, OUTPUT = length_out, LIKE = float8);
RESET client_min_messages;
CREATE CAST (length AS float8) WITHOUT FUNCTION;
CREATE FUNCTION length_json(length) RETURNS json IMMUTABLE LANGUAGE sql AS $$ SELECT to_json(round($1::float8::numeric, 1)) $$;
CREATE CAST (length AS json) WITH FUNCTION length_json(length);
CREATE TYPE mood AS ENUM ('good', 'bad');
CREATE FUNCTION mood_json(mood) RETURNS json IMMUTABLE LANGUAGE sql AS $$ SELECT to_json(CASE $1 WHEN 'good' THEN 'bad' ELSE 'good' END) $$;
CREATE CAST (mood AS json) WITH FUNCTION mood_json(mood);
CREATE TYPE span AS RANGE (subtype = float8);
CREATE FUNCTION span_json(span) RETURNS json IMMUTABLE LANGUAGE sql AS $$ SELECT to_json(format('[%s,%s)', round(lower($1)::numeric, 1), round(upper($1)::numeric, 1))) $$;
CREATE CAST (span AS json) WITH FUNCTION span_json(span);
CREATE TYPE shape AS ENUM ('point', 'circle');
CREATE FUNCTION shape_json(shape) RETURNS json IMMUTABLE LANGUAGE plpgsql AS $$
BEGIN
    IF $1 = 'circle' THEN
        RAISE feature_not_supported USING MESSAGE = 'no circles';
    END IF;
    RETURN '{"type": "Point"}';
END $$;
CREATE CAST (shape AS json) WITH FUNCTION shape_json(shape) AS ASSIGNMENT;
CREATE DOMAIN feeling AS mood;
CREATE TYPE site AS (name text, place length, feelings feeling[]);
CREATE TABLE place (id int PRIMARY KEY, l length, m mood, s span, f feeling, sh shape, la length[], st site, sts site[], h hstore, note text, version int NOT NULL DEFAULT 1);
INSERT INTO place VALUES (1, '0.123456789012345', 'good', '[0.12,0.34)', 'bad', 'circle', '{0.123,NULL}', ROW('x', '0.123', '{good}'), ARRAY[ROW('y', '0.456', '{bad}')::site], 'a=>1');
INSERT INTO place (id) VALUES (2);
SELECT occ.enable('place');
CREATE TABLE before AS TABLE place;
SELECT jsonb_pretty(occ.snapshot(p)) FROM place AS p WHERE id = 1;
SELECT occ.snapshot(p) FROM place AS p WHERE id = 2;
SELECT key, status FROM occ.update('place', (SELECT jsonb_agg(occ.snapshot(p)) FROM place AS p));
SELECT count(*) FROM place AS p JOIN before AS b USING (id) WHERE NOT record_image_ne(ROW(b.l, b.m, b.s, b.f, b.sh, b.la, b.st, b.sts, b.h), ROW(p.l, p.m, p.s, p.f, p.sh, p.la, p.st, p.sts, p.h));
-- What to_jsonb() made of them is refused, column by column, never written.
SELECT occ.update('place', (SELECT jsonb_agg(to_jsonb(p)) FROM (SELECT id, version, l FROM place ORDER BY id DESC) AS p));
DO $$
DECLARE
    c name;
    said text;
    hint text;
    in_schema text;
    in_table text;
    in_column text;
BEGIN
    FOREACH c IN ARRAY '{l,m,s,f,la,st,sts,h}'::name[] LOOP
        BEGIN
            PERFORM occ.update('place', (SELECT jsonb_build_object('id', id, 'version', version, c, to_jsonb(r) -> c::text) FROM (SELECT id, version, l, m, s, f, la, st, sts, h FROM place) AS r WHERE id = 1));
            RAISE NOTICE '% was written', c;
        EXCEPTION WHEN invalid_parameter_value THEN
            GET STACKED DIAGNOSTICS said = MESSAGE_TEXT, hint = PG_EXCEPTION_HINT, in_schema = SCHEMA_NAME, in_table = TABLE_NAME, in_column = COLUMN_NAME;
            RAISE NOTICE '%: % (%.%.%) %', c, said, in_schema, in_table, in_column, hint;
        END;
    END LOOP;
END $$;
-- Likewise as a lock field, and from changes.
SELECT occ.update_safely('place', (SELECT to_jsonb(p) FROM (SELECT id, version, m FROM place WHERE id = 1) AS p), '{"note": "x"}', '{m}');
SELECT occ.update_safely('place', '{"id": 1, "version": 2}', '{"l": 0.1}');
SELECT status FROM occ.update_safely('place', (SELECT occ.snapshot(p) FROM place AS p WHERE id = 1), '{"note": "x"}', '{m}');
-- A type's own text goes in, as ever; where the cast makes strings, only with the mark.
SELECT status FROM occ.update('place', '{"id": 1, "version": 3, "l": "1.25", "h": "b => 2,a=>1", "la": ["0.5", null], "sh": "circle"}');
SELECT status FROM occ.update('place', '{"id": 1, "version": 4, "sh": "point", "h": null, "st": "(x,1.5,{good})", "sts": [{"place": "1.5"}, null]}');
SELECT status FROM occ.update('place', '{"id": 1, "version": 5, "m": "bad", "s": "[1,2)", "": {"m": true}}');
SELECT status FROM occ.update('place', '{"id": 1, "version": 5, "m": "bad", "s": "[1,2)", "st": {"feelings": ["bad"]}, "": {"m": true, "s": true, "st": true}}');
SELECT status FROM occ.update('place', '{"id": 1, "version": 6, "m": "bad", "": {"m": false}}');
SELECT status FROM occ.update('place', '{"id": 1, "version": 6, "m": "worse", "": {"m": true}}');
SELECT * FROM place WHERE id = 1;
-- The mark vouches for strings only, of one who edits a snapshot as well.
SELECT occ.update('place', (SELECT jsonb_set(occ.snapshot(p), '{h}', '{"a": "2"}') FROM place AS p WHERE id = 1));
SELECT occ.update('place', (SELECT jsonb_set(occ.snapshot(p), '{m}', to_jsonb(1.5)) FROM place AS p WHERE id = 1));
SELECT occ.update('place', '{"id": 1, "version": 6, "st": {"place": 1.5}, "": {"st": true}}');
SELECT status FROM occ.update('place', (SELECT jsonb_set(occ.snapshot(p), '{h}', '"a=>2"') FROM place AS p WHERE id = 1));
SELECT h FROM place WHERE id = 1;
-- Values of one's own as parameters are not rows that were read.
CALL occ.retry('UPDATE place SET l = $1 WHERE id = 2', arguments => '[0.5]');
DROP TABLE place, before;

-- An edit of what was read counts, and what stands beside it no longer does.
CREATE TABLE doc (id int PRIMARY KEY, j json, b jsonb, m money, version int NOT NULL DEFAULT 1);
INSERT INTO doc VALUES (1, '{"a" : 1, "a" : 2.50}', 'null', 12.34), (2, 'null', NULL, NULL), (3, NULL, '{"": {"b": "null"}}', NULL);
SELECT occ.enable('doc');
SELECT occ.snapshot(d) FROM doc AS d ORDER BY id;
SELECT status FROM occ.update('doc', (SELECT jsonb_set(jsonb_set(occ.snapshot(d), '{j,a}', '2.5'), '{m}', '"13"') FROM doc AS d WHERE id = 1));
SELECT * FROM doc WHERE id = 1;
SELECT status FROM occ.update('doc', (SELECT jsonb_set(jsonb_set(occ.snapshot(d), '{j,a}', '3'), '{b}', '[]') FROM doc AS d WHERE id = 1));
SELECT * FROM doc WHERE id = 1;
SELECT status FROM occ.update('doc', (SELECT jsonb_agg(occ.snapshot(d)) FROM doc AS d WHERE id > 1));
SELECT id, j, b, j IS NULL AS no_j, b IS NULL AS no_b FROM doc ORDER BY id;
-- What is beside nothing does nothing; what is no object of marks is a column that is not there.
SELECT status FROM occ.update('doc', '{"id": 1, "version": 3, "": {}}');
SELECT status FROM occ.update('doc', '{"id": 1, "version": 4, "": {"j": "{}", "nothing": true, "id": "7", "version": true}}');
SELECT status FROM occ.update('doc', '{"id": 1, "version": 5, "b": 1, "": {"b": 5}}');
SELECT status FROM occ.update('doc', '{"id": 1, "version": 6, "m": null, "": {"m": "x"}}');
SELECT status FROM occ.update('doc', '{"id": 1, "version": 6, "": []}');
SELECT status FROM occ.update('doc', '{"id": 1, "version": 6, "": "x"}');
SELECT * FROM doc WHERE id = 1;
DROP TABLE doc;

-- It needs no rights that to_jsonb() would not need, and parallel workers may.
SELECT provolatile, proparallel FROM pg_proc WHERE proname = 'snapshot';
CREATE ROLE occ_reader;
CREATE TABLE open (id int, h hstore, iv interval);
INSERT INTO open SELECT i, 'a=>1', '1 day' FROM generate_series(1, 1000) AS i;
GRANT SELECT ON open TO occ_reader;
SET ROLE occ_reader;
SELECT occ.snapshot(o) FROM open AS o WHERE id = 1;
RESET ROLE;
SET parallel_setup_cost = 0;
SET parallel_tuple_cost = 0;
SET min_parallel_table_scan_size = 0;
SET IntervalStyle = 'sql_standard';
SELECT count(*) FROM open AS o WHERE occ.snapshot(o) @> '{"iv": "1 day"}';
SELECT occ.snapshot(o) FROM open AS o WHERE id = 2;
RESET ALL;
DROP TABLE open;
DROP ROLE occ_reader;

SET client_min_messages = warning;
DROP TYPE site, feeling, mood, shape, length, whole, part, span CASCADE;
DROP DOMAIN sku, pairs, document;
DROP TYPE colour;
DROP SCHEMA elsewhere;
DROP EXTENSION hstore;
DROP EXTENSION citext;
