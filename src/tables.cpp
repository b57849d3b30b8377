/* occ.guard_options(): what the view occ.tables says of one guard. */
#include "pg.hpp"

#include "arguments.hpp"
#include "relation.hpp"

extern "C" {
PG_FUNCTION_INFO_V1(occ_guard_options);
}

namespace occ {

namespace {

/*
 * pg_trigger.tgargs: strings, each with its terminator.  A last one without is
 * left out; bytes that are no text in this database, which a trigger can't
 * have, are no arguments.
 */
Arguments
unpack_arguments(bytea *packed)
{
    const char *data = VARDATA_ANY(packed);
    const char *end = data + VARSIZE_ANY_EXHDR(packed);
    Arguments arguments;

    while (data < end) {
        const void *terminator = memchr(data, '\0', end - data);
        const char *stop = terminator != nullptr ? static_cast<const char *>(terminator) : end;
        /* cppcheck-suppress nullPointerArithmeticRedundantCheck ; it is never null */
        if (!pg_verifymbstr(data, static_cast<int>(stop - data), true))
            return {};
        if (terminator != nullptr)
            arguments.add({data, static_cast<std::size_t>(stop - data)});
        data = stop + 1;
    }
    return arguments;
}

Datum
name_datum(std::string_view text)
{
    auto *name = static_cast<NameData *>(palloc0(sizeof(NameData)));

    memcpy(NameStr(*name), text.data(),
           pg_mbcliplen(text.data(), static_cast<int>(text.size()), max_identifier));
    return NameGetDatum(name);
}

/* The names in an array literal; malformed ones end the list. */
Datum
names_of_literal(std::string_view literal)
{
    Datum names[MaxHeapAttributeNumber];
    std::array<char, max_identifier + 1> name;
    std::size_t length;
    NameList list(literal);
    int count = 0;

    if (!literal.empty()) {
        while (count < MaxHeapAttributeNumber && list.next(name, &length) == NameList::Step::name)
            names[count++] = name_datum({name.data(), length});
    }
    return PointerGetDatum(name_array(names, count));
}

Datum
text_datum(std::string_view text)
{
    return PointerGetDatum(cstring_to_text_with_len(text.data(), static_cast<int>(text.size())));
}

}  // namespace

}  // namespace occ

/*
 * occ.guard_options(relation oid, arguments bytea) RETURNS record
 *
 * arguments are pg_trigger.tgargs.  Broken ones raise no error, so that one
 * hand-made trigger does not hide all others: the options are null then.  Takes
 * no lock, so that a view over all tables does not wait for one of them.
 */
Datum
occ_guard_options(PG_FUNCTION_ARGS)
{
    using namespace occ;

    enum {
        version_column,
        version_type,
        key,
        token,
        echo,
        unstated,
        ignore,
        deletes,
        enforce,
        time_precision,
        columns
    };
    Datum values[columns] = {};
    bool nulls[columns];
    TupleDesc descriptor;

    if (get_call_result_type(fcinfo, nullptr, &descriptor) != TYPEFUNC_COMPOSITE ||
        descriptor->natts != columns)
        ereport(ERROR, errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
                errmsg("function returning record called in context that cannot accept it"));

    const Arguments arguments = unpack_arguments(PG_GETARG_BYTEA_PP(1));
    const Options options = parse_options(arguments.span());
    const Oid relid = PG_GETARG_OID(0);

    memset(nulls, true, sizeof(nulls));
    const auto set = [&](int column, Datum value) {
        values[column] = value;
        nulls[column] = false;
    };
    set(version_column, name_datum(options.version_column));
    if (SearchSysCacheExists1(RELOID, ObjectIdGetDatum(relid))) {
        const AttrNumber attnum = get_attnum(relid, NameStr(*DatumGetName(values[version_column])));
        if (attnum > 0)
            set(version_type, ObjectIdGetDatum(get_atttype(relid, attnum)));
        set(key, options.key.empty() ? PointerGetDatum(key_names(relid, find_key(relid, {})))
                                     : names_of_literal(options.key));
    }
    if (options.problem == OptionProblem::none) {
        const Policy &policy = options.policy;
        set(token, text_datum(name_of(policy.token)));
        set(echo, text_datum(name_of(policy.echo)));
        set(unstated, text_datum(name_of(policy.unstated)));
        set(ignore, names_of_literal(options.ignore));
        set(deletes, text_datum(name_of(policy.deletes)));
        set(enforce, text_datum(name_of(policy.enforce)));
        if (policy.time_precision != TimePrecision::us)
            set(time_precision, text_datum(name_of(policy.time_precision)));
    }

    return HeapTupleGetDatum(heap_form_tuple(BlessTupleDesc(descriptor), values, nulls));
}
