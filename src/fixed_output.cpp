/* Values as text, whatever the settings of the session: see fixed_output.hpp. */
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

void
set(const char *name, const char *value)
{
    set_config_option(name, value, PGC_USERSET, PGC_S_SESSION, GUC_ACTION_SAVE, true, 0, false);
}

/* The settings of a TextSettings that are not as they should be. */
class Deviations {
public:
    explicit Deviations(TextSettings settings)
    {
        const bool all = settings == TextSettings::all;

        if (settings == TextSettings::formats || all) {
            add("DateStyle", "ISO", DateStyle != USE_ISO_DATES);
            /* All styles read this one alike; what sql_standard prints, the others don't. */
            add("IntervalStyle", "postgres", IntervalStyle != INTSTYLE_POSTGRES);
            add("bytea_output", "hex", bytea_output != BYTEA_OUTPUT_HEX);
            add("extra_float_digits", "1", extra_float_digits < 1);
        }
        if (settings == TextSettings::monetary || all)
            add("lc_monetary", "C", strcmp(GetConfigOption("lc_monetary", false, false), "C") != 0);
        if (all) {
            add("quote_all_identifiers", "off", quote_all_identifiers);
            add("search_path", "pg_catalog", strcmp(namespace_search_path, "pg_catalog") != 0);
        }
    }

    int count() const { return count_; }

    void mend() const
    {
        for (int i = 0; i < count_; i++)
            set(settings_[i].name, settings_[i].value);
    }

private:
    struct Setting {
        const char *name;
        const char *value;
    };
    std::array<Setting, 7> settings_ = {};
    int count_ = 0;

    void add(const char *name, const char *value, bool deviates)
    {
        if (deviates)
            settings_[count_++] = {name, value};
    }
};

/* By its output function, so that an extension's type that is text in disguise counts as text. */
TextSettings
settings_of(Oid output, Oid type)
{
    switch (output) {
    case F_BOOLOUT:
    case F_BPCHAROUT:
    case F_CHAROUT:
    case F_CIDR_OUT:
    case F_ENUM_OUT:
    case F_INET_OUT:
    case F_INT2OUT:
    case F_INT4OUT:
    case F_INT8OUT:
    case F_MACADDR_OUT:
    case F_NAMEOUT:
    case F_NUMERIC_OUT:
    case F_OIDOUT:
    case F_TEXTOUT:
    case F_UUID_OUT:
    case F_VARCHAROUT:
        return TextSettings::none;
    case F_CASH_OUT:
        return TextSettings::monetary;
    case F_ARRAY_OUT: /* of any types */
    case F_RECORD_OUT:
        return TextSettings::all;
    default:
        return output < FirstNormalObjectId && type < FirstNormalObjectId ? TextSettings::formats
                                                                          : TextSettings::all;
    }
}

}  // namespace

int
set_portable_settings(TextSettings settings)
{
    const Deviations deviations(settings);

    if (deviations.count() == 0)
        return 0;
    const int nest_level = NewGUCNestLevel();
    deviations.mend();
    return nest_level;
}

void
reset_settings(int nest_level)
{
    if (nest_level > 0)
        AtEOXact_GUC(true, nest_level);
}

TextOutput
text_output(Oid type)
{
    TextOutput output = {};
    Oid function;
    bool is_varlena;

    getTypeOutputInfo(type, &function, &is_varlena);
    fmgr_info(function, &output.function);
    output.settings = settings_of(function, getBaseType(type));
    return output;
}

char *
portable_text(TextOutput *output, Datum value)
{
    const int nest_level = set_portable_settings(output->settings);
    char *text = OutputFunctionCall(&output->function, value);

    reset_settings(nest_level);
    return text;
}

const char *
fixed_output(Datum value, Oid type)
{
    Oid output;
    bool is_varlena;

    getTypeOutputInfo(type, &output, &is_varlena);
    if (is_fixed(getBaseType(type)))
        return OidOutputFunctionCall(output, value);

    const int nest_level = NewGUCNestLevel();
    for (const auto &setting : fixed_settings)
        set(setting.name, setting.value);
    const char *text = OidOutputFunctionCall(output, value);
    AtEOXact_GUC(true, nest_level);
    return text;
}

}  // namespace occ
