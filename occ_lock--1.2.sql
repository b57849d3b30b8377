/* occ_lock--1.2.sql */

-- complain if script is sourced in psql, rather than via CREATE EXTENSION
\echo Use "CREATE EXTENSION occ_lock" to load this file. \quit

-- Whoever owns the schema, or may create in it, can put functions there that a call finds before ours: that must not be a
-- stranger, nor may he have done so.
DO $$
DECLARE
    schema record;
    trusted pg_catalog.oid[];
    former_owner pg_catalog.oid;
    culprits pg_catalog.text;
BEGIN
    SELECT n.oid, n.nspowner AS owner, n.nspacl AS acl, e.extowner AS installer, d.oid AS database, d.datdba
        INTO schema
        FROM pg_catalog.pg_extension AS e
             JOIN pg_catalog.pg_namespace AS n ON n.oid OPERATOR(pg_catalog.=) e.extnamespace
             JOIN pg_catalog.pg_database AS d ON d.datname OPERATOR(pg_catalog.=) pg_catalog.current_database()
        WHERE e.extname OPERATOR(pg_catalog.=) 'occ_lock';

    -- The installing role, the database's owner, and who has all rights of one of them, as superusers have.
    SELECT pg_catalog.array_agg(r.oid) INTO trusted
        FROM pg_catalog.pg_roles AS r
        WHERE pg_catalog.pg_has_role(r.oid, schema.installer, 'USAGE')
           OR pg_catalog.pg_has_role(r.oid, schema.datdba, 'USAGE')
           OR r.rolname OPERATOR(pg_catalog.=) 'pg_database_owner';

    former_owner := schema.owner;

    -- A dump gives the schema to its old owner, and then makes the extension, which becomes the restoring role's.  So does the
    -- schema here, if its owner is a stranger now and the role could take it.  row_security is off in pg_dump's scripts; a
    -- stranger can't turn it off for others, and would gain nothing by it.
    IF schema.owner OPERATOR(pg_catalog.<>) ALL (trusted)
       AND pg_catalog.current_setting('row_security') OPERATOR(pg_catalog.=) 'off'
       AND pg_catalog.pg_has_role(schema.installer, schema.owner, 'USAGE') THEN
        EXECUTE pg_catalog.format('ALTER SCHEMA occ OWNER TO %I', pg_catalog.pg_get_userbyid(schema.installer));
        RAISE WARNING
            USING MESSAGE = pg_catalog.format('schema "occ" is handed over to role "%s"', pg_catalog.pg_get_userbyid(schema.installer)),
                  DETAIL = pg_catalog.format('Its owner "%s" is neither a superuser nor the owner of this database.',
                                             pg_catalog.pg_get_userbyid(schema.owner));
        SELECT n.nspowner AS owner, n.nspacl AS acl INTO schema.owner, schema.acl
            FROM pg_catalog.pg_namespace AS n WHERE n.oid OPERATOR(pg_catalog.=) schema.oid;
    END IF;

    IF schema.owner OPERATOR(pg_catalog.<>) ALL (trusted) THEN
        RAISE insufficient_privilege
            USING MESSAGE = 'schema "occ" belongs to another role',
                  DETAIL = pg_catalog.format('Role "%s" could put functions beside the extension''s, which would run with the rights of whoever calls them.',
                                             pg_catalog.pg_get_userbyid(schema.owner)),
                  HINT = pg_catalog.format('Drop the schema, or have it handed over: ALTER SCHEMA occ OWNER TO %I.',
                                           pg_catalog.pg_get_userbyid(schema.installer));
    END IF;

    SELECT pg_catalog.string_agg(CASE WHEN a.grantee OPERATOR(pg_catalog.=) 0::pg_catalog.oid THEN 'PUBLIC'
                                      ELSE pg_catalog.quote_ident(pg_catalog.pg_get_userbyid(a.grantee)::pg_catalog.text) END, ', ')
        INTO culprits
        FROM pg_catalog.aclexplode(schema.acl) AS a
        WHERE a.privilege_type OPERATOR(pg_catalog.=) 'CREATE'
          AND a.grantee OPERATOR(pg_catalog.<>) ALL (trusted);
    IF culprits IS NOT NULL THEN
        RAISE insufficient_privilege
            USING MESSAGE = 'other roles may create objects in schema "occ"',
                  DETAIL = 'They could put functions beside the extension''s, which would run with the rights of whoever calls them.',
                  HINT = pg_catalog.format('Make the schema first, if it is not there, and REVOKE CREATE ON SCHEMA occ FROM %s.', culprits);
    END IF;

    -- What the bootstrap superuser owns has no entry in pg_shdepend.  Default privileges hold for what their owner makes.
    SELECT pg_catalog.string_agg(o.name, ', ') INTO culprits
        FROM (SELECT pg_catalog.pg_describe_object(d.classid, d.objid, 0) AS name
              FROM pg_catalog.pg_depend AS d
                   JOIN pg_catalog.pg_shdepend AS s
                       ON s.classid OPERATOR(pg_catalog.=) d.classid
                      AND s.objid OPERATOR(pg_catalog.=) d.objid
                   JOIN pg_catalog.pg_database AS b ON b.oid OPERATOR(pg_catalog.=) s.dbid
              WHERE b.datname OPERATOR(pg_catalog.=) pg_catalog.current_database()
                AND d.refclassid OPERATOR(pg_catalog.=) 'pg_catalog.pg_namespace'::pg_catalog.regclass::pg_catalog.oid
                AND d.refobjid OPERATOR(pg_catalog.=) schema.oid
                AND d.classid OPERATOR(pg_catalog.<>) 'pg_catalog.pg_default_acl'::pg_catalog.regclass::pg_catalog.oid
                AND s.deptype OPERATOR(pg_catalog.=) 'o'::pg_catalog."char"
                AND s.refobjid OPERATOR(pg_catalog.<>) ALL (trusted)
              ORDER BY d.objid
              LIMIT 5) AS o;
    IF culprits IS NOT NULL THEN
        RAISE insufficient_privilege
            USING MESSAGE = 'schema "occ" holds objects of another role',
                  DETAIL = pg_catalog.format('Among them: %s.', culprits),
                  HINT = 'Drop them: they could be taken for the extension''s own.';
    END IF;

    -- What a transaction that is still open has put there can't be seen.  It has a lock on the schema, or at least, where
    -- PostgreSQL does not take that for functions, one on the role that owns what it has made.
    IF EXISTS (SELECT
               FROM pg_catalog.pg_locks AS l
                    LEFT JOIN pg_catalog.pg_stat_activity AS a ON a.pid OPERATOR(pg_catalog.=) l.pid
               WHERE l.locktype OPERATOR(pg_catalog.=) 'object'
                 AND COALESCE(l.pid, 0) OPERATOR(pg_catalog.<>) pg_catalog.pg_backend_pid()
                 AND (l.classid OPERATOR(pg_catalog.=) 'pg_catalog.pg_namespace'::pg_catalog.regclass::pg_catalog.oid
                      AND l.objid OPERATOR(pg_catalog.=) schema.oid
                      AND l.database OPERATOR(pg_catalog.=) schema.database
                      OR l.classid OPERATOR(pg_catalog.=) 'pg_catalog.pg_authid'::pg_catalog.regclass::pg_catalog.oid
                      AND l.objid OPERATOR(pg_catalog.=) former_owner
                      AND former_owner OPERATOR(pg_catalog.<>) ALL (trusted)
                      -- A prepared transaction has no process to tell the database.
                      AND COALESCE(a.datid, schema.database) OPERATOR(pg_catalog.=) schema.database)) THEN
        RAISE object_in_use
            USING MESSAGE = 'schema "occ" is in use by another transaction',
                  DETAIL = 'It may have put something there that can''t be seen before it ends.',
                  HINT = 'Try again when it has ended; pg_locks and pg_prepared_xacts tell which one it is.';
    END IF;
