// Delimited text: its records, and the fields of the wanted columns.
//
// Quoting follows RFC 4180: a quote opens at the start of a field only, a doubled one inside is a literal one, and a
// quote anywhere else is an ordinary character. Text after a closing quote is refused. A line ends with LF, CR LF or
// CR.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <limits>
#include <string>
#include <string_view>
#include <vector>

#include "decimal.hpp"
#include "marks.hpp"

namespace msecli {

constexpr int NONE = -1;

struct Dialect {
    char delimiter = ',', quote = '"', point = '.';
    int comment = NONE;     // a character
    std::size_t width = 1;  // columns
    std::vector<std::string> missing;
};

enum class Kind { number, integer, truth, text };

struct Wanted {
    std::size_t column;
    Kind kind;
    std::string yes, no;  // how a column of truth values is written
};

// What the scan has found in a wanted column. Text lies end to end in `text`; `ends` begins with 0.
struct Found {
    std::vector<double> numbers;
    std::vector<std::int64_t> integers;
    std::vector<std::int32_t> ends;
    std::string text;
    std::vector<std::uint8_t> missing;  // of integers and text; a missing number is NaN
    std::int64_t missed = 0, overflowed = 0, rounded = 0;
};

// A number that needs more than nineteen digits to be rounded.
struct Undecided {
    std::size_t wanted, row;
    std::string text;
};

enum class Problem { none, width, stray, open, number, integer, truth, text };

// The first field that could not be taken: `record` is where its record begins, and `at` where it does itself. For a
// short or a long record, `column` is the first that is missing or too many, and `at` the same as `record`.
struct Fault {
    Problem problem = Problem::none;
    std::size_t column = 0, record = 0, at = 0;
};

struct Scan {
    std::size_t rows = 0;
    std::vector<Found> found;
    std::vector<Undecided> undecided;
    std::size_t blank = 0;
    Fault fault;
};

// Where a reader is between two bytes. RETURN is a RECORD after a carriage return, whose line feed may follow; QUOTE
// comes after a quote within quotes, which closes them or is the first of two.
enum class State { record, returned, field, plain, quoted, quote, comment };

inline bool is_line_end(char c) { return c == '\n' || c == '\r'; }

inline State after(char c, const Dialect& dialect) {
    return c == '\n' ? State::record : c == '\r' ? State::returned : c == dialect.delimiter ? State::field : State::plain;
}

inline State step(State state, char c, const Dialect& dialect) {
    const bool begins = state == State::record || state == State::returned;
    if (state == State::quoted) return c == dialect.quote ? State::quote : State::quoted;
    if (state == State::comment) return is_line_end(c) ? after(c, dialect) : State::comment;
    if (state == State::returned && c == '\n') return State::record;
    if (begins && static_cast<unsigned char>(c) == dialect.comment) return State::comment;
    if (c == dialect.quote && state != State::plain) return State::quoted;
    return after(c, dialect);
}

// The quotes of a block, if they are those of RFC 4180: one that opens stands at the start of a field or behind one that
// closes, and behind one that closes is the end of a field or one that opens. `wrong` are the places where this is first
// seen not to be so; what the others say is right before the first of them. An opening quote is `inside`.
struct Quotes {
    Places inside, opening, closing;
    Quotes(Places quotes, bool quoted)
        : inside(odd(quotes) ^ (Places{0} - quoted)), opening(quotes & inside), closing(quotes & ~inside) {}

