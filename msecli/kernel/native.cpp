// The native kernel for Python: arguments in, results out. What the functions do is in scan.hpp and exact.hpp, their
// contract in interface.py.
#include <Python.h>
#include <nanobind/nanobind.h>
#include <nanobind/ndarray.h>
#include <nanobind/stl/optional.h>
#include <nanobind/stl/pair.h>
#include <nanobind/stl/string.h>
#include <nanobind/stl/tuple.h>
#include <nanobind/stl/vector.h>

#include <cmath>
#include <memory>
#include <optional>
#include <stdexcept>
#include <utility>

#include "exact.hpp"
#include "scan.hpp"
#include "table.hpp"

namespace nb = nanobind;
using namespace nb::literals;

namespace {

using Buffer = nb::ndarray<const std::uint8_t, nb::ndim<1>, nb::c_contig, nb::device::cpu>;
using Values = nb::ndarray<const double, nb::ndim<1>, nb::c_contig, nb::device::cpu>;
using Codes = nb::ndarray<const std::int64_t, nb::ndim<1>, nb::c_contig, nb::device::cpu>;
using Ends = nb::ndarray<const std::int32_t, nb::ndim<1>, nb::c_contig, nb::device::cpu>;
using Output = nb::ndarray<double, nb::ndim<1>, nb::c_contig, nb::device::cpu>;
using WantedTuple = std::tuple<std::size_t, unsigned, std::string, std::string>;

constexpr const char* PROBLEMS[] = {"none", "width", "stray", "open", "number", "integer", "truth", "text"};

struct Range {
    const char *begin, *end;
    explicit Range(const Buffer& buffer)
        : begin(buffer.size() > 0 ? reinterpret_cast<const char*>(buffer.data()) : ""), end(begin + buffer.size()) {
        if (buffer.size() > static_cast<std::size_t>(std::numeric_limits<std::int32_t>::max())) {
            throw std::invalid_argument("the buffer is larger than 2 GiB");
        }
    }
};

// Return an array that owns the contents of a container.
template <typename Container>
nb::object array(Container&& contents, std::size_t columns = 0) {
    using Held = std::decay_t<Container>;
    auto held = std::make_unique<Held>(std::move(contents));
    auto* const data = held->data();
    const std::size_t size = held->size();
    nb::capsule owner(held.release(), [](void* p) noexcept { delete static_cast<Held*>(p); });
    using Item = std::conditional_t<std::is_same_v<Held, std::string>, std::uint8_t, typename Held::value_type>;
    auto* const items = reinterpret_cast<Item*>(data);
    if (columns == 0) return nb::cast(nb::ndarray<nb::numpy, Item>(items, {size}, owner));
    return nb::cast(nb::ndarray<nb::numpy, Item>(items, {size / columns, columns}, owner));
}

nb::object found(msecli::Found& column, msecli::Kind kind, std::size_t rows) {
    nb::object values, missing = nb::none();
    if (kind == msecli::Kind::text) {
        values = nb::make_tuple(array(std::move(column.text)), array(std::move(column.ends)));
    } else if (kind == msecli::Kind::integer) {
        values = array(std::move(column.integers));
    } else {
        values = array(std::move(column.numbers));
    }
    if (!column.missing.empty()) {
        column.missing.resize(rows);
        missing = array(std::move(column.missing));
    }
    return nb::make_tuple(values, missing, column.missed, column.overflowed, column.rounded);
}

// Convert the numbers that need all their digits; Python rounds correctly.
void decide(msecli::Scan& scan) {
    for (const msecli::Undecided& number : scan.undecided) {
        const double value = PyOS_string_to_double(number.text.c_str(), nullptr, nullptr);
        if (value == -1.0 && PyErr_Occurred()) throw nb::python_error();
        msecli::Found& column = scan.found.at(number.wanted);
        column.numbers.at(number.row) = value;
        column.overflowed += std::isinf(value);
    }
}

nb::tuple scan(const Buffer& buffer, const msecli::Dialect& dialect, const std::vector<WantedTuple>& columns) {
    const Range text(buffer);
    std::vector<msecli::Wanted> wanted;
    for (const auto& [column, kind, yes, no] : columns) {
        const bool ordered = wanted.empty() || wanted.back().column <= column;
        if (column >= dialect.width || kind > static_cast<unsigned>(msecli::Kind::text) || !ordered) {
            throw std::invalid_argument("columns must be in ascending order and within the width");
        }
        wanted.push_back({column, static_cast<msecli::Kind>(kind), yes, no});
    }
    msecli::Scan result;
    {
        const nb::gil_scoped_release released;
        result = msecli::Scanner(dialect, wanted, text.begin, text.end).run();
    }
    decide(result);
    nb::list found_columns;
    for (std::size_t i = 0; i < wanted.size(); ++i) {
        found_columns.append(found(result.found[i], wanted[i].kind, result.rows));
    }
    nb::object fault = nb::none();
    if (result.fault.problem != msecli::Problem::none) {
        const char* const problem = PROBLEMS[static_cast<std::size_t>(result.fault.problem)];
        fault = nb::make_tuple(problem, result.rows, result.fault.column, result.fault.record, result.fault.at);
    }
    return nb::make_tuple(result.rows, nb::tuple(found_columns), result.blank, fault);
}

std::optional<std::size_t> border(const Buffer& buffer, const msecli::Dialect& dialect, std::size_t place, bool last) {
    const Range text(buffer);
    const nb::gil_scoped_release released;
    const char* const from = text.begin + std::min(place, buffer.size());
    const char* const found = msecli::border(text.begin, from, text.end, dialect, last);
    if (found == nullptr) return std::nullopt;
    return static_cast<std::size_t>(found - text.begin);
}

nb::tuple total(const msecli::Total& sum) {
    const nb::bytes limbs(sum.units.limbs, sizeof sum.units.limbs);
    return nb::make_tuple(limbs, sum.special);
}

void same_size(std::size_t expected, std::size_t size) {
    if (size != expected) throw std::invalid_argument("the arrays have different sizes");
}

nb::tuple exact_sum(const Values& values) {
    msecli::Total sum;
    {
        const nb::gil_scoped_release released;
        sum = msecli::sum_of(values.data(), values.size());
    }
    return total(sum);
}

nb::object squared_error(const Values& prediction, const Values& target, const std::optional<Values>& weight) {
    same_size(prediction.size(), target.size());
    if (weight) same_size(prediction.size(), weight->size());
    msecli::SquaredError sums;
    {
        const nb::gil_scoped_release released;
        sums = msecli::squared_error(prediction.data(), target.data(), weight ? weight->data() : nullptr,
                                     prediction.size());
    }
    if (!sums.regular) return nb::none();
    return nb::make_tuple(total(sums.error), weight ? nb::object(total(sums.weight)) : nb::none());
}

bool gradient(const Values& prediction, const Values& target, const std::optional<Values>& weight, double denominator,
              const Output& out) {
    for (const std::size_t size : {target.size(), out.size()}) same_size(prediction.size(), size);
    if (weight) same_size(prediction.size(), weight->size());
    const nb::gil_scoped_release released;
    return msecli::gradient(prediction.data(), target.data(), weight ? weight->data() : nullptr, denominator,
                            out.data(), prediction.size());
}

nb::tuple slots(msecli::Slots& sums) {
    nb::object special = sums.special.empty() ? nb::none() : array(std::move(sums.special));
    const std::size_t levels = sums.levels;
    return nb::make_tuple(sums.first_level, levels == 0 ? nb::none() : array(std::move(sums.digits), levels), special);
}

void check_codes(const Codes& codes, std::size_t size, std::size_t slots) {
    same_size(size, codes.size());
    if (size > msecli::MOST_VALUES) throw std::invalid_argument("too many values at once");
    std::uint64_t highest = 0;
    for (std::size_t i = 0; i < size; ++i) highest = std::max(highest, static_cast<std::uint64_t>(codes.data()[i]));
    if (size != 0 && highest >= slots) throw std::out_of_range("a code is not a slot");
}

nb::tuple sums_by_slot(const Values& values, const Codes& codes, std::size_t count) {
    msecli::Slots sums;
    {
        const nb::gil_scoped_release released;
        check_codes(codes, values.size(), count);
        sums = msecli::sums_by_slot(values.data(), codes.data(), values.size(), count);
    }
    return slots(sums);
}

nb::object squared_error_by_slot(const Values& prediction, const Values& target, const std::optional<Values>& weight,
                                 const Codes& codes, std::size_t count) {
    same_size(prediction.size(), target.size());
    if (weight) same_size(prediction.size(), weight->size());
    msecli::SlotErrors sums;
    {
        const nb::gil_scoped_release released;
        check_codes(codes, prediction.size(), count);
        sums = msecli::squared_error_by_slot(prediction.data(), target.data(), weight ? weight->data() : nullptr,
                                             codes.data(), prediction.size(), count);
    }
    if (!sums.regular) return nb::none();
    return nb::make_tuple(slots(sums.error), weight ? nb::object(slots(sums.weight)) : nb::none());
}

nb::tuple numbered(msecli::Numbered& found) {
    return nb::make_tuple(array(std::move(found.codes)), array(std::move(found.firsts)));
}

nb::tuple integer_codes(const Codes& labels) {
    msecli::Numbered found;
    {
        const nb::gil_scoped_release released;
        found = msecli::numbered(msecli::Integers(labels.data()), labels.size());
    }
    return numbered(found);
}

// The ends must be in order and within the data.
nb::tuple text_codes(const Buffer& data, const Ends& ends) {
    if (ends.size() == 0) throw std::invalid_argument("texts have ends");
    msecli::Numbered found;
    {
        const nb::gil_scoped_release released;
        found = msecli::numbered(msecli::Words(data.data(), ends.data()), ends.size() - 1);
    }
    return numbered(found);
}

}  // namespace

NB_MODULE(_native, module) {
    nb::class_<msecli::Dialect>(module, "Dialect")
        .def("__init__", [](msecli::Dialect* self, char delimiter, char quote, char point, int comment,
                            std::vector<std::string> missing, std::size_t width) {
            if (width == 0) throw std::invalid_argument("a record has at least one column");
            new (self) msecli::Dialect{delimiter, quote, point, comment, width, std::move(missing)};
        });
    module.def("scan", &scan);
    module.def("border", &border);
    module.def("exact_sum", &exact_sum);
    module.def("squared_error", &squared_error, nb::arg(), nb::arg(), nb::arg().none());
    module.def("gradient", &gradient, nb::arg(), nb::arg(), nb::arg().none(), nb::arg(), nb::arg());
    module.def("sums_by_slot", &sums_by_slot);
    module.def("squared_error_by_slot", &squared_error_by_slot, nb::arg(), nb::arg(), nb::arg().none(), nb::arg(),
               nb::arg());
    module.def("integer_codes", &integer_codes);
    module.def("text_codes", &text_codes);
}