END $$;

-- The trigger.

CREATE FUNCTION occ.guard() RETURNS trigger
    LANGUAGE c VOLATILE PARALLEL UNSAFE
    AS 'MODULE_PATHNAME', 'occ_guard';

COMMENT ON FUNCTION occ.guard() IS
    'trigger function: keeps the version column, refuses updates that state a stale version';

-- The trigger's work as a part of the plan of an UPDATE. Nobody can call these from SQL: they take an "internal".

CREATE FUNCTION occ.next_version(internal, relation regclass, stored anyelement) RETURNS anyelement
    LANGUAGE c VOLATILE PARALLEL UNSAFE
    AS 'MODULE_PATHNAME', 'occ_next_version';

COMMENT ON FUNCTION occ.next_version(internal, regclass, anyelement) IS
    'in plans only: the version that an UPDATE of a guarded table writes';

CREATE FUNCTION occ.next_version(internal, relation regclass, stored anyelement, stated anyelement) RETURNS anyelement
    LANGUAGE c VOLATILE PARALLEL UNSAFE
    AS 'MODULE_PATHNAME', 'occ_next_version';

COMMENT ON FUNCTION occ.next_version(internal, regclass, anyelement, anyelement) IS
    'in plans only: the version that an UPDATE of a guarded table writes, if the version read is right';