    // `ends`: of fields, outside quotes; `begins`: whether a quote may open at the first place.
    Places wrong_opening(Places ends, bool begins) const { return opening & ~((ends | closing) << 1 | Places{begins}); }
    // `closed`: whether the quote before the block closed.
    Places wrong_closing(Places ends, bool closed) const { return (closing << 1 | Places{closed}) & ~(ends | opening); }
};

// Where a character is first, or the end.
inline const char* find(const char* p, const char* end, char c) {
    const void* at = p < end ? std::memchr(p, c, static_cast<std::size_t>(end - p)) : nullptr;
    return at ? static_cast<const char*>(at) : end;
}

// The state after a range of bytes that begins with a record.
inline State crossed(const char* p, const char* const end, const Dialect& dialect) {
    State state = State::record;
    if (dialect.comment == NONE && p < end && find(p, end, dialect.quote) == end) return after(end[-1], dialect);
    for (; end - p >= Block::SIZE; p += Block::SIZE) {
        const Block block(p);
        const bool quoted = state == State::quoted;
        const bool comments = dialect.comment != NONE && block.are(static_cast<char>(dialect.comment)) != 0;
        if (state != State::comment && !comments) {
            const Places marks = block.are(dialect.quote);
            if (marks == 0) {
                if (!quoted) state = after(p[Block::SIZE - 1], dialect);
                continue;
            }
            const Quotes quotes(marks, quoted);
            const Places ends = block.are(dialect.delimiter, '\n', '\r') & ~quotes.inside;
            // Text behind a closing quote is not for here to refuse.
            if (quotes.wrong_opening(ends, state != State::plain) == 0) {
                const bool within = quotes.inside >> 63, closed = quotes.closing >> 63;
                state = within ? State::quoted : closed ? State::quote : after(p[Block::SIZE - 1], dialect);
                continue;
            }
        }
        for (std::ptrdiff_t i = 0; i < Block::SIZE; ++i) state = step(state, p[i], dialect);
    }
    for (; p < end; ++p) state = step(state, *p, dialect);
    return state;
}

// Where the first record begins at or behind a place of a range that begins with one; null if the range may be cut off
// before that. `last` says that it reaches the end of the text.
inline const char* border(const char* const begin, const char* p, const char* const end, const Dialect& dialect,
                          bool last) {
    State state = crossed(begin, p, dialect);
    while (p < end && state != State::record && (state != State::returned || *p == '\n')) state = step(state, *p++, dialect);
    return p < end || state == State::record || last ? p : nullptr;
}

// Whether bytes are UTF-8: no overlong forms, no surrogates, nothing beyond U+10FFFF.
inline bool is_utf8(std::string_view text) {
    const auto *p = reinterpret_cast<const unsigned char*>(text.data()), *const end = p + text.size();
    while (p < end) {
        const unsigned lead = *p++;
        if (lead < 0x80) continue;
        const int more = lead >= 0xF0 ? 3 : lead >= 0xE0 ? 2 : 1;
        if (lead < 0xC2 || lead > 0xF4 || end - p < more) return false;
        const unsigned low = lead == 0xE0 ? 0xA0 : lead == 0xF0 ? 0x90 : 0x80;
        const unsigned high = lead == 0xED ? 0x9F : lead == 0xF4 ? 0x8F : 0xBF;
        if (p[0] < low || p[0] > high) return false;
        for (int i = 1; i < more; ++i) {
            if (p[i] < 0x80 || p[i] > 0xBF) return false;
        }
        p += more;
    }
    return true;
}

inline std::string_view without_blanks(std::string_view text) {
    const auto first = text.find_first_not_of(" \t");
    return first == text.npos ? text.substr(0, 0) : text.substr(first, text.find_last_not_of(" \t") - first + 1);
}

inline bool is_word(std::string_view text, std::string_view word) {
    return text.size() == word.size() && std::equal(text.begin(), text.end(), word.begin(), [](char c, char lower) {
               return (c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c) == lower;
           });
}

class Scanner {
  public:
    // The wanted columns are in ascending order; one that is wanted twice is found twice.
    Scanner(const Dialect& dialect, const std::vector<Wanted>& wanted, const char* begin, const char* end)
        : dialect_(dialect), wanted_(wanted), begin_(begin), end_(end), flags_(wanted.size()) {
        const auto in_number = [](char c) { return is_digit(c) || std::strchr("+-eE \t", c) != nullptr; };
        direct_ = !in_number(dialect.delimiter) && !in_number(dialect.point) && dialect.delimiter != '.' &&
                  dialect.delimiter != dialect.point;
        for (const std::string& word : dialect.missing) {
            if (word.empty()) {
                empty_is_missing_ = true;
                continue;
            }
            missing_begin_[static_cast<unsigned char>(word[0])] = true;
            const bool number = read_number(word.data(), word.data() + word.size(), dialect.point).end != nullptr;
            number_is_missing_ = number_is_missing_ || number;
        }
        const std::size_t shortest = 2 * dialect.width;
        const std::size_t rows = std::min(static_cast<std::size_t>(end - begin) / shortest + 1, FEW_ROWS);
        scan_.found.resize(wanted.size());
        for (std::size_t i = 0; i < wanted.size(); ++i) {
            Found& found = scan_.found[i];
            if (wanted[i].kind == Kind::text)
                found.ends.assign(1, 0);
            else if (wanted[i].kind == Kind::integer)
                found.integers.reserve(rows);
            else
                found.numbers.reserve(rows);
        }
    }

