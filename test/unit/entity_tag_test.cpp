/* Entity tags and the headers that list them, without a server: see src/entity_tag.hpp. */
#include "entity_tag.hpp"

#include <string>

#include <gtest/gtest.h>

namespace occ {
namespace {

EntityTag
tag(std::string_view text)
{
    EntityTag tag = {};
    EXPECT_TRUE(parse_entity_tag(text, &tag)) << text;
    return tag;
}

Match
strong(std::string_view text, std::string_view header)
{
    return match(tag(text), header, Comparison::strong);
}

Match
weak(std::string_view text, std::string_view header)
{
    return match(tag(text), header, Comparison::weak);
}

/* The table of RFC 9110, 8.8.3.2. */
TEST(EntityTag, IsComparedAsTheStandardSays)
{
    struct {
        const char *a, *b;
        Match strong, weak;
    } static constexpr table[] = {
        {R"(W/"1")", R"(W/"1")", Match::no, Match::yes},
        {R"(W/"1")", R"(W/"2")", Match::no, Match::no},
        {R"(W/"1")", R"("1")", Match::no, Match::yes},
        {R"("1")", R"("1")", Match::yes, Match::yes},
    };
    for (const auto &row : table) {
        EXPECT_EQ(strong(row.a, row.b), row.strong) << row.a << row.b;
        EXPECT_EQ(strong(row.b, row.a), row.strong) << row.a << row.b;
        EXPECT_EQ(weak(row.a, row.b), row.weak) << row.a << row.b;
        EXPECT_EQ(weak(row.b, row.a), row.weak) << row.a << row.b;
    }
}

TEST(EntityTag, IsFoundInAList)
{
    EXPECT_EQ(strong(R"("2")", R"("1", "2", "3")"), Match::yes);
    EXPECT_EQ(strong(R"("2")", R"("1","2")"), Match::yes);
    EXPECT_EQ(strong(R"("4")", R"("1", "2", "3")"), Match::no);
    EXPECT_EQ(strong(R"("2")", "\t \"1\"\t,\t\"2\"  "), Match::yes);
    EXPECT_EQ(strong(R"("2")", R"(, ,"1",, "2",)"), Match::yes);
    EXPECT_EQ(strong(R"("2")", R"(W/"2", "1")"), Match::no);
    EXPECT_EQ(weak(R"("2")", R"("1", W/"2")"), Match::yes);
}

TEST(EntityTag, MayHoldCommasSpacesDoNotBelong)
{
    EXPECT_EQ(strong(R"("a,b")", R"("a,b")"), Match::yes);
    EXPECT_EQ(strong(R"("a")", R"("a,b")"), Match::no);
    EXPECT_EQ(strong(R"("")", R"("")"), Match::yes);
    EXPECT_EQ(strong("\"\xC3\xA4\\\"", "\"\xC3\xA4\\\""), Match::yes);
    EXPECT_EQ(strong(R"("W/")", R"("W/")"), Match::yes);
    EXPECT_EQ(strong(R"("a")", R"("a b")"), Match::malformed);
    EXPECT_EQ(strong(R"("a")", "\"a\x7F\""), Match::malformed);
    EXPECT_EQ(strong(R"("a")", "\"a\n\""), Match::malformed);
}

TEST(EntityTag, AnyIsAloneInItsHeader)
{
    EXPECT_EQ(strong(R"("1")", "*"), Match::yes);
    EXPECT_EQ(strong(R"(W/"1")", " *\t"), Match::yes);
    EXPECT_EQ(strong(R"("1")", R"(*, "1")"), Match::malformed);
    EXPECT_EQ(strong(R"("1")", "**"), Match::malformed);
    EXPECT_EQ(strong(R"("1")", "*, *"), Match::malformed);
    EXPECT_EQ(strong(R"("1")", R"("*")"), Match::no);
}

TEST(EntityTag, AnEmptyHeaderMatchesNothing)
{
    EXPECT_EQ(strong(R"("1")", ""), Match::no);
    EXPECT_EQ(strong(R"("1")", " , ,"), Match::no);
}

TEST(EntityTag, AMalformedHeaderIsOneWhateverMatches)
{
    for (const char *header : {"1", R"("1)", R"(1")", R"(")", R"(w/"1")", R"(W/1)", R"(W/)", R"(W)",
                               R"(W "1")", R"(W/ "1")", R"("1""1")", R"("1" "1")", R"("1";"2")",
                               R"("1", 2)", R"(2, "1")", R"('1')"}) {
        EXPECT_EQ(strong(R"("1")", header), Match::malformed) << header;
        EXPECT_EQ(strong(R"("9")", header), Match::malformed) << header;
    }
    EXPECT_EQ(strong(R"("1")", std::string_view("\"1\"\0", 4)), Match::malformed);
}

TEST(EntityTag, IsOneTagAndNothingElse)
{
    EntityTag tag = {};

    EXPECT_TRUE(parse_entity_tag(R"(W/"a,b")", &tag));
    EXPECT_TRUE(tag.weak);
    EXPECT_EQ(tag.opaque, R"("a,b")");
    for (const char *text : {"", "*", "1", R"(")", R"( "1")", R"("1" )", R"("1","2")", R"("1",)",
                             R"(,"1")", R"(w/"1")", R"(W/W/"1")", R"("1""2")"})
        EXPECT_FALSE(parse_entity_tag(text, &tag)) << text;
}

}  // namespace
}  // namespace occ
