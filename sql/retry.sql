-- occ.retry(): what is tried again, how an attempt is undone, and what it says.
\set SHOW_CONTEXT errors
\pset null '(null)'

CREATE TABLE product (id int PRIMARY KEY, stock int, version bigint NOT NULL DEFAULT 1);
INSERT INTO product VALUES (1, 10), (2, 20);
SELECT occ.enable('product');

-- Writes, and then fails until it has been called often enough. A sequence is not rolled back.
CREATE SEQUENCE calls;
CREATE FUNCTION flaky(succeeds_at int, state text DEFAULT 'PT409') RETURNS int LANGUAGE plpgsql AS $$
BEGIN
    UPDATE product SET stock = stock - 1 WHERE id = 1;
    IF nextval('calls') < succeeds_at THEN
        RAISE EXCEPTION 'call %', currval('calls') USING ERRCODE = state, DETAIL = 'the detail', HINT = 'the hint',
            SCHEMA = 'the schema', TABLE = 'the table', COLUMN = 'the column', CONSTRAINT = 'the constraint',
            DATATYPE = 'the type';
    END IF;
    RETURN currval('calls');
END $$;

\set restart 'ALTER SEQUENCE calls RESTART;'

-- A conflict, a serialization failure and a deadlock are tried again; only the last attempt's write stays.
CALL occ.retry('SELECT flaky(1)');
:restart
CALL occ.retry('SELECT flaky(3)');
:restart
CALL occ.retry($$SELECT flaky(3, '40001')$$);
:restart
CALL occ.retry($$SELECT flaky(3, '40P01')$$);
SELECT * FROM product ORDER BY id;

-- So is the SQLSTATE that conflicts have in this session, and PT409 all the same.
SET occ_lock.conflict_sqlstate = 'PT499';
:restart
CALL occ.retry($$SELECT flaky(2, 'PT499')$$);
:restart
CALL occ.retry($$SELECT flaky(2, 'PT409')$$);
RESET occ_lock.conflict_sqlstate;

-- It gives up with the last error, all fields kept.
:restart
CALL occ.retry('SELECT flaky(9)', max_attempts => 3, base_delay => '1 ms');
\echo :SQLSTATE
SELECT * FROM product ORDER BY id;

-- A real conflict: the version in the statement does not get better.
CALL occ.retry('UPDATE product SET stock = 5, version = 1 WHERE id = 1', 2);

-- Any other error passes at once.
:restart
CALL occ.retry($$SELECT flaky(9, '55P03')$$);
SELECT last_value FROM calls;
CALL occ.retry($$UPDATE product SET stock = stock / 0$$);
CALL occ.retry('UPDAT product');
SET occ_lock.conflict_sqlstate = 'PT499';
CALL occ.retry($$SELECT flaky(9, 'PT428')$$);
RESET occ_lock.conflict_sqlstate;
SELECT * FROM product ORDER BY id;

-- What fails at the commit belongs to the attempt.
CREATE FUNCTION check_late() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF nextval('calls') < 3 THEN
        RAISE EXCEPTION 'late' USING ERRCODE = '40001';
    END IF;
    RETURN NULL;
END $$;
CREATE CONSTRAINT TRIGGER late AFTER UPDATE ON product DEFERRABLE INITIALLY DEFERRED
    FOR EACH ROW EXECUTE FUNCTION check_late();
:restart
CALL occ.retry('UPDATE product SET stock = stock + 100 WHERE id = 2 RETURNING stock');
:restart
CALL occ.retry('UPDATE product SET stock = stock + 100 WHERE id = 2 RETURNING stock', 2, base_delay => '0 s');
SELECT * FROM product ORDER BY id;
DROP TRIGGER late ON product;