    // Scan the records up to the first fault. The last one need not have a line end.
    Scan run() {
        for (const char *p = begin_, *next; p < end_; p = next) {
            if (static_cast<unsigned char>(*p) == dialect_.comment) {
                next = after_line(std::find_if(p, end_, is_line_end));
            } else if (is_line_end(*p) && dialect_.width > 1) {
                next = after_line(p);
                ++scan_.blank;
            } else {
                next = record(p);
                if (!next) {
                    scan_.fault.record = static_cast<std::size_t>(p - begin_);
                    forget_record();
                    break;
                }
                if (any_flag_) count_flags();
                ++scan_.rows;
            }
        }
        return std::move(scan_);
    }

  private:
    static constexpr std::size_t FEW_ROWS = 1 << 17;
    enum Flag : unsigned char { MISSED = 1, OVERFLOWED = 2, ROUNDED = 4 };

    struct Field {
        const char *begin, *end;  // without quotes
        const char* after;        // the delimiter or line end behind it, or the end of the buffer
        bool doubled;             // whether it holds doubled quotes
    };

    const Dialect& dialect_;
    const std::vector<Wanted>& wanted_;
    const char *const begin_, *const end_;
    bool direct_;  // whether a number ends at the first character that cannot be in it
    bool empty_is_missing_ = false, number_is_missing_ = false;
    bool missing_begin_[256] = {};
    std::vector<unsigned char> flags_;  // of the fields of this record
    bool any_flag_ = false;
    std::string unquoted_, plain_;
    Scan scan_;

    // Whether a field in quotes follows the delimiter at p.
    bool is_quoted(const char* p) const { return end_ - p > 1 && *p == dialect_.delimiter && p[1] == dialect_.quote; }

    bool ends_field(char c) const { return c == dialect_.delimiter || is_line_end(c); }

    std::nullptr_t fail(Problem problem, std::size_t column, const char* at) {
        scan_.fault = {problem, column, 0, static_cast<std::size_t>(at - begin_)};
        return nullptr;
    }

    // Return where the record behind a line end begins.
    const char* after_line(const char* p) const {
        if (p == end_) return p;
        return p + 1 + (*p == '\r' && p + 1 < end_ && p[1] == '\n');
    }

    // Read a record, and return where the next one begins; null if it has a fault.
    const char* record(const char* const start) {
        std::size_t column = 0;
        const char *field = start, *p = start;  // where the column's field begins, and how far it has been read
        for (std::size_t i = 0; i < wanted_.size(); ++i) {
            if (wanted_[i].column > column) {
                if (wanted_[i].column == column + 2 && is_quoted(p)) {
                    // A field between two wanted ones ends before a block is searched for all that may end it.
                    Field between;
                    if (!read_quoted(p + 1, column + 1, between)) return nullptr;
                    ++column, p = between.after;
                }
                const bool next = wanted_[i].column == column + 1 && p < end_ && *p == dialect_.delimiter;
                p = next ? ++column, p + 1 : skip(p, column, wanted_[i].column);
                if (!p) return nullptr;
                if (column < wanted_[i].column) return fail(Problem::width, column + 1, start);
                field = p;
            }
            p = take(i, field);
            if (!p) return nullptr;
        }
        if (p < end_ && *p == '\n' && column + 1 == dialect_.width) return p + 1;
        p = skip(p, column, dialect_.width);
        if (!p) return nullptr;
        if (column + 1 != dialect_.width) return fail(Problem::width, std::min(column + 1, dialect_.width), start);
        return after_line(p);
    }

    // Move from the start or the end of a column's field to the start of a later column, or to the end of the line;
    // `column` becomes the one that was reached. Null if a quoted field has a fault.
    MSECLI_APART const char* skip(const char* p, std::size_t& column, const std::size_t later) {
        const char* field = p;
        bool quoted = false, begins = true, closed = false;
        while (p < end_) {
            const Block bytes = block(p);
            const Places within = valid(p);
            const Places marks = bytes.are(dialect_.quote) & within;
            Places delimiters = bytes.are(dialect_.delimiter) & within, line_ends = bytes.are('\n', '\r') & within;
            Places stops = line_ends;
            bool behind_quoted = false, behind_closed = false;
            if (marks != 0 || quoted || closed) {
                const Quotes quotes(marks, quoted);
                delimiters &= ~quotes.inside, line_ends &= ~quotes.inside;
                const Places ends = delimiters | line_ends;
                stops = line_ends | quotes.wrong_opening(ends, begins) | (quotes.wrong_closing(ends, closed) & within);
                behind_quoted = quotes.inside >> 63, behind_closed = quotes.closing >> 63;
            }
            Places passed = delimiters & before_first(stops);
            const std::size_t fields = count(passed);
            if (column + fields >= later) {
                for (; column + 1 < later; ++column) passed &= passed - 1;
                ++column;
                return p + first(passed) + 1;
            }
            column += fields;
            if (passed) field = p + last(passed) + 1;
            if (stops == 0) {
                quoted = behind_quoted, closed = behind_closed, begins = closed || delimiters >> 63;
                p += std::min(Block::SIZE, end_ - p);
                continue;
            }
            p += first(stops);
            if (is_line_end(*p)) return p;
            // Either a quote within a field without quotes, which is an ordinary character, or a fault.
            Field whole;
            if (!read_field(field, column, whole)) return nullptr;
            p = field = whole.after;
            quoted = closed = false, begins = true;
        }
        if (quoted) return fail(Problem::open, column, field);
        return p;
    }

