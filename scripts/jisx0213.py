#!/usr/bin/env python3
"""Writes operators/src/extract/jisx0213.tsv: the characters of JIS X 0213:2004 by plane, row and cell.

One line a row: `plane-row`, then its 94 cells, each after a tab, empty where nothing is assigned.
Some cells are two code points. Run from the checkout's root; the table is committed, because it
never changes.
"""

from pathlib import Path

# The codec fills the other rows of plane 2 from JIS X 0212, which uses no row that plane 2 has.
ROWS = {1: [*range(1, 95)], 2: [1, 3, 4, 5, 8, 12, 13, 14, 15, *range(78, 95)]}
SINGLE_SHIFT_3 = b"\x8f"  # announces plane 2 in EUC-JIS-2004


def cell(plane: int, row: int, column: int) -> str:
    prefix = SINGLE_SHIFT_3 if plane == 2 else b""
    try:
        return (prefix + bytes([0xA0 + row, 0xA0 + column])).decode("euc_jis_2004")
    except UnicodeDecodeError:
        return ""


with Path("operators/src/extract/jisx0213.tsv").open("w", encoding="utf-8", newline="\n") as table:
    for plane, rows in ROWS.items():
        for row in rows:
            cells = [cell(plane, row, column) for column in range(1, 95)]
            print(f"{plane}-{row}", *cells, sep="\t", file=table)
