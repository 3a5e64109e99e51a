"""Write the table of powers of five that `decimal.hpp` includes; the build runs this.

    python powers.py > powers.inc

Each power 5**q is cut to the 128 bits from its highest one, as two 64-bit words.

References
----------
D. Lemire, "Number parsing at a gigabyte per second", Software: Practice and Experience 51(8), 2021.
"""

from __future__ import annotations

import sys

SMALLEST, LARGEST = -342, 308
"""With a significand of 19 digits, 10**q is zero below this range and infinite above it."""
BITS = 128
LAST_ROUNDED_UP = -27
"""Down to this q, significands that are multiples of 5**-q give exact quotients, which 5**q cut off would miss."""


def power_of_five(q: int) -> int:
    """Return the highest 128 bits of 5**q."""
    power: int = 5 ** abs(q)
    size = power.bit_length()
    if q >= 0:
        return (power << BITS) >> size
    if q >= LAST_ROUNDED_UP:
        return (1 << (size + BITS - 1)) // power + 1
    quotient = (1 << (2 * size + BITS)) // power + 1
    return quotient >> (quotient.bit_length() - BITS)


def table() -> str:
    """Return the initialisers of the table, two words on every line."""
    powers = map(power_of_five, range(SMALLEST, LARGEST + 1))
    return "".join(f"0x{power >> 64:016x}, 0x{power & (1 << 64) - 1:016x},\n" for power in powers)


if __name__ == "__main__":
    sys.stdout.write(table())