    // The block that begins at p, with anything behind the end of the text, and its places that are within the text.
    Block block(const char* p) const {
        if (end_ - p >= Block::SIZE) return Block(p);
        char copy[Block::SIZE] = {};
        std::memcpy(copy, p, static_cast<std::size_t>(end_ - p));
        return Block(copy);
    }

    Places valid(const char* p) const {
        return end_ - p >= Block::SIZE ? ~Places{0} : (Places{1} << (end_ - p)) - 1;
    }

    bool read_quoted(const char* const start, std::size_t column, Field& field) {
        field = {start + 1, nullptr, nullptr, false};
        for (const char* p = start + 1;; p += 2) {
            p = find(p, end_, dialect_.quote);
            if (p == end_) return fail(Problem::open, column, start) != nullptr;
            field.end = p;
            field.after = p + 1;
            if (field.after == end_ || ends_field(*field.after)) return true;
            if (*field.after != dialect_.quote) return fail(Problem::stray, column, start) != nullptr;
            field.doubled = true;
        }
    }

    MSECLI_APART bool read_field(const char* const start, std::size_t column, Field& field) {
        if (start < end_ && *start == dialect_.quote) return read_quoted(start, column, field);
        const char* p = start;
        for (; p < end_; p += std::min(Block::SIZE, end_ - p)) {
            const Block bytes = block(p);
            const Places ends = bytes.are(dialect_.delimiter, '\n', '\r') & valid(p);
            if (ends == 0) continue;
            p += first(ends);
            break;
        }
        field = {start, p, p, false};
        return true;
    }

    std::string_view content(const Field& field) {
        const std::string_view text(field.begin, static_cast<std::size_t>(field.end - field.begin));
        if (!field.doubled) return text;
        unquoted_.clear();
        for (std::size_t at = 0; at < text.size(); ++at) {
            unquoted_ += text[at];
            if (text[at] == dialect_.quote) ++at;
        }
        return unquoted_;
    }

    bool is_missing(std::string_view text) const {
        if (text.empty()) return empty_is_missing_;
        if (!missing_begin_[static_cast<unsigned char>(text[0])]) return false;
        return std::find(dialect_.missing.begin(), dialect_.missing.end(), text) != dialect_.missing.end();
    }

    // Take the field that begins at p for the wanted column i; return where it ends, or null for a fault.
    const char* take(std::size_t i, const char* const p) {
        const Wanted& wanted = wanted_[i];
        if (wanted.kind == Kind::number && direct_) {
            const Number number = read_number(p, end_, dialect_.point);
            if (number.end && (number.end == end_ || ends_field(*number.end))) {
                const std::string_view text(p, static_cast<std::size_t>(number.end - p));
                if (number_is_missing_ && is_missing(text))
                    take_missing(i);
                else
                    take_number(i, number, text);
                return number.end;
            }
        }
        Field field;
        if (!read_field(p, wanted.column, field)) return nullptr;
        const std::string_view text = content(field);
        if (is_missing(text)) {
            take_missing(i);
            return field.after;
        }
        switch (wanted.kind) {
            case Kind::number:
                return take_written(i, text) ? field.after : fail(Problem::number, wanted.column, p);
            case Kind::truth:
                return take_truth(i, text) ? field.after : fail(Problem::truth, wanted.column, p);
            case Kind::integer:
                return take_integer(i, text) ? field.after : fail(Problem::integer, wanted.column, p);
            case Kind::text:
                return take_text(i, text) ? field.after : fail(Problem::text, wanted.column, p);
        }
        return nullptr;
    }

    void flag(std::size_t i, Flag which) {
        flags_[i] = static_cast<unsigned char>(flags_[i] | which);
        any_flag_ = true;
    }

    void take_missing(std::size_t i) {
        Found& found = scan_.found[i];
        if (wanted_[i].kind == Kind::integer)
            found.integers.push_back(0);
        else if (wanted_[i].kind == Kind::text)
            found.ends.push_back(found.ends.back());
        else
            found.numbers.push_back(std::numeric_limits<double>::quiet_NaN());
        flag(i, MISSED);
    }

