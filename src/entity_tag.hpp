/*
 * Entity tags, and the header fields that list them, as RFC 9110 has them in
 * 8.8.3, 13.1.1 and 13.1.2.  Knows nothing of PostgreSQL.
 */
#ifndef OCC_ENTITY_TAG_HPP
#define OCC_ENTITY_TAG_HPP

#include <cstddef>
#include <cstdint>
#include <string_view>

namespace occ {

struct EntityTag {
    bool weak;
    std::string_view opaque; /* with its quotes */
};

/* 8.8.3.2: If-Match wants the strong comparison, If-None-Match the weak one. */
enum class Comparison : std::uint8_t { strong, weak };

constexpr bool
equal(const EntityTag &a, const EntityTag &b, Comparison comparison)
{
    return a.opaque == b.opaque && (comparison == Comparison::weak || (!a.weak && !b.weak));
}

/*
 * The entity tags of a header field, one at a time:
 *
 *     #entity-tag, entity-tag = [ "W/" ] DQUOTE *etagc DQUOTE
 *
 * Empty elements between commas are skipped (5.6.1.2), as is white space
 * around them.
 */
class EntityTagList {
public:
    enum class Step : std::uint8_t { tag, end, malformed };

    explicit constexpr EntityTagList(std::string_view header) : rest_(header) {}

    constexpr Step next(EntityTag *tag)
    {
        while (skip_white_space(), !rest_.empty() && rest_[0] == ',')
            rest_.remove_prefix(1);
        if (rest_.empty())
            return Step::end;

        tag->weak = rest_.starts_with("W/");
        if (tag->weak)
            rest_.remove_prefix(2);
        const std::size_t length = length_of_opaque_tag();
        if (length == 0)
            return Step::malformed;
        tag->opaque = rest_.substr(0, length);
        rest_.remove_prefix(length);

        skip_white_space();
        return rest_.empty() || rest_[0] == ',' ? Step::tag : Step::malformed;
    }

private:
    std::string_view rest_;

    constexpr void skip_white_space()
    {
        while (!rest_.empty() && (rest_[0] == ' ' || rest_[0] == '\t'))
            rest_.remove_prefix(1);
    }

    /* etagc is any visible character but the quote, and any byte beyond ASCII. */
    static constexpr bool is_etagc(char c)
    {
        const auto byte = static_cast<unsigned char>(c);
        return byte > 0x20 && byte != 0x22 && byte != 0x7F;
    }

    /* Of DQUOTE *etagc DQUOTE at the start; 0 if there is none. */
    constexpr std::size_t length_of_opaque_tag() const
    {
        if (rest_.empty() || rest_[0] != '"')
            return 0;
        std::size_t i = 1;
        while (i < rest_.size() && is_etagc(rest_[i]))
            i++;
        return i < rest_.size() && rest_[i] == '"' ? i + 1 : 0;
    }
};

/* Is a text one entity tag and nothing else? */
constexpr bool
parse_entity_tag(std::string_view text, EntityTag *tag)
{
    return (text.starts_with('"') || text.starts_with("W/\"")) && text.ends_with('"') &&
           EntityTagList(text).next(tag) == EntityTagList::Step::tag &&
           text.size() == tag->opaque.size() + (tag->weak ? 2 : 0);
}

/* "*" alone: any representation that there is. */
constexpr bool
is_any(std::string_view header)
{
    constexpr std::string_view white_space = " \t";
    const std::size_t first = header.find_first_not_of(white_space);

    return first != std::string_view::npos && header[first] == '*' &&
           header.find_last_not_of(white_space) == first;
}

enum class Match : std::uint8_t { no, yes, malformed };

/*
 * Does one of a header field's tags equal this one?  The field is read to its
 * end, so that whether it is malformed does not depend on the tag.
 */
constexpr Match
match(const EntityTag &tag, std::string_view header, Comparison comparison)
{
    EntityTagList list(header);
    EntityTag listed = {};
    bool found = false;

    if (is_any(header))
        return Match::yes;
    for (;;) {
        switch (list.next(&listed)) {
        case EntityTagList::Step::tag:
            found = found || equal(tag, listed, comparison);
            break;
        case EntityTagList::Step::end:
            return found ? Match::yes : Match::no;
        case EntityTagList::Step::malformed:
            return Match::malformed;
        }
    }
}

}  // namespace occ

#endif
