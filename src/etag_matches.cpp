/* occ.etag_matches(): does a header field list an entity tag? */
#include "pg.hpp"

#include "entity_tag.hpp"

extern "C" {
PG_FUNCTION_INFO_V1(occ_etag_matches);
}

namespace occ {

namespace {

std::string_view
text_argument(FunctionCallInfo fcinfo, int number)
{
    text *argument = PG_GETARG_TEXT_PP(number);

    return {VARDATA_ANY(argument), static_cast<std::size_t>(VARSIZE_ANY_EXHDR(argument))};
}

}  // namespace

}  // namespace occ

/*
 * occ.etag_matches(etag text, header text, weak boolean) RETURNS boolean
 *
 * Whether a header field, as If-Match has it, lists an entity tag, or is "*".
 * weak is for If-None-Match: tags are equal then if but their opaque parts are
 * (RFC 9110, 8.8.3.2).  Not strict: a null etag is a resource that is not
 * there, and matches nothing; a null header was not sent, and the result is null.
 *
 * Errors: 22023 (etag is no entity tag, the header is no list of them).
 */
Datum
occ_etag_matches(PG_FUNCTION_ARGS)
{
    using namespace occ;

    if (PG_ARGISNULL(1))
        PG_RETURN_NULL();

    const bool weak = !PG_ARGISNULL(2) && PG_GETARG_BOOL(2);
    EntityTag tag = {};
    if (!PG_ARGISNULL(0) && !parse_entity_tag(text_argument(fcinfo, 0), &tag))
        ereport(ERROR, errcode(ERRCODE_INVALID_PARAMETER_VALUE),
                errmsg("\"etag\" is not an entity tag"),
                errhint("Pass what occ.etag() returns, with its quotes."));

    const Match result =
        match(tag, text_argument(fcinfo, 1), weak ? Comparison::weak : Comparison::strong);
    if (result == Match::malformed)
        ereport(ERROR, errcode(ERRCODE_INVALID_PARAMETER_VALUE),
                errmsg("header is not a list of entity tags"),
                errhint("Send ETags as they came, in double quotes, with commas in between; or "
                        "\"*\" alone."));
    PG_RETURN_BOOL(!PG_ARGISNULL(0) && result == Match::yes);
}