    void take_number(std::size_t i, const Number& number, std::string_view text) {
        scan_.found[i].numbers.push_back(number.value);
        if (number.rounded) flag(i, ROUNDED);
        if (number.undecided) {
            scan_.undecided.push_back({i, scan_.rows, std::string(text)});
            std::string& copy = scan_.undecided.back().text;
            std::replace(copy.begin(), copy.end(), dialect_.point, '.');
        } else if (number.value - number.value != 0) {
            flag(i, OVERFLOWED);
        }
    }

    // Take a number that may have blanks around it and be written in any allowed way, or be a word.
    bool take_written(std::size_t i, std::string_view text) {
        text = without_blanks(text);
        const std::string_view plain = direct_ ? text : plainly(text);
        const Number number = read_number(plain.data(), plain.data() + plain.size(), direct_ ? dialect_.point : '.');
        if (number.end && number.end == plain.data() + plain.size()) {
            take_number(i, number, plain);
            return true;
        }
        const bool negative = !text.empty() && text[0] == '-';
        if (!text.empty() && (text[0] == '-' || text[0] == '+')) text.remove_prefix(1);
        if (is_word(text, "nan")) {
            take_missing(i);
            return true;
        }
        if (!is_word(text, "inf") && !is_word(text, "infinity")) return false;
        const double infinite = std::numeric_limits<double>::infinity();
        scan_.found[i].numbers.push_back(negative ? -infinite : infinite);
        return true;
    }

    // Return a number with a decimal point, or something that is no number.
    std::string_view plainly(std::string_view text) {
        plain_ = text;
        for (char& c : plain_) c = c == dialect_.point ? '.' : c == '.' ? '?' : c;
        return plain_;
    }

    bool take_truth(std::size_t i, std::string_view text) {
        text = without_blanks(text);
        const bool yes = text == wanted_[i].yes;
        if (yes || text == wanted_[i].no) scan_.found[i].numbers.push_back(yes ? 1.0 : 0.0);
        return yes || text == wanted_[i].no;
    }

    // Take an integer that is written as it would be printed.
    bool take_integer(std::size_t i, std::string_view text) {
        const bool negative = text.size() > 1 && text[0] == '-';
        const std::string_view digits = negative ? text.substr(1) : text;
        std::uint64_t size = 0;
        const char* const end = read_digits(digits.data(), digits.data() + digits.size(), size);
        const bool leading = !digits.empty() && digits[0] == '0' && text.size() > 1;
        if (digits.empty() || digits.size() > DIGITS || end != digits.data() + digits.size() || leading) return false;
        constexpr std::uint64_t LARGEST = std::numeric_limits<std::int64_t>::max();
        if (size > LARGEST + negative) return false;
        const std::uint64_t value = negative ? ~size + 1 : size;
        std::int64_t integer;
        std::memcpy(&integer, &value, sizeof integer);
        scan_.found[i].integers.push_back(integer);
        return true;
    }

    bool take_text(std::size_t i, std::string_view text) {
        if (!is_utf8(text)) return false;
        Found& found = scan_.found[i];
        found.text.append(text);
        found.ends.push_back(static_cast<std::int32_t>(found.text.size()));
        return true;
    }

    // Count what was noted about the fields of a record. Masks are kept only from the first missing label on.
    void count_flags() {
        for (std::size_t i = 0; i < flags_.size(); ++i) {
            Found& found = scan_.found[i];
            found.overflowed += (flags_[i] & OVERFLOWED) != 0;
            found.rounded += (flags_[i] & ROUNDED) != 0;
            if ((flags_[i] & MISSED) != 0) {
                ++found.missed;
                const bool label = wanted_[i].kind == Kind::integer || wanted_[i].kind == Kind::text;
                if (label) found.missing.resize(scan_.rows + 1), found.missing[scan_.rows] = 1;
            }
            flags_[i] = 0;
        }
        any_flag_ = false;
    }

    void forget_record() {
        for (Found& found : scan_.found) {
            if (found.numbers.size() > scan_.rows) found.numbers.pop_back();
            if (found.integers.size() > scan_.rows) found.integers.pop_back();
            if (found.ends.size() > scan_.rows + 1) {
                found.ends.pop_back();
                found.text.resize(static_cast<std::size_t>(found.ends.back()));
            }
        }
        while (!scan_.undecided.empty() && scan_.undecided.back().row == scan_.rows) scan_.undecided.pop_back();
    }
};

}  // namespace msecli
