-- A stamp of the statement's or the transaction's start says nothing of what was read, as long as it can't have been read:
-- nothing that was committed since the client sent its message can have it.

\set VERBOSITY sqlstate
SET client_min_messages = warning;
CREATE TABLE row_of (id int PRIMARY KEY, content text, at timestamptz);
CREATE TABLE outcome (n serial, how text, type text, preset text, sqlstate text, content text);

-- Make the table anew, guarded, with another type of version.
CREATE PROCEDURE make(type text, preset text) LANGUAGE plpgsql AS $$
BEGIN
    DROP TABLE row_of;
    EXECUTE format('CREATE TABLE row_of (id int PRIMARY KEY, content text, at %s)', type);
    PERFORM occ.enable('row_of', 'at', preset => preset);
END $$;
-- The time as the version's type has it.
CREATE FUNCTION as_version(moment timestamptz) RETURNS text LANGUAGE sql STABLE AS $$
    SELECT CASE atttypid WHEN 'float8'::regtype THEN extract(epoch FROM moment)::float8::text
                         WHEN 'timestamp'::regtype THEN moment::timestamp::text ELSE moment::text END
    FROM pg_attribute WHERE attrelid = 'row_of'::regclass AND attname = 'at'
$$;
-- Insert a row with the start of the transaction; another one changes it; state what was inserted.
CREATE PROCEDURE insert_row() LANGUAGE plpgsql AS $$ BEGIN EXECUTE format('INSERT INTO row_of VALUES (1, ''inserted'', %L)', as_version(now())); END $$;
CREATE PROCEDURE somebody_else() LANGUAGE sql AS $$ UPDATE row_of SET content = 'somebody else''s', at = at $$;
CREATE PROCEDURE state_start(how text, type text, preset text) LANGUAGE plpgsql AS $$
DECLARE
    state text := 'passed';
BEGIN
    BEGIN
        EXECUTE format('UPDATE row_of SET content = ''stale'', at = %L', as_version(statement_timestamp()));
    EXCEPTION WHEN OTHERS THEN
        state := sqlstate;
    END;
    INSERT INTO outcome (how, type, preset, sqlstate, content) SELECT how, type, preset, state, content FROM row_of;
END $$;

-- A procedure that commits.
CREATE PROCEDURE job(type text, preset text) LANGUAGE plpgsql AS $$
BEGIN
    CALL make(type, preset);
    CALL insert_row();
    COMMIT;
    -- Under orm an echo does not move the version: a later time does.
    IF preset = 'orm' THEN
        EXECUTE format('UPDATE row_of SET content = ''somebody else''''s'', at = %L', as_version(clock_timestamp() + interval '1 s'));
    ELSE
        CALL somebody_else();
    END IF;
    COMMIT;
    CALL state_start('procedure', type, preset);
END $$;
CALL job('timestamptz', 'shared');
CALL job('timestamptz', 'orm');
CALL job('timestamptz(3)', 'shared');
CALL job('timestamp', 'shared');
CALL job('timestamp', 'orm');
CALL job('double precision', 'shared');
CALL job('double precision', 'orm');

-- One string with several transactions.  All of them have the same start.
CALL make('timestamptz', 'shared');
BEGIN\; CALL insert_row()\; COMMIT\; CALL somebody_else()\; CALL state_start('string', 'timestamptz', 'shared');
CALL make('timestamp', 'shared');
BEGIN\; CALL insert_row()\; COMMIT\; CALL somebody_else()\; BEGIN\; CALL state_start('string', 'timestamp', 'shared')\; COMMIT;
CALL make('double precision', 'shared');
BEGIN\; CALL insert_row()\; COMMIT\; CALL somebody_else()\; CALL state_start('string', 'double precision', 'shared');

-- The same where the library is loaded by the last statement only.  "Somebody else" does without the guard.
CALL make('timestamptz', 'shared');
\c -
\set VERBOSITY sqlstate
SET client_min_messages = warning;
BEGIN\; INSERT INTO row_of VALUES (1, 'inserted', now())\; COMMIT\; SET session_replication_role = replica\; UPDATE row_of SET content = 'somebody else''s', at = at + interval '1 ms'\; RESET session_replication_role\; COMMIT\; CALL state_start('first statement of a session, string', 'timestamptz', 'shared');
DELETE FROM row_of;
\c -
\set VERBOSITY sqlstate
SET client_min_messages = warning;
DO $$
BEGIN
    INSERT INTO row_of VALUES (1, 'inserted', now());
    COMMIT;
    SET session_replication_role = replica;
    UPDATE row_of SET content = 'somebody else''s', at = at + interval '1 ms';
    RESET session_replication_role;
    COMMIT;
    CALL state_start('first statement of a session, procedure', 'timestamptz', 'shared');
END $$;

SELECT how, type, preset, sqlstate, content FROM outcome ORDER BY n;

-- What goes on being a stamp: a start of which nothing is committed yet, or nothing that was written.
CREATE FUNCTION stamps() RETURNS boolean LANGUAGE plpgsql AS $$
DECLARE
    before timestamptz;
    after timestamptz;
BEGIN
    UPDATE row_of SET content = 'ahead', at = clock_timestamp() + interval '1 h' RETURNING at INTO before;
    UPDATE row_of SET content = 'stamped', at = now() RETURNING at INTO after;
    RETURN after > before;
END $$;
SELECT stamps();
BEGIN\; SELECT stamps()\; COMMIT;
BEGIN\; SELECT count(*) FROM row_of\; COMMIT\; SELECT stamps();
BEGIN;
SELECT stamps();
COMMIT;
BEGIN\; INSERT INTO outcome (how) VALUES ('not committed')\; ROLLBACK\; BEGIN\; SELECT stamps()\; COMMIT;
-- A message that commits before it has run anything leaves its start in no row; one that has run something may.
BEGIN;
INSERT INTO outcome (how) VALUES ('something to commit');
COMMIT AND CHAIN;
SELECT stamps();
COMMIT;
BEGIN;
INSERT INTO outcome (how) VALUES ('something to commit');
COMMIT\; BEGIN;
SELECT stamps();
COMMIT;
BEGIN;
INSERT INTO outcome (how) VALUES ('something to commit');
INSERT INTO outcome (how) VALUES ('something with that start')\; COMMIT AND CHAIN;
SELECT stamps();
COMMIT;
-- A transaction that a procedure begins has a start of its own.
CREATE PROCEDURE stamps_later() LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO outcome (how) VALUES ('something to commit');
    COMMIT;
    IF NOT stamps() THEN
        RAISE EXCEPTION 'not a stamp';
    END IF;
END $$;
CALL stamps_later();
\c -
CALL stamps_later();
DROP TABLE row_of, outcome;
DROP FUNCTION as_version, stamps;
DROP PROCEDURE make, insert_row, somebody_else, state_start, job, stamps_later;