-- The result is the first row; all rows are written.
CALL occ.retry('UPDATE product SET stock = 0 RETURNING id, stock');
CALL occ.retry('UPDATE product SET stock = 1');
CALL occ.retry('SELECT * FROM product WHERE false');
CALL occ.retry('SELECT');
CALL occ.retry($$SELECT 1 AS a, NULL AS b, '{"x": [1.50]}'::jsonb AS c, ARRAY[1, 2] AS d, '2026-01-01 12:00+0'::timestamptz AS e, ROW(1, 'x') AS f$$);
CALL occ.retry('SHOW search_path');
CALL occ.retry('SELECT id AS x, stock AS y FROM product ORDER BY 1 DESC');
CALL occ.retry('SELECT id AS x, stock AS y, version AS z FROM product WHERE id = 1');
CALL occ.retry('SELECT * FROM length($$four$$)');
CALL occ.retry('WITH w (a, b) AS MATERIALIZED (SELECT 1, 2) SELECT * FROM w');
CALL occ.retry('SELECT 1 AS a UNION ALL SELECT 2 AS b');
CALL occ.retry('ANALYZE product');
CALL occ.retry('CREATE TABLE made AS SELECT $1::int AS x', arguments => '[7]');
TABLE made;
CALL occ.retry('DROP TABLE made');
CALL occ.retry($$DO 'BEGIN UPDATE product SET stock = 77; END'$$);
SELECT jsonb_build_array(jsonb_agg(to_jsonb(p) || '{"stock": 50}')) AS read FROM product AS p \gset
CALL occ.retry($$SELECT * FROM occ.update('product', $1)$$, arguments => :'read');
PREPARE prepared(int) AS SELECT $1 AS one;
CALL occ.retry('EXECUTE prepared(1)');
DEALLOCATE prepared;
SELECT id, stock FROM product ORDER BY id;

-- Arguments have the types that the statement gives them.
CREATE TYPE pair AS (a int, b text);
CREATE DOMAIN positive AS int CHECK (VALUE > 0);
CALL occ.retry($$SELECT $1::text AS a, $2 + 1 AS b, $3 AND true AS c, $4::numeric AS d, $5::timestamptz AS e$$,
    arguments => '["it''s; DROP TABLE product", 41, true, 12345678901234567890.10, "2026-01-01 00:00:00.123456+00"]');
CALL occ.retry($$SELECT $1::int[] AS a, $2::pair AS b, $3::jsonb AS c, $4::json AS d, $5::jsonb AS e, $6::pair[] AS f$$,
    arguments => '[[1, null], {"a": 1, "b": "x"}, {"x": 1}, ["y"], "z", [{"a": 2}]]');
CALL occ.retry($$SELECT $1::int AS a, $2::jsonb AS b, $3::text AS c, $4::positive AS d$$, arguments => '[null, null, null, 1]');
CALL occ.retry($$UPDATE product SET stock = stock - $2 WHERE id = $1 RETURNING stock$$, arguments => '[1, 3]');
CALL occ.retry($$SELECT $1::text AS a, $1::text AS b$$, arguments => '["both"]');
CALL occ.retry($$SELECT flaky($1)$$, arguments => '[1]');
CALL occ.retry('SELECT 1 AS one', arguments => '[]');

CALL occ.retry('SELECT $1 + 1', arguments => '["x"]');
\echo :SQLSTATE
CALL occ.retry('SELECT $1::positive', arguments => '[-1]');
\echo :SQLSTATE
CALL occ.retry('SELECT $1::pair', arguments => '[[1]]');
\echo :SQLSTATE
CALL occ.retry('SELECT $1 IS NULL', arguments => '[1]');
\echo :SQLSTATE
CALL occ.retry('SELECT $1 IS NULL, $1 + 1', arguments => '[1]');
CALL occ.retry('CREATE TABLE made AS SELECT $1 IS NULL, $1 + 1', arguments => '[1]');
\echo :SQLSTATE
CALL occ.retry('SELECT $1::int, $1::text', arguments => '[1]');
\echo :SQLSTATE
CALL occ.retry('SELECT $2 + 1', arguments => '[1, 2]');
\echo :SQLSTATE
CALL occ.retry('SELECT $1 + $2', arguments => '[1]');
\echo :SQLSTATE
CALL occ.retry('SELECT $1 + 1');
\echo :SQLSTATE
CALL occ.retry('SELECT 1', arguments => '[1, 2]');
\echo :SQLSTATE
CALL occ.retry('SELECT $0');
\echo :SQLSTATE
CALL occ.retry('SELECT $1::record', arguments => '[{"a": 1}]');
\echo :SQLSTATE
CALL occ.retry('SELECT $1::anyelement', arguments => '[1]');
\echo :SQLSTATE
CALL occ.retry('SELECT $40000 + 1', arguments => '[1]');
\echo :SQLSTATE
CALL occ.retry('SELECT $1', arguments => '{"a": 1}');
\echo :SQLSTATE
CALL occ.retry('SELECT $1', arguments => '"a"');
\echo :SQLSTATE
CALL occ.retry('SELECT $1', arguments => 'null');
\echo :SQLSTATE
CALL occ.retry('SELECT $1', arguments => NULL);
\echo :SQLSTATE

