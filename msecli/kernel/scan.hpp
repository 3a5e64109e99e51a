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
    int thousands = NONE, comment = NONE;  // characters
    bool blanks = true;                    // whether blanks around a number are left out
    std::size_t width = 1;                 // columns
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

// The first field that could not be taken. For a short or a long record, `column` is the first that is missing or too
// many, and `at` where the record begins; otherwise `at` is where the field begins.
struct Fault {
    Problem problem = Problem::none;
    std::size_t column = 0, at = 0;
};

struct Scan {
    std::size_t rows = 0, end = 0;  // `end` is after the last whole record, or where the faulty one begins
    std::vector<Found> found;
    std::vector<Undecided> undecided;
    std::size_t blank = 0, blank_at_end = 0, comments = 0;
    Fault fault;
};

// Where a reader is between two bytes. RETURN is a RECORD after a carriage return, whose line feed may follow.
enum State : unsigned char { RECORD, RETURN, FIELD, PLAIN, QUOTED, QUOTE, COMMENT, STATES };

inline bool is_line_end(char c) { return c == '\n' || c == '\r'; }

inline State after(char c, const Dialect& dialect) {
    return c == '\n' ? RECORD : c == '\r' ? RETURN : c == dialect.delimiter ? FIELD : PLAIN;
}

inline State step(State state, char c, const Dialect& dialect) {
    const bool begins = state == RECORD || state == RETURN;
    if (state == QUOTED) return c == dialect.quote ? QUOTE : QUOTED;
    if (state == COMMENT) return is_line_end(c) ? after(c, dialect) : COMMENT;
    if (state == RETURN && c == '\n') return RECORD;
    if (begins && static_cast<unsigned char>(c) == dialect.comment) return COMMENT;
    if (c == dialect.quote && state != PLAIN) return QUOTED;
    return after(c, dialect);
}

inline const char* find(const char* p, const char* end, int c) {
    const void* at = p < end ? std::memchr(p, c, static_cast<std::size_t>(end - p)) : nullptr;
    return at ? static_cast<const char*>(at) : end;
}

// The state after a range of bytes that begins in a state. Only quotes and comments need a look, and what ends a line.
inline State crossed(State state, const char* p, const char* const end, const Dialect& dialect) {
    const char *quote = p, *comment = dialect.comment == NONE ? end : p;
    while (p < end) {
        if (state == QUOTED) {
            p = find(p, end, dialect.quote);
        } else if (state == COMMENT) {
            p = std::find_if(p, end, is_line_end);
        } else {
            if (quote <= p) quote = find(p, end, dialect.quote);
            if (comment <= p && comment < end) comment = find(p, end, dialect.comment);
            const char* const next = std::min(quote, comment);
            if (next > p) state = after(next[-1], dialect);
            p = next;
        }
        if (p < end) state = step(state, *p++, dialect);
    }
    return state;
}

// Replace each state by the one after a range of bytes. Readers that begin in different states soon agree, except that
// one may be within quotes and the other outside.
inline void cross(State (&states)[STATES], const char* p, const char* const end, const Dialect& dialect) {
    bool reached[STATES];
    for (;; ++p) {
        std::fill_n(reached, +STATES, false);
        for (const State state : states) reached[state] = true;
        if (p == end || std::count(reached, reached + STATES, true) <= 2) break;
        for (State& state : states) state = step(state, *p, dialect);
    }
    State after_rest[STATES] = {};
    for (unsigned state = 0; state < STATES; ++state) {
        if (reached[state]) after_rest[state] = crossed(static_cast<State>(state), p, end, dialect);
    }
    for (State& state : states) state = after_rest[state];
}