-- Guarding tables.

CREATE FUNCTION occ.enable(
        relation regclass,
        version_column name DEFAULT 'version',
        preset text DEFAULT 'shared',
        ignore name[] DEFAULT '{}',
        token text DEFAULT NULL,
        echo text DEFAULT NULL,
        unstated text DEFAULT NULL,
        deletes text DEFAULT NULL,
        enforce text DEFAULT 'error',
        time_precision text DEFAULT NULL,
        key name[] DEFAULT NULL)
    RETURNS void
    LANGUAGE c VOLATILE PARALLEL UNSAFE
    AS 'MODULE_PATHNAME', 'occ_enable';

COMMENT ON FUNCTION occ.enable(regclass, name, text, name[], text, text, text, text, text, text, name[]) IS
    'guard a table: stale updates are refused from now on';

CREATE FUNCTION occ.disable(relation regclass, drop_column boolean DEFAULT false)
    RETURNS void
    LANGUAGE c VOLATILE PARALLEL UNSAFE
    AS 'MODULE_PATHNAME', 'occ_disable';

COMMENT ON FUNCTION occ.disable(regclass, boolean) IS
    'take the guard off a table, and its version column if asked to';

CREATE FUNCTION occ.guard_options(
        relation oid,
        arguments bytea,
        OUT version_column name,
        OUT version_type regtype,
        OUT key_columns name[],
        OUT token text,
        OUT echo text,
        OUT unstated text,
        OUT ignore name[],
        OUT deletes text,
        OUT enforce text,
        OUT time_precision text)
    RETURNS record
    LANGUAGE c STABLE STRICT PARALLEL SAFE
    AS 'MODULE_PATHNAME', 'occ_guard_options';

COMMENT ON FUNCTION occ.guard_options(oid, bytea) IS
    'for the view occ.tables: what a guard''s arguments mean';

CREATE VIEW occ.tables AS
    -- Guards of which a partition's share is disabled, or one of a partition below it.  By catalogues alone: what asks for
    -- the partitions of a table locks them all, and waits for that.
    WITH RECURSIVE partly_disabled(trigger) AS (
        SELECT c.tgparentid
        FROM pg_catalog.pg_trigger AS c
        WHERE c.tgfoid OPERATOR(pg_catalog.=) 'occ.guard()'::pg_catalog.regprocedure::pg_catalog.oid
          AND c.tgparentid OPERATOR(pg_catalog.<>) 0::pg_catalog.oid
          AND c.tgenabled OPERATOR(pg_catalog.<>) ALL ('{O,A}'::pg_catalog."char"[])
        UNION
        SELECT c.tgparentid
        FROM partly_disabled AS d
             JOIN pg_catalog.pg_trigger AS c ON c.oid OPERATOR(pg_catalog.=) d.trigger
        WHERE c.tgparentid OPERATOR(pg_catalog.<>) 0::pg_catalog.oid
    )
    SELECT t.tgrelid::pg_catalog.regclass AS table_name,
           o.version_column,
           o.version_type,
           o.key_columns,
           o.token,
           o.echo,
           o.unstated,
           o.ignore,
           -- A trigger made by hand may have a preset that checks deletes, and not fire on them.
           CASE
               WHEN t.tgtype OPERATOR(pg_catalog.&) 8::pg_catalog.int2
                    OPERATOR(pg_catalog.=) 0::pg_catalog.int2 AND o.deletes IS NOT NULL
               THEN 'allow'
               ELSE o.deletes
           END AS deletes,
           o.enforce,
           o.time_precision,
           t.tgenabled OPERATOR(pg_catalog.=) ANY ('{O,A}'::pg_catalog."char"[])
               AND NOT EXISTS (
                   SELECT FROM partly_disabled AS d
                   WHERE d.trigger OPERATOR(pg_catalog.=) t.oid) AS enabled
    FROM pg_catalog.pg_trigger AS t
         CROSS JOIN LATERAL occ.guard_options(t.tgrelid, t.tgargs) AS o
    WHERE t.tgfoid OPERATOR(pg_catalog.=) 'occ.guard()'::pg_catalog.regprocedure::pg_catalog.oid
      AND t.tgparentid OPERATOR(pg_catalog.=) 0::pg_catalog.oid;

