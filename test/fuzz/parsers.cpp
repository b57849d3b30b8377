/*
 * libFuzzer on what is pure: a guard's arguments, lists of names, and entity
 * tags.  The first byte of an input says which.
 */
#include <cstdint>
#include <cstdlib>
#include <string>
#include <vector>

#include "entity_tag.hpp"
#include "options.hpp"

namespace {

using namespace occ;

void
require(bool holds)
{
    if (!holds)
        abort();
}

/* Does a view point into a text, or is it empty, or one of our own constants? */
bool
is_within(std::string_view view, const std::vector<std::string_view> &texts)
{
    for (const std::string_view text : texts) {
        if (view.data() >= text.data() && view.data() + view.size() <= text.data() + text.size())
            return true;
    }
    return view.empty() || view == "version" || view.data() == nullptr;
}

/* A list ends, by "end" or "malformed", and stays there; names fit, and hold no zero byte that the
 * text did not. */
void
walk(std::string_view literal)
{
    NameList list(literal);
    std::array<char, max_identifier + 1> buffer;
    std::size_t length;

    for (std::size_t steps = 0;; steps++) {
        require(steps <= literal.size() + 1);
        const NameList::Step step = list.next(buffer, &length);
        if (step == NameList::Step::malformed)
            return;
        if (step == NameList::Step::end) {
            require(list.next(buffer, &length) == NameList::Step::end);
            return;
        }
        require(length <= max_identifier && buffer[length] == '\0');
    }
}

void
try_options(std::string_view data)
{
    std::vector<std::string_view> arguments;

    while (arguments.size() < 15) {
        const std::size_t end = data.find('\0');
        arguments.push_back(data.substr(0, end));
        if (end == std::string_view::npos)
            break;
        data.remove_prefix(end + 1);
    }
    const Options options = parse_options(arguments);
    require(is_within(options.version_column, arguments));
    require(is_within(options.ignore, arguments) && is_within(options.key, arguments));
    if (options.problem == OptionProblem::none) {
        require(!options.version_column.empty());
        walk(options.ignore);
        walk(options.key);
        /* What was understood is understood the same way again. */
        const Options again = parse_options(arguments);
        require(again.policy.token == options.policy.token &&
                again.policy.echo == options.policy.echo);
    }
    else
        require(options.problem == OptionProblem::empty_version_column ||
                is_within(options.culprit, arguments) ||
                std::find(option_names.begin(), option_names.end(), options.culprit) !=
                    option_names.end());
}

/*
 * The grammar of RFC 9110 once more, as states: before an element, in a tag,
 * behind one.
 */
bool
is_header(std::string_view header)
{
    enum { before, in_tag, behind } state = before;

    if (is_any(header))
        return true;
    for (std::size_t i = 0; i < header.size(); i++) {
        const auto c = static_cast<unsigned char>(header[i]);
        switch (state) {
        case before:
            if (c == '"')
                state = in_tag;
            else if (c == 'W' && header.substr(i, 3) == "W/\"") {
                i += 2;
                state = in_tag;
            }
            else if (c != ' ' && c != '\t' && c != ',')
                return false;
            break;
        case in_tag:
            if (c == '"')
                state = behind;
            else if (c <= ' ' || c == 0x7F)
                return false;
            break;
        case behind:
            if (c == ',')
                state = before;
            else if (c != ' ' && c != '\t')
                return false;
        }
    }
    return state != in_tag;
}

void
try_entity_tags(std::string_view data)
{
    const std::size_t end = data.find('\0');
    const std::string_view text = data.substr(0, end);
    const std::string header(end == std::string_view::npos ? "" : data.substr(end + 1));
    EntityTag tag = {};

    if (!parse_entity_tag(text, &tag))
        tag = {false, "\"x\""};
    else {
        require(match(tag, text, Comparison::weak) == Match::yes);
        require(match(tag, text, Comparison::strong) == (tag.weak ? Match::no : Match::yes));
    }
    const Match strong = match(tag, header, Comparison::strong);
    const Match weak = match(tag, header, Comparison::weak);
    require((strong == Match::malformed) == !is_header(header));
    require((weak == Match::malformed) == (strong == Match::malformed));
    require(strong != Match::yes || weak == Match::yes);
    if (weak == Match::yes && !is_any(header))
        require(header.find(tag.opaque) != std::string::npos);
}

}  // namespace

extern "C" int
LLVMFuzzerTestOneInput(const std::uint8_t *data, std::size_t size)
{
    if (size == 0)
        return 0;
    const std::string_view rest(reinterpret_cast<const char *>(data) + 1, size - 1);
    switch (data[0] % 3) {
    case 0:
        try_options(rest);
        break;
    case 1:
        walk(rest);
        break;
    default:
        try_entity_tags(rest);
    }
    return 0;
}