// Where the first record begins in a range that begins in a state, or null if none does. See `scan` for `last`.
inline const char* boundary(State state, const char* p, const char* const end, const Dialect& dialect, bool last) {
    for (; p < end; ++p) {
        if (state == RECORD || (state == RETURN && *p != '\n')) return p;
        state = step(state, *p, dialect);
    }
    return state == RECORD || last ? end : nullptr;
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
    Scanner(const Dialect& dialect, const std::vector<Wanted>& wanted, const char* begin, const char* end, bool last)
        : dialect_(dialect), wanted_(wanted), begin_(begin), end_(end), last_(last), flags_(wanted.size()) {
        const auto in_number = [](char c) { return is_digit(c) || std::strchr("+-eE \t", c) != nullptr; };
        direct_ = !in_number(dialect.delimiter) && !in_number(dialect.point) && dialect.delimiter != '.' &&
                  dialect.delimiter != dialect.point && dialect.thousands == NONE;
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

    // Scan the records that begin before `stop`. The buffer begins with a record; `last` says whether it reaches the
    // end of the text, so that a record without a line end is whole.
    Scan run(std::size_t stop) {
        const char *p = begin_, *next = begin_;
        const char* const limit = begin_ + std::min(stop, static_cast<std::size_t>(end_ - begin_));
        for (; p < limit; p = next) {
            if (static_cast<unsigned char>(*p) == dialect_.comment) {
                next = after_line(std::find_if(p, end_, is_line_end));
                if (!next) break;
                ++scan_.comments;
            } else if (is_line_end(*p) && dialect_.width > 1) {
                next = after_line(p);
                if (!next) break;
                ++scan_.blank;
                ++scan_.blank_at_end;
            } else {
                next = record(p);
                if (!next) {
                    forget_record();
                    const bool whole = last_ || boundary(step(RECORD, *p, dialect_), p + 1, end_, dialect_, false);
                    if (!whole) scan_.fault = {};
                    break;
                }
                if (any_flag_) count_flags();
                ++scan_.rows;
                scan_.blank_at_end = 0;
            }
        }
        scan_.end = static_cast<std::size_t>(p - begin_);
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
    const bool last_;
    bool direct_;  // whether a number ends at the first character that cannot be in it
    bool empty_is_missing_ = false, number_is_missing_ = false;
    bool missing_begin_[256] = {};
    std::vector<unsigned char> flags_;  // of the fields of this record
    bool any_flag_ = false;
    std::string unquoted_, plain_;
    Scan scan_;

    bool ends_field(char c) const { return c == dialect_.delimiter || is_line_end(c); }

    std::nullptr_t fail(Problem problem, std::size_t column, const char* at) {
        scan_.fault = {problem, column, static_cast<std::size_t>(at - begin_)};
        return nullptr;
    }

    // Return where the record behind a line end begins, or null if the buffer may have cut the line end off.
    const char* after_line(const char* p) const {
        if (p == end_) return last_ ? p : nullptr;
        if (*p == '\n') return p + 1;
        if (p + 1 == end_) return last_ ? p + 1 : nullptr;
        return p + 1 + (p[1] == '\n');
    }

    // Read a record, and return where the next one begins; null if it has a fault, or is not whole.
    const char* record(const char* const start) {
        std::size_t column = 0;
        const char *field = start, *p = start;  // where the column's field begins, and how far it has been read
        for (std::size_t i = 0; i < wanted_.size(); ++i) {
            if (wanted_[i].column > column) {
                std::size_t left = wanted_[i].column - column;
                p = skip(p, field, left, wanted_[i].column);
                if (!p) return nullptr;
                if (left > 0) return fail(Problem::width, wanted_[i].column - left + 1, start);
                column = wanted_[i].column;
                field = p;
            }
            p = take(i, field);
            if (!p) return nullptr;
        }
        if (p < end_ && *p == '\n' && p > start && column + 1 == dialect_.width) return p + 1;
        std::size_t left = dialect_.width - column;
        p = skip(p, field, left, dialect_.width);
        if (!p) return nullptr;
        if (left != 1) return fail(Problem::width, left == 0 ? dialect_.width : dialect_.width - left + 1, start);
        return after_line(p);
    }

    // Move over a number of delimiters, or to the end of the line if there are fewer `left`; null if a quoted field
    // has a fault. A quote opens at `field` or behind a delimiter.
    const char* skip(const char* p, const char* const field, std::size_t& left, std::size_t column) {
        const char delimiter = dialect_.delimiter, quote = dialect_.quote;
        if (p < end_ && *p == delimiter) {
            ++p;
            if (--left == 0) return p;
        }
        while (p < end_) {
            if (end_ - p >= 16) {
                const Sixteen bytes(p);
                std::uint64_t passed = bytes.are(delimiter);
                const std::uint64_t stops = bytes.are('\n') | bytes.are('\r') | bytes.are(quote);
                if (stops) passed &= Sixteen::before_first(stops);
                for (; passed; passed &= passed - 1) {
                    if (--left == 0) return p + Sixteen::first(passed) + 1;
                }
                p += stops ? Sixteen::first(stops) : 16;
                if (!stops) continue;
            } else if (*p == delimiter) {
                ++p;
                if (--left == 0) return p;
                continue;
            } else if (!is_line_end(*p) && *p != quote) {
                ++p;
                continue;
            }
            if (*p != quote) return p;
            if (p == field || p[-1] == delimiter) {
                Field quoted;
                if (!read_quoted(p, column - left, quoted)) return nullptr;
                p = quoted.after;
            } else {
                ++p;
            }
        }
        return p;
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

    bool read_field(const char* const start, std::size_t column, Field& field) {
        if (start < end_ && *start == dialect_.quote) return read_quoted(start, column, field);
        const char* p = start;
        for (; end_ - p >= 16; p += 16) {
            const Sixteen bytes(p);
            const std::uint64_t ends = bytes.are(dialect_.delimiter) | bytes.are('\n') | bytes.are('\r');
            if (ends) {
                p += Sixteen::first(ends);
                field = {start, p, p, false};
                return true;
            }
        }
        while (p < end_ && !ends_field(*p)) ++p;
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
        if (dialect_.blanks) text = without_blanks(text);
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

    // Return a number with a decimal point and without thousands marks, or something that is no number.
    std::string_view plainly(std::string_view text) {
        plain_.clear();
        const char mark = static_cast<char>(dialect_.thousands);
        bool marked = false;  // whether three digits must follow, then no fourth one
        std::size_t digits = 0, at = 0;
        if (dialect_.thousands != NONE && text.find(mark) != text.npos) {
            for (; at < text.size(); ++at) {
                if (is_digit(text[at]))
                    ++digits;
                else if (text[at] == mark && (marked ? digits == 3 : digits >= 1 && digits <= 3))
                    marked = true, digits = 0;
                else if (at > 0 || (text[at] != '-' && text[at] != '+'))
                    break;
                if (text[at] != mark) plain_ += text[at];
            }
            if (!marked || digits != 3 || text.find(mark, at) != text.npos) return {};
        }
        for (; at < text.size(); ++at) {
            const char c = text[at];
            plain_ += c == dialect_.point ? '.' : c == '.' ? '?' : c;
        }
        return plain_;
    }

    bool take_truth(std::size_t i, std::string_view text) {
        if (dialect_.blanks) text = without_blanks(text);
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
