#!/usr/bin/env python3
"""Writes operators/src/extract/jisx0213.tsv: the characters of JIS X 0213:2004 by plane, row and cell.

One line a row: `plane-row`, then its 94 cells, each after a tab, empty where nothing is assigned.
Some cells are two code points. Run from the checkout's root; the table is committed, because it
never changes.
"""

from pathlib import Path

SINGLE_SHIFT_3 = b"\x8f"  # announces plane 2 in EUC-JIS-2004


def cell(plane: int, row: int, column: int) -> str:
    prefix = SINGLE_SHIFT_3 if plane == 2 else b""
    return (prefix + bytes([0xA0 + row, 0xA0 + column])).decode("euc_jis_2004", "ignore")


with Path("operators/src/extract/jisx0213.tsv").open("w", encoding="utf-8", newline="\n") as table:
    for plane in (1, 2):
        for row in range(1, 95):
            cells = [cell(plane, row, column) for column in range(1, 95)]
            if any(cells):
                print(f"{plane}-{row}", *cells, sep="\t", file=table)
