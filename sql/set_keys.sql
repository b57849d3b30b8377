-- A key that came back, in a result or in an error, goes in again and names the same row, under whatever settings.
CREATE EXTENSION citext;
CREATE EXTENSION hstore;
CREATE TYPE colour AS ENUM ('red', 'green');
CREATE DOMAIN sku AS varchar(9) CHECK (VALUE ~ '^[a-z]');
CREATE DOMAIN pairs AS int[];
CREATE TYPE pair AS (a numeric, b interval[]);
CREATE TYPE span AS RANGE (subtype = float8);
CREATE FUNCTION span_json(span) RETURNS json IMMUTABLE LANGUAGE sql AS $$ SELECT to_json(format('[%s,%s)', lower($1)::int, upper($1)::int)) $$;
CREATE CAST (span AS json) WITH FUNCTION span_json(span);
CREATE TABLE pg_class (x int);
CREATE PROCEDURE settings(one boolean) LANGUAGE sql AS $$
    SELECT set_config('DateStyle', CASE WHEN one THEN 'SQL, DMY' ELSE 'German' END, false), set_config('IntervalStyle', CASE WHEN one THEN 'sql_standard' ELSE 'postgres_verbose' END, false),
        set_config('bytea_output', CASE WHEN one THEN 'escape' ELSE 'hex' END, false), set_config('extra_float_digits', CASE WHEN one THEN '-15' ELSE '3' END, false),
        set_config('TimeZone', CASE WHEN one THEN 'Asia/Kolkata' ELSE 'America/St_Johns' END, false), set_config('search_path', CASE WHEN one THEN 'public' ELSE 'public, pg_catalog' END, false);
$$;
-- How many of a table's rows are found again by what names them in a result, in the rows of an error, in its ids.
CREATE FUNCTION found_again(type text, keys text[]) RETURNS TABLE (rows bigint, by_result bigint, by_error bigint, by_id text, id jsonb) LANGUAGE plpgsql AS $$
DECLARE
    results jsonb;
    detail jsonb;
    message text;
BEGIN
    EXECUTE format('CREATE TABLE public.k (id %s PRIMARY KEY, version int NOT NULL DEFAULT 1)', type);
    EXECUTE 'INSERT INTO public.k SELECT v::' || type || ' FROM unnest($1) AS v' USING keys;
    PERFORM set_config('client_min_messages', 'warning', true), occ.enable('public.k');
    rows := cardinality(keys);
    CALL public.settings(true);
    SELECT jsonb_agg(u.key || '{"version": 2}') INTO results FROM occ.touch('public.k', (SELECT jsonb_agg(occ.snapshot(k)) FROM public.k)) AS u;
    BEGIN
        UPDATE public.k SET version = 7;
    EXCEPTION WHEN SQLSTATE 'PT409' THEN
        GET STACKED DIAGNOSTICS message = PG_EXCEPTION_DETAIL;
        detail := message;
    END;
    CALL public.settings(false);
    SELECT count(*) INTO by_result FROM occ.touch('public.k', results, 'skip') AS u WHERE u.status = 'updated';
    SELECT count(*) INTO by_error FROM occ.touch('public.k', (SELECT jsonb_agg(r -> 'key' || '{"version": 3}') FROM jsonb_array_elements(detail -> 'rows') AS r), 'skip') AS u WHERE u.status = 'updated';
    BEGIN
        SELECT count(*) INTO by_id FROM occ.touch('public.k', (SELECT jsonb_agg(jsonb_build_object('id', i, 'version', 4)) FROM jsonb_array_elements(detail -> 'ids') AS i), 'skip') AS u WHERE u.status = 'updated';
    EXCEPTION WHEN null_value_not_allowed OR invalid_parameter_value THEN
        by_id := SQLERRM;
    END;
    id := detail -> 'ids' -> 0;
    DROP TABLE public.k;
    RETURN NEXT;