COMMENT ON VIEW occ.tables IS
    'the guarded tables and their options; a partitioned table stands for its partitions';

-- Checked reads and writes of many rows.

CREATE FUNCTION occ.check(relation regclass, expected jsonb, lock text DEFAULT 'update')
    RETURNS TABLE (key jsonb, status text, version text)
    LANGUAGE c VOLATILE PARALLEL UNSAFE
    AS 'MODULE_PATHNAME', 'occ_check';

COMMENT ON FUNCTION occ.check(regclass, jsonb, text) IS
    'lock rows, and verify that they are as they were read';

CREATE FUNCTION occ.update(relation regclass, rows jsonb, on_conflict text DEFAULT 'error')
    RETURNS TABLE (key jsonb, status text, version text)
    LANGUAGE c VOLATILE PARALLEL UNSAFE
    AS 'MODULE_PATHNAME', 'occ_update';

COMMENT ON FUNCTION occ.update(regclass, jsonb, text) IS
    'update rows, each to its own values, if they are as they were read';

CREATE FUNCTION occ.update_safely(
        relation regclass,
        snapshot jsonb,
        changes jsonb,
        lock_fields name[] DEFAULT NULL,
        on_conflict text DEFAULT 'error')
    RETURNS TABLE (key jsonb, status text, version text)
    LANGUAGE c VOLATILE PARALLEL UNSAFE
    AS 'MODULE_PATHNAME', 'occ_update_safely';

COMMENT ON FUNCTION occ.update_safely(regclass, jsonb, jsonb, name[], text) IS
    'update rows, all to the same values, if their version or lock fields are as they were read';

CREATE FUNCTION occ.delete(relation regclass, expected jsonb, on_conflict text DEFAULT 'error')
    RETURNS TABLE (key jsonb, status text, version text)
    LANGUAGE c VOLATILE PARALLEL UNSAFE
    AS 'MODULE_PATHNAME', 'occ_delete';

COMMENT ON FUNCTION occ.delete(regclass, jsonb, text) IS
    'delete rows if they are as they were read';

CREATE FUNCTION occ.touch(relation regclass, expected jsonb, on_conflict text DEFAULT 'error')
    RETURNS TABLE (key jsonb, status text, version text)
    LANGUAGE c VOLATILE PARALLEL UNSAFE
    AS 'MODULE_PATHNAME', 'occ_touch';

COMMENT ON FUNCTION occ.touch(regclass, jsonb, text) IS
    'move the version of rows and nothing else, if they are as they were read';

-- Handling conflicts.

CREATE PROCEDURE occ.retry(
        statement text,
        max_attempts int DEFAULT 5,
        base_delay interval DEFAULT '5 ms',
        max_delay interval DEFAULT '1 s',
        arguments jsonb DEFAULT NULL,
        INOUT attempts int DEFAULT NULL,
        INOUT result jsonb DEFAULT NULL)
    LANGUAGE c
    AS 'MODULE_PATHNAME', 'occ_retry';

COMMENT ON PROCEDURE occ.retry(text, int, interval, interval, jsonb, int, jsonb) IS
    'run a statement, and again on fresh data for as long as it conflicts';

CREATE FUNCTION occ.conflicts(detail text)
    RETURNS TABLE (key jsonb, status text, expected text, actual text)
    LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE
    AS 'MODULE_PATHNAME', 'occ_conflicts';

COMMENT ON FUNCTION occ.conflicts(text) IS
    'the DETAIL of a conflict as rows, for exception handlers';

