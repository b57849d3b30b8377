/* occ_lock--1.0--1.1.sql */

-- complain if script is sourced in psql, rather than via ALTER EXTENSION
\echo Use "ALTER EXTENSION occ_lock UPDATE TO '1.1'" to load this file. \quit

-- What is made here goes by the schema's name.  Somebody may have renamed ours, and put another one in its place.
DO $$
DECLARE
    schema record;
BEGIN
    SELECT n.nspname AS name, o.rolsuper OR pg_catalog.pg_has_role(e.extowner, o.oid, 'USAGE') AS is_trusted
        INTO schema
        FROM pg_catalog.pg_extension AS e
             JOIN pg_catalog.pg_namespace AS n ON n.oid OPERATOR(pg_catalog.=) e.extnamespace
             JOIN pg_catalog.pg_roles AS o ON o.oid OPERATOR(pg_catalog.=) n.nspowner
        WHERE e.extname OPERATOR(pg_catalog.=) 'occ_lock';
    IF schema.name OPERATOR(pg_catalog.<>) 'occ' THEN
        RAISE object_not_in_prerequisite_state
            USING MESSAGE = pg_catalog.format('the extension''s schema is called "%s"', schema.name),
                  HINT = 'Name it "occ" for the update; it can be renamed again afterwards.';
    END IF;
    IF NOT schema.is_trusted THEN
        RAISE insufficient_privilege
            USING MESSAGE = 'schema "occ" belongs to another role',
                  HINT = 'Have the schema handed over, or let its owner own the extension.';
    END IF;
END $$;

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

CREATE FUNCTION occ.merge(base jsonb, mine jsonb, theirs jsonb, OUT merged jsonb, OUT conflicts text[]) RETURNS record
    LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE
    AS 'MODULE_PATHNAME', 'occ_merge';

COMMENT ON FUNCTION occ.merge(jsonb, jsonb, jsonb) IS
    'two changes of one row as one, and the columns that both have changed';

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
      -- An extension's tables are its own business.
      AND NOT EXISTS (
          SELECT FROM pg_catalog.pg_depend AS d
          WHERE d.classid OPERATOR(pg_catalog.=) 'pg_catalog.pg_class'::pg_catalog.regclass::pg_catalog.oid
            AND d.objid OPERATOR(pg_catalog.=) c.oid
            AND d.deptype OPERATOR(pg_catalog.=) 'e'::pg_catalog."char");

COMMENT ON VIEW occ.unguarded IS
    'tables without a guard that have a version column: "version", one of a guarded table, or of occ.auto_enable()';

-- Default privileges may have been revoked, so what everybody may use is granted here.

GRANT SELECT ON occ.unguarded TO PUBLIC;
GRANT EXECUTE ON FUNCTION
    occ.etag(record, name[]),
    occ.etag_matches(text, text, boolean),
    occ.merge(jsonb, jsonb, jsonb),
    occ.auto_enable(name, text, text, text, text, text, text, text),
    occ.auto_disable(name)
TO PUBLIC;