END $$;
SELECT k.type, f.* FROM (VALUES
    ('smallint', '{2,-10}'::text[]), ('integer', '{0,2147483647}'), ('bigint', '{9007199254740993,-1,0}'), ('numeric', '{1.50,2,NaN,-Infinity,123456789012345678901234567890.5}'),
    ('real', '{0.1,NaN,-0,1e-38}'), ('double precision', '{0.30000000000000004,Infinity,5e-324}'), ('boolean', '{t,f}'), ('text', E'{"quote \\" and\nnewline","",null,"{}"}'),
    ('varchar(5)', '{b,"a "}'), ('char(4)', '{b,a}'), ('bpchar', '{b,"a "}'), ('"char"', '{a,""}'), ('name', '{n}'), ('citext', '{Abc}'), ('sku', '{abc}'), ('colour', '{green,red}'),
    ('uuid', '{a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11}'), ('bytea', '{\\x00ff5c,\\x}'), ('date', '{2026-02-03,infinity,0044-03-15 BC}'), ('time', '{12:00:00.000001,24:00}'), ('timetz', '{12:00+05:30}'),
    ('timestamp', '{2026-02-03 04:05:06.000007}'), ('timestamptz', '{2026-02-03 04:05:06.000007+00,-infinity,1800-01-01 00:00+00}'),
    ('interval', '{-1 days +02:03,1 mon -2 days,-1 years -2 mons +3 days -04:05:06.7}'), ('inet', '{10.0.0.1,::1/64}'), ('cidr', '{10.0.0.0/8}'), ('macaddr', '{08:00:2b:01:02:03}'), ('bit(3)', '{101}'), ('varbit', '{1,""}'),
    ('money', '{12.34,-1}'), ('oid', '{4294967295}'), ('regclass', '{pg_catalog.pg_class,public.pg_class}'), ('regtype', '{integer,timestamptz}'), ('regrole', '{pg_monitor}'), ('pg_lsn', '{16/B374D848}'), ('tid', '{"(1,2)"}'),
    ('int4range', '{"[1,2]",empty}'), ('daterange', '{"[2026-02-03,2026-03-04)","(,)"}'), ('tstzrange', '{"[2026-02-03 04:05:06.7+00,2026-03-04 05:06:07+00)"}'), ('datemultirange', '{"{[2026-02-03,2026-03-04)}"}'),
    ('int[]', '{"{1,2}","{}","[0:1]={1,2}","{{1},{NULL}}"}'), ('date[]', '{"{2026-02-03,NULL}"}'), ('pairs', '{"{1,2}"}'), ('float8[]', '{"{0.30000000000000004}"}'),
    ('pair', '{"(1.0,\"{-1 days +02:03}\")","(,)"}'), ('tsvector', '{"a:1 b:2"}'), ('hstore', '{"a=>1, b=>NULL",""}'), ('span', '{"[0.1,0.30000000000000004)"}'), ('span[]', '{"{\"[0.1,0.3)\"}"}'),
    ('jsonb', '{"{\"a\": [1, 2.50, null]}","[1,2]","\"text\"","{}","1.0",true}'), ('jsonb', '{null}'), ('jsonb', '{"\"{}\"","[]","\"null\""}')) AS k (type, keys), LATERAL found_again(k.type, array_replace(k.keys, NULL, 'null')) AS f;
RESET ALL;

-- Of several columns.
CREATE TABLE k (j jsonb, d daterange, n int, version int NOT NULL DEFAULT 1, PRIMARY KEY (n, j, d));
INSERT INTO k VALUES ('{"a": 1}', '[2026-01-01,2026-02-01)', 1), ('null', '(,)', 2);
SELECT occ.enable('k');
UPDATE k SET version = 7;
SELECT * FROM occ.touch('k', (SELECT jsonb_agg(occ.snapshot(k)) FROM k));
SELECT * FROM occ.touch('k', (SELECT jsonb_agg(u.key || jsonb_build_object('version', u.version)) FROM occ.touch('k', '[{"n": 1, "j": {"a": 1.0}, "d": "[2026-01-01,2026-01-31]", "version": 2},
    {"n": 2, "j": null, "d": "(,)", "version": 2, "": {"j": "null"}}]') AS u));
SELECT * FROM occ.touch('k', '{"n": 1, "j": {"b": null}, "d": "empty", "version": 2}');
DO $$
DECLARE
    detail text;
BEGIN
    UPDATE k SET version = 1;
EXCEPTION WHEN SQLSTATE 'PT409' THEN
    GET STACKED DIAGNOSTICS detail = PG_EXCEPTION_DETAIL;
    RAISE NOTICE '%', (SELECT array_agg(status) FROM occ.touch('k', (SELECT jsonb_agg(c.key || '{"version": 4}') FROM occ.conflicts(detail) AS c)));
END $$;
DROP TABLE k;

SET client_min_messages = warning;
DROP FUNCTION found_again;
DROP PROCEDURE settings;
DROP TABLE public.pg_class;
DROP TYPE span, pair, colour CASCADE;
DROP DOMAIN sku, pairs;
DROP EXTENSION hstore;
DROP EXTENSION citext;