-- A domain of the arguments that looks into a table, right after a rollback, when there is no snapshot.
CREATE FUNCTION is_product(int) RETURNS boolean STABLE LANGUAGE sql AS 'SELECT EXISTS (SELECT FROM product WHERE id = $1)';
CREATE DOMAIN product_id AS int CHECK (is_product(VALUE));
:restart
CALL occ.retry('SELECT flaky(2), $1::product_id AS id', arguments => '[1]');
CALL occ.retry('SELECT $1::product_id', arguments => '[3]');
DROP DOMAIN product_id;
DROP FUNCTION is_product;

-- The statement may drop what runs it.
BEGIN;
CALL occ.retry('DROP EXTENSION occ_lock CASCADE');
ROLLBACK;

-- What can't be run.
CALL occ.retry('COMMIT');
\echo :SQLSTATE
CALL occ.retry('BEGIN');
\echo :SQLSTATE
CALL occ.retry('SAVEPOINT s');
\echo :SQLSTATE
CALL occ.retry('VACUUM product');
\echo :SQLSTATE
CALL occ.retry('CREATE DATABASE d');
\echo :SQLSTATE
CALL occ.retry('ALTER SYSTEM SET work_mem = 1');
\echo :SQLSTATE
CALL occ.retry('COPY product TO STDOUT');
\echo :SQLSTATE
CALL occ.retry('COPY product FROM STDIN');
\echo :SQLSTATE
CALL occ.retry('CREATE INDEX CONCURRENTLY ON product (stock)');
\echo :SQLSTATE
CREATE PROCEDURE committing() LANGUAGE plpgsql AS 'BEGIN COMMIT; END';
CALL occ.retry('CALL committing()');
\echo :SQLSTATE
CALL occ.retry('');
\echo :SQLSTATE
CALL occ.retry(' ; -- nothing');
\echo :SQLSTATE
CALL occ.retry('SELECT 1; SELECT 2');
\echo :SQLSTATE

-- Bad arguments.
CALL occ.retry(NULL);
\echo :SQLSTATE
CALL occ.retry('SELECT 1', NULL);
\echo :SQLSTATE
CALL occ.retry('SELECT 1', 0);
\echo :SQLSTATE
CALL occ.retry('SELECT 1', -1);
\echo :SQLSTATE
CALL occ.retry('SELECT 1', base_delay => NULL);
\echo :SQLSTATE
CALL occ.retry('SELECT 1', max_delay => NULL);
\echo :SQLSTATE
CALL occ.retry('SELECT 1', base_delay => '-1 ms');
\echo :SQLSTATE
CALL occ.retry('SELECT 1', base_delay => '1 day -25 hours');
\echo :SQLSTATE
CALL occ.retry('SELECT 1', base_delay => '2 s');
\echo :SQLSTATE
CALL occ.retry('SELECT 1', max_delay => '178000000 years');
\echo :SQLSTATE
CALL occ.retry('SELECT 1', base_delay => '0', max_delay => '0');

-- In a transaction block, an attempt is a subtransaction, and what was done before stays.
:restart
BEGIN;
UPDATE product SET stock = 1000 WHERE id = 2;
CALL occ.retry('SELECT flaky(3)');
ROLLBACK;
:restart
BEGIN;
UPDATE product SET stock = 1000 WHERE id = 2;
SAVEPOINT s;
CALL occ.retry('SELECT flaky(9)', 2);
ROLLBACK TO s;
COMMIT;
SELECT id, stock FROM product ORDER BY id;