-- HTTP: entity tags, and what to do if two people have changed a row.

CREATE FUNCTION occ.etag(record, columns name[] DEFAULT NULL) RETURNS text
    LANGUAGE c STABLE PARALLEL SAFE
    AS 'MODULE_PATHNAME', 'occ_etag';

COMMENT ON FUNCTION occ.etag(record, name[]) IS
    'a strong entity tag of a row''s version, or of the columns listed';

CREATE FUNCTION occ.etag_matches(etag text, header text, weak boolean DEFAULT false) RETURNS boolean
    LANGUAGE c IMMUTABLE PARALLEL SAFE
    AS 'MODULE_PATHNAME', 'occ_etag_matches';

COMMENT ON FUNCTION occ.etag_matches(text, text, boolean) IS
    'whether If-Match (with weak, If-None-Match) lists an entity tag, or is "*"';

CREATE FUNCTION occ.snapshot(record) RETURNS jsonb
    LANGUAGE c STABLE STRICT PARALLEL SAFE
    AS 'MODULE_PATHNAME', 'occ_snapshot';

COMMENT ON FUNCTION occ.snapshot(record) IS
    'a row as JSON that the set functions read back as the same row, whatever its types';

CREATE FUNCTION occ.merge(base jsonb, mine jsonb, theirs jsonb, OUT merged jsonb, OUT conflicts text[]) RETURNS record
    LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE
    AS 'MODULE_PATHNAME', 'occ_merge';

COMMENT ON FUNCTION occ.merge(jsonb, jsonb, jsonb) IS
    'two changes of one row as one, and the columns that both have changed';

CREATE FUNCTION occ.merge(base jsonb, mine jsonb, theirs jsonb, relation regclass, OUT merged jsonb, OUT conflicts text[]) RETURNS record
    LANGUAGE c STABLE STRICT PARALLEL SAFE
    AS 'MODULE_PATHNAME', 'occ_merge_by_types';

COMMENT ON FUNCTION occ.merge(jsonb, jsonb, jsonb, regclass) IS
    'two changes of one row as one, compared by the types of its table''s columns';

-- Guarding tables as they are made.

CREATE FUNCTION occ.auto_enable(
        version_column name DEFAULT 'version',
        preset text DEFAULT 'shared',
        token text DEFAULT NULL,
        echo text DEFAULT NULL,
        unstated text DEFAULT NULL,
        deletes text DEFAULT NULL,
        enforce text DEFAULT 'error',
        time_precision text DEFAULT NULL)
    RETURNS void
    LANGUAGE c VOLATILE PARALLEL UNSAFE
    AS 'MODULE_PATHNAME', 'occ_auto_enable';

COMMENT ON FUNCTION occ.auto_enable(name, text, text, text, text, text, text, text) IS
    'guard each table that is made with that column from now on; for superusers';

CREATE FUNCTION occ.auto_disable(version_column name DEFAULT 'version')
    RETURNS void
    LANGUAGE c VOLATILE PARALLEL UNSAFE
    AS 'MODULE_PATHNAME', 'occ_auto_disable';

COMMENT ON FUNCTION occ.auto_disable(name) IS
    'no longer guard tables as they are made';

