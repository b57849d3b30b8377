/* occ.etag(): a row's version, or some of its columns, as an entity tag. */
#include "pg.hpp"

#include "fixed_output.hpp"
#include "installed_guard.hpp"
#include "json.hpp"
#include "record.hpp"
#include "relation.hpp"

extern "C" {
PG_FUNCTION_INFO_V1(occ_etag);
}

namespace occ {

namespace {

/*
 * The version column of the table that a row is of.  Nothing locks the table of
 * a row that comes from elsewhere, so it may have changed since the row was
 * made, and its columns count in the row only as far as the row knows them.
 */
VersionColumn
version_column_of(const Row &row, Oid sibling)
{
    const Oid relid = get_typ_typrelid(row.type);

    if (!OidIsValid(relid))
        ereport(ERROR, errcode(ERRCODE_WRONG_OBJECT_TYPE), errmsg("record is not a row of a table"),
                errdetail("So it has no version."),
                errhint("Pass the row of a guarded table, or list columns: occ.etag(r, '{...}')."));

    Relation relation = open_table(relid, AccessShareLock);
    const InstalledGuard installed = installed_guard(relation, guard_function(sibling));
    if (!installed.exists)
        ereport(ERROR, errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
                errmsg("\"%s\" is not a guarded table", RelationGetRelationName(relation)),
                errdetail("So its rows have no version."),
                errhint("Guard it with occ.enable(), or list columns: occ.etag(r, '{...}')."),
                errtable(relation));

    const Options options = parse_options(installed.arguments.span());
    check_options(options, nullptr, nullptr);
    VersionColumn version = find_version_column(relation, options.version_column);
    version.attnum = find_column(row.descriptor, options.version_column);
    if (version.attnum == InvalidAttrNumber || row.column(version.attnum)->atttypid != version.type)
        ereport(ERROR, errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
                errmsg("row of \"%s\" is older than its version column",
                       RelationGetRelationName(relation)),
                errdetail("The table was altered after the row was read."),
                errhint("Read the row again."), errtable(relation));
    relation_close(relation, AccessShareLock);
    return version;
}

/*
 * A version as text that no setting changes, and that reads back as the same
 * version: times are ISO 8601, those with a zone in UTC.  A tag holds no space,
 * so the one before BC goes.
 */
const char *
version_text(const VersionColumn &version, Datum value, bool isnull)
{
    if (isnull ||
        !(version.kind == VersionKind::timestamptz || version.kind == VersionKind::timestamp))
        return json_scalar(value, version.type, isnull).text;

    static constexpr int utc = 0;
    char *text =
        JsonEncodeDateTime(static_cast<char *>(palloc(MAXDATELEN + 1)), value, version.type, &utc);
    if (char *space = strchr(text, ' '); space != nullptr)
        memmove(space, space + 1, strlen(space));
    return text;
}

/* The column that an element of the argument names. */
AttrNumber
listed_column(const Row &row, Datum name, bool isnull)
{
    if (isnull)
        ereport(ERROR, errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
                errmsg("an element of \"columns\" is null"), errhint("Name columns of the row."));

    const char *text = NameStr(*DatumGetName(name));
    const AttrNumber attnum = find_column(row.descriptor, text);
    if (attnum == InvalidAttrNumber)
        ereport(ERROR, errcode(ERRCODE_UNDEFINED_COLUMN),
                errmsg("column \"%s\" of the row does not exist", text),
                errdetail("\"columns\" names it."), errhint("Name columns of the row."));
    return attnum;
}

/* SHA-256, fed piece by piece: a row may be larger than any buffer. */
class Hash {
public:
    Hash() : context_(pg_cryptohash_create(PG_SHA256))
    {
        check(context_ != nullptr && pg_cryptohash_init(context_) >= 0);
    }

    void add(std::string_view bytes)
    {
        check(pg_cryptohash_update(context_, reinterpret_cast<const uint8 *>(bytes.data()),
                                   bytes.size()) >= 0);
    }

    std::array<uint8, PG_SHA256_DIGEST_LENGTH> finish()
    {
        std::array<uint8, PG_SHA256_DIGEST_LENGTH> digest;
        check(pg_cryptohash_final(context_, digest.data(), digest.size()) >= 0);
        pg_cryptohash_free(context_);
        return digest;
    }

private:
    pg_cryptohash_ctx *context_; /* freed by the resource owner if an error comes in between */

    static void check(bool succeeded)
    {
        if (!succeeded)
            ereport(ERROR, errcode(ERRCODE_SYSTEM_ERROR), errmsg("could not compute SHA-256 hash"));
    }
};

/*
 * A tag of the text of some columns.  Names and text hold no zero bytes, so no
 * two lists of columns and values run into the same bytes.
 */
const char *
hash_of_columns(Row row, ArrayType *columns)
{
    constexpr std::size_t used_bytes = 16;
    static constexpr char zero = '\0';
    constexpr std::string_view end(&zero, 1);
    Datum *names;
    bool *nulls;
    int count;

    if (ARR_NDIM(columns) > 1)
        ereport(ERROR, errcode(ERRCODE_INVALID_PARAMETER_VALUE),
                errmsg("\"columns\" has more than one dimension"),
                errhint("Name the columns in one list."));
    deconstruct_array(columns, NAMEOID, NAMEDATALEN, false, TYPALIGN_CHAR, &names, &nulls, &count);
    if (count == 0)
        ereport(ERROR, errcode(ERRCODE_INVALID_PARAMETER_VALUE), errmsg("\"columns\" is empty"),
                errhint("Name columns, or leave it out to have a tag of the version."));

    Hash hash;
    for (int i = 0; i < count; i++) {
        const AttrNumber attnum = listed_column(row, names[i], nulls[i]);
        bool isnull;
        const Datum value = row.get(attnum, &isnull);

        hash.add(NameStr(row.column(attnum)->attname));
        hash.add(end);
        if (!isnull) {
            hash.add("=");
            hash.add(fixed_output(value, row.column(attnum)->atttypid));
        }
        hash.add(end);
    }

    const auto digest = hash.finish();
    auto *text = static_cast<char *>(palloc(2 * used_bytes + 1));
    for (std::size_t i = 0; i < used_bytes; i++)
        sprintf(text + 2 * i, "%02x", digest[i]);
    return text;
}

}  // namespace

}  // namespace occ

/*
 * occ.etag(record, columns name[]) RETURNS text
 *
 * A strong entity tag (RFC 9110, 8.8.3), with its quotes: of the version if
 * columns is null, which then reads back as the version; else a hash of the
 * columns' text.  No setting of the session has an influence on it.  A null
 * record has none.
 *
 * Errors: 42809 (not a row of a table), 55000 (not guarded, or altered), those of
 * find_version_column(); 22023, 22004, 42703 for columns.
 */
Datum
occ_etag(PG_FUNCTION_ARGS)
{
    using namespace occ;

    if (PG_ARGISNULL(0))
        PG_RETURN_NULL();

    Row row = row_of(PG_GETARG_HEAPTUPLEHEADER(0));
    const char *opaque;
    if (PG_ARGISNULL(1)) {
        const VersionColumn version = version_column_of(row, fcinfo->flinfo->fn_oid);
        bool isnull;
        const Datum value = row.get(version.attnum, &isnull);
        opaque = version_text(version, value, isnull);
    }
    else
        opaque = hash_of_columns(row, PG_GETARG_ARRAYTYPE_P(1));
    ReleaseTupleDesc(row.descriptor);
    PG_RETURN_TEXT_P(cstring_to_text(psprintf("\"%s\"", opaque)));
}