-- So it is in a function, in a block with an EXCEPTION clause, and after a write in a DO block.
:restart
CREATE FUNCTION sell(OUT attempts int, OUT result jsonb) LANGUAGE plpgsql AS $$
BEGIN
    CALL occ.retry('SELECT flaky(3)', attempts => attempts, result => result);
END $$;
SELECT * FROM sell();
:restart
DO $$
DECLARE n int; r jsonb;
BEGIN
    UPDATE product SET stock = stock + 1 WHERE id = 2;
    CALL occ.retry('SELECT flaky(3)', attempts => n, result => r);
    RAISE NOTICE 'attempts %, result %', n, r;
    BEGIN
        PERFORM setval('calls', 1, false);
        CALL occ.retry('SELECT flaky(9)', 2, attempts => n, result => r);
    EXCEPTION WHEN SQLSTATE 'PT409' THEN
        RAISE NOTICE 'gave up: %', SQLERRM;
    END;
END $$;
SELECT id, stock FROM product ORDER BY id;

-- An EXCEPTION clause makes a subtransaction, also where nothing was written.
SELECT setval('calls', 1, false);
DO $$
DECLARE n int; r jsonb;
BEGIN
    CALL occ.retry('SELECT flaky(3)', attempts => n, result => r);
    RAISE NOTICE 'attempts %, result %', n, r;
    CALL occ.retry('SELECT flaky(9)', 2, attempts => n, result => r);
EXCEPTION WHEN SQLSTATE 'PT409' THEN
    RAISE NOTICE 'gave up: %', SQLERRM;
END $$;
SELECT id, stock FROM product ORDER BY id;

-- A procedure or DO block commits for itself; what it has set and locked stays, from attempt to attempt and afterwards.
CREATE ROLE regress_occ_clerk;
GRANT USAGE ON SEQUENCE calls TO regress_occ_clerk;
GRANT SELECT, UPDATE ON product TO regress_occ_clerk;
CREATE FUNCTION whoami() RETURNS text LANGUAGE plpgsql AS $$
BEGIN
    PERFORM flaky(2);
    RETURN current_user;
END $$;
CREATE PROCEDURE as_clerk() LANGUAGE plpgsql AS $$
DECLARE n int; r jsonb;
BEGIN
    SET LOCAL ROLE regress_occ_clerk;
    PERFORM pg_advisory_xact_lock(1);
    CALL occ.retry('SELECT whoami()', attempts => n, result => r);
    RAISE NOTICE 'attempts %, result %, then %, locks %', n, r, current_user,
        (SELECT count(*) FROM pg_locks WHERE locktype = 'advisory');
END $$;
:restart
CALL as_clerk();
DROP PROCEDURE as_clerk;
DROP OWNED BY regress_occ_clerk;
DROP ROLE regress_occ_clerk;
SELECT id, stock FROM product ORDER BY id;

-- So is an argument's function not undone that has written.
CREATE TABLE log (entry text);
CREATE FUNCTION written(entry text) RETURNS jsonb LANGUAGE sql AS $$INSERT INTO log VALUES (entry) RETURNING '[3]'::jsonb$$;
:restart
CALL occ.retry('SELECT flaky($1)', arguments => written('argument'));
TABLE log;
TRUNCATE log;
DROP FUNCTION written;

-- Two statements in one message are a block, too.
:restart
INSERT INTO log VALUES ('before') \; CALL occ.retry('SELECT flaky(9)', 2) \; INSERT INTO log VALUES ('after');
TABLE log;
:restart
INSERT INTO log VALUES ('before') \; CALL occ.retry('SELECT flaky(2)') \; INSERT INTO log VALUES ('after');
TABLE log;

-- Where no later attempt can succeed, it says so at once.
BEGIN ISOLATION LEVEL REPEATABLE READ;
CALL occ.retry('SELECT flaky(1)');
\echo :SQLSTATE
ROLLBACK;
BEGIN ISOLATION LEVEL SERIALIZABLE;
CALL occ.retry('SELECT flaky(1)');
\echo :SQLSTATE
ROLLBACK;