CREATE VIEW occ.unguarded AS
    WITH version_columns(name) AS (
        SELECT 'version'::pg_catalog.name
        UNION
        SELECT version_column FROM occ.tables
        UNION
        SELECT (pg_catalog.substr(s.setting, 22)::pg_catalog.text[])[1]::pg_catalog.name
        FROM pg_catalog.pg_event_trigger AS e
             JOIN pg_catalog.pg_proc AS p ON p.oid OPERATOR(pg_catalog.=) e.evtfoid
             CROSS JOIN LATERAL pg_catalog.unnest(p.proconfig) AS s(setting)
        WHERE pg_catalog.starts_with(s.setting, 'occ_lock.auto_enable=')
    )
    SELECT c.oid::pg_catalog.regclass AS table_name,
           a.attname AS version_column,
           a.atttypid::pg_catalog.regtype AS version_type,
           a.attgenerated OPERATOR(pg_catalog.=) ''::pg_catalog."char"
               AND a.attidentity OPERATOR(pg_catalog.<>) 'a'::pg_catalog."char"
               AND a.atttypid OPERATOR(pg_catalog.=) ANY
                   ('{int2,int4,int8,timestamptz,timestamp,float8,uuid}'::pg_catalog.regtype[]::pg_catalog.oid[])
               -- A version is no key: tools that migrate schemas keep such tables.
               AND NOT EXISTS (
                   SELECT FROM pg_catalog.pg_index AS i
                   WHERE i.indrelid OPERATOR(pg_catalog.=) c.oid
                     AND i.indisprimary
                     AND a.attnum OPERATOR(pg_catalog.=) ANY (i.indkey))
               AS can_be_guarded
    FROM pg_catalog.pg_class AS c
         JOIN pg_catalog.pg_attribute AS a ON a.attrelid OPERATOR(pg_catalog.=) c.oid
         JOIN version_columns AS v ON v.name OPERATOR(pg_catalog.=) a.attname
    WHERE c.relkind OPERATOR(pg_catalog.=) ANY ('{r,p}'::pg_catalog."char"[])
      AND NOT c.relispartition
      AND c.relpersistence OPERATOR(pg_catalog.<>) 't'::pg_catalog."char"
      AND a.attnum OPERATOR(pg_catalog.>) 0::pg_catalog.int2
      AND NOT a.attisdropped
      -- The first OID that is not PostgreSQL's own.
      AND c.oid OPERATOR(pg_catalog.>=) 16384::pg_catalog.oid
      AND NOT EXISTS (
          SELECT FROM pg_catalog.pg_trigger AS t
          WHERE t.tgrelid OPERATOR(pg_catalog.=) c.oid
            AND t.tgfoid OPERATOR(pg_catalog.=) 'occ.guard()'::pg_catalog.regprocedure::pg_catalog.oid)
      -- An extension's tables are its own business, and so are those in a schema that it has made.
      AND NOT EXISTS (
          SELECT FROM pg_catalog.pg_depend AS d
          WHERE d.classid OPERATOR(pg_catalog.=) 'pg_catalog.pg_class'::pg_catalog.regclass::pg_catalog.oid
            AND d.objid OPERATOR(pg_catalog.=) c.oid
            AND d.deptype OPERATOR(pg_catalog.=) 'e'::pg_catalog."char")
      AND NOT EXISTS (
          SELECT FROM pg_catalog.pg_depend AS d
          WHERE d.classid OPERATOR(pg_catalog.=) 'pg_catalog.pg_namespace'::pg_catalog.regclass::pg_catalog.oid
            AND d.objid OPERATOR(pg_catalog.=) c.relnamespace
            AND d.deptype OPERATOR(pg_catalog.=) 'e'::pg_catalog."char");

COMMENT ON VIEW occ.unguarded IS
    'tables without a guard that have a version column: "version", one of a guarded table, or of occ.auto_enable()';

-- Default privileges may have been revoked, so what everybody may use is granted here.

GRANT USAGE ON SCHEMA occ TO PUBLIC;
GRANT SELECT ON occ.tables, occ.unguarded TO PUBLIC;
GRANT EXECUTE ON FUNCTION
    occ.guard(),
    occ.next_version(internal, regclass, anyelement),
    occ.next_version(internal, regclass, anyelement, anyelement),
    occ.enable(regclass, name, text, name[], text, text, text, text, text, text, name[]),
    occ.disable(regclass, boolean),
    occ.guard_options(oid, bytea),
    occ.check(regclass, jsonb, text),
    occ.update(regclass, jsonb, text),
    occ.update_safely(regclass, jsonb, jsonb, name[], text),
    occ.delete(regclass, jsonb, text),
    occ.touch(regclass, jsonb, text),
    occ.conflicts(text),
    occ.etag(record, name[]),
    occ.etag_matches(text, text, boolean),
    occ.snapshot(record),
    occ.merge(jsonb, jsonb, jsonb),
    occ.merge(jsonb, jsonb, jsonb, regclass),
    occ.auto_enable(name, text, text, text, text, text, text, text),
    occ.auto_disable(name)
TO PUBLIC;
GRANT EXECUTE ON PROCEDURE
    occ.retry(text, int, interval, interval, jsonb, int, jsonb)
TO PUBLIC;
