/* occ_lock--1.0--1.1.sql */

-- complain if script is sourced in psql, rather than via ALTER EXTENSION
\echo Use "ALTER EXTENSION occ_lock UPDATE TO '1.1'" to load this file. \quit

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

-- Default privileges may have been revoked, so what everybody may use is granted here.

GRANT EXECUTE ON FUNCTION
    occ.etag(record, name[]),
    occ.etag_matches(text, text, boolean),
    occ.merge(jsonb, jsonb, jsonb)
TO PUBLIC;