-- On its own it works under every level.
CREATE FUNCTION isolation() RETURNS text LANGUAGE plpgsql AS $$
BEGIN
    PERFORM flaky(3);
    RETURN current_setting('transaction_isolation');
END $$;
SET default_transaction_isolation = 'repeatable read';
:restart
CALL occ.retry('SELECT isolation()');
SET default_transaction_isolation = 'serializable';
:restart
CALL occ.retry('SELECT isolation()');
RESET default_transaction_isolation;

-- Each attempt has its own now(), later than the pause.
CREATE TABLE seen (at timestamptz);
CREATE FUNCTION see() RETURNS boolean LANGUAGE plpgsql AS $$
BEGIN
    PERFORM flaky(2);
    RETURN now() > statement_timestamp() + interval '5 ms';
END $$;
:restart
CALL occ.retry('SELECT see()', base_delay => '10 ms');

-- In one another.
:restart
CALL occ.retry($$CALL occ.retry('SELECT flaky(4)', 2)$$, 2);

-- Anybody may, with their own rights.
CREATE ROLE regress_occ_clerk;
SET ROLE regress_occ_clerk;
CALL occ.retry('SELECT 1 AS one');
CALL occ.retry('UPDATE product SET stock = 0');
RESET ROLE;
DROP ROLE regress_occ_clerk;

-- Every field of the last error is kept.
CREATE FUNCTION fields_of_last_error() RETURNS text LANGUAGE plpgsql AS $$
DECLARE
    n int; r jsonb; state text; message text; detail text; hint text; context text; schema text; tab text; col text;
    con text; typ text;
BEGIN
    CALL occ.retry('SELECT flaky(9)', 3, attempts => n, result => r);
EXCEPTION WHEN OTHERS THEN
    GET STACKED DIAGNOSTICS state = RETURNED_SQLSTATE, message = MESSAGE_TEXT, detail = PG_EXCEPTION_DETAIL,
        hint = PG_EXCEPTION_HINT, context = PG_EXCEPTION_CONTEXT, schema = SCHEMA_NAME, tab = TABLE_NAME,
        col = COLUMN_NAME, con = CONSTRAINT_NAME, typ = PG_DATATYPE_NAME;
    RETURN concat_ws(E'\n', state, message, detail, hint, schema, tab, col, con, typ, context);
END $$;
:restart
SELECT fields_of_last_error();

-- Many attempts leave nothing behind: the tenth and the thousandth find the session alike.
CREATE FUNCTION memory() RETURNS bigint LANGUAGE sql AS 'SELECT sum(total_bytes)::bigint FROM pg_backend_memory_contexts';
CREATE FUNCTION measure(succeeds_at int, ballast text) RETURNS bigint LANGUAGE plpgsql AS $$
BEGIN
    IF nextval('calls') < succeeds_at THEN
        RAISE SQLSTATE 'PT409';
    END IF;
    RETURN memory();
END $$;
SELECT jsonb_build_array(10, repeat('x', 10000)) AS ten, jsonb_build_array(1000, repeat('x', 10000)) AS thousand \gset
\set call 'CALL occ.retry(''SELECT measure($1, $2)'', 1000, base_delay => ''0'', arguments => '
:restart
:call :'ten') \gset
:restart
:call :'ten') \gset ten_
:restart
:call :'thousand') \gset thousand_
SELECT :thousand_attempts AS attempts,
    (:'thousand_result'::jsonb->>'measure')::int - (:'ten_result'::jsonb->>'measure')::int < 100000 AS given_back;
BEGIN;
:restart
:call :'ten') \gset ten_
:restart
:call :'thousand') \gset thousand_
SELECT :thousand_attempts AS attempts,
    (:'thousand_result'::jsonb->>'measure')::int - (:'ten_result'::jsonb->>'measure')::int < 100000 AS given_back;
ROLLBACK;

DROP TABLE product, log, seen;
DROP SEQUENCE calls;
DROP FUNCTION flaky, check_late, sell, isolation, see, whoami, fields_of_last_error, memory, measure;
DROP PROCEDURE committing;
DROP TYPE pair;
DROP DOMAIN positive;
