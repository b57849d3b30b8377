/* A value as text that is the same in every session: see fixed_output.hpp. */
#include "pg.hpp"

#include "fixed_output.hpp"

namespace occ {

namespace {

/* All that output functions of PostgreSQL's own types look at. */
constexpr struct {
    const char *name;
    const char *value;
} fixed_settings[] = {
    {"bytea_output", "hex"},       {"DateStyle", "ISO"}, {"extra_float_digits", "1"},
    {"IntervalStyle", "iso_8601"}, {"lc_monetary", "C"}, {"quote_all_identifiers", "off"},
    {"search_path", "pg_catalog"}, {"TimeZone", "UTC"},
};

/* Types whose output no setting changes, which spares us from fixing them. */
bool
is_fixed(Oid type)
{
    switch (type) {
    case BOOLOID:
    case CHAROID:
    case NAMEOID:
    case INT2OID:
    case INT4OID:
    case INT8OID:
    case OIDOID:
    case TEXTOID:
    case VARCHAROID:
    case BPCHAROID:
    case NUMERICOID:
    case UUIDOID:
    case JSONOID:
    case JSONBOID:
        return true;
    default:
        return false;
    }
}

}  // namespace

const char *
fixed_output(Datum value, Oid type)
{
    Oid output;
    bool is_varlena;

    getTypeOutputInfo(type, &output, &is_varlena);
    if (is_fixed(getBaseType(type)))
        return OidOutputFunctionCall(output, value);

    /* As a function's SET clause does it, so that an error undoes it, and parallel workers may. */
    const int nest_level = NewGUCNestLevel();
    for (const auto &setting : fixed_settings)
        set_config_option(setting.name, setting.value, PGC_USERSET, PGC_S_SESSION, GUC_ACTION_SAVE,
                          true, 0, false);
    const char *text = OidOutputFunctionCall(output, value);
    AtEOXact_GUC(true, nest_level);
    return text;
}

}  // namespace occ
