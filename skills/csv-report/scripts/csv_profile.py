"""What is in CSV files, counted. Reads only; needs nothing but Python.

csv_profile.py FOLDER-OR-FILE...
csv_profile.py FILE --group COLUMN --sum COLUMN [--where COLUMN=VALUE]
"""

import argparse
import csv
import re
import statistics
import sys
from collections import Counter, defaultdict
from pathlib import Path

SUFFIXES = {".csv", ".tsv"}
MOST_FILES, MOST_ROWS, MOST_VALUES, MOST_GROUPS = 50, 1_000_000, 100_000, 30
DATE = re.compile(r"\d{4}-\d{2}-\d{2}([T ].*)?|\d{1,2}[./]\d{1,2}[./]\d{2,4}")
# 1234.5, 1,234.5, 1.234,5 and 1 234,5, with a sign, a currency or a per cent sign.
NUMBER = re.compile(r"[-+]?(\d{1,3}([,. \u00a0']\d{3})+|\d+)?([.,]\d+)?([eE][-+]?\d+)?")

THOUSANDS = re.compile(r"[-+]?[1-9]\d{0,2}([,.]\d{3})+")


def number(text):
    """The number that *text* is, or None."""
    plain = text.strip().strip("$€£%\u00a0 ")
    if not any(each.isdigit() for each in plain) or not NUMBER.fullmatch(plain):
        return None
    mark = max(plain.rfind("."), plain.rfind(","))
    if THOUSANDS.fullmatch(plain) and "," in plain and "." not in plain:
        mark = -1  # 1,234 and 1,234,567 are whole; 1.234 is not, as most programs write
    elif plain.count(".") > 1 and "," not in plain:
        mark = -1  # 1.234.567 is
    if mark < 0:
        return float(re.sub(r"[^\d+eE-]", "", plain))
    return float(f"{re.sub(r'[^0-9+-]', '', plain[:mark]) or 0}.{plain[mark + 1 :]}")


def files_of(paths):
    for path in map(Path, paths):
        inside = sorted(p for p in path.rglob("*") if p.suffix.lower() in SUFFIXES)
        yield from inside if path.is_dir() else [path]


def rows_of(path):
    """The first row, and an iterator of the others."""
    file = path.open(encoding="utf-8-sig", errors="replace", newline="")
    sample = file.read(65_536)
    file.seek(0)
    try:
        dialect = csv.Sniffer().sniff(sample, ",;\t|")
    except csv.Error:
        dialect = csv.excel_tab if path.suffix.lower() == ".tsv" else csv.excel
    reader = csv.reader(file, dialect)
    head = [name.strip() or f"column {n}" for n, name in enumerate(next(reader, []), 1)]
    return head, (row for row in reader if any(cell.strip() for cell in row))


def shown(value):
    return f"{value:,.2f}".rstrip("0").rstrip(".")


def of_numbers(values):
    return (
        f"numbers, sum {shown(sum(values))}, average {shown(statistics.fmean(values))}, "
        f"median {shown(statistics.median(values))}, "
        f"from {shown(min(values))} to {shown(max(values))}"
    )


def of_texts(values):
    counts = Counter(values)
    often = ", ".join(f"{v[:40]!r} {n}" for v, n in counts.most_common(5))
    return f"texts, {len(counts)} different; most frequent: {often}"


def column(cells):
    """What a column holds, in words."""
    filled = [cell.strip() for cell in cells if cell.strip()]
    empty = f"; {len(cells) - len(filled)} empty" if len(filled) < len(cells) else ""
    if not filled:
        return "always empty"
    numbers = [value for cell in filled if (value := number(cell)) is not None]
    dates = [cell for cell in filled if DATE.fullmatch(cell)]
    if len(dates) == len(filled):
        iso = all(cell[:4].isdigit() for cell in dates)
        span = f" from {min(dates)} to {max(dates)}" if iso else f", as {dates[0]}"
        return f"dates{span}, {len(set(dates))} different{empty}"
    if len(numbers) >= 0.9 * len(filled):
        odd = len(filled) - len(numbers)
        return of_numbers(numbers) + (f"; {odd} are no numbers" if odd else "") + empty
    return of_texts(filled) + empty


def profile(path):
    head, rows = rows_of(path)
    print(f"\n## {path}")
    if not head:
        print("empty")
        return
    cells, seen = defaultdict(list), Counter()
    count = doubled = uneven = 0
    for row in rows:
        count += 1
        if count > MOST_ROWS:
            break
        key = hash(tuple(row))
        doubled += seen[key] > 0
        seen[key] = 1
        uneven += len(row) != len(head)
        if count <= MOST_VALUES:
            for index in range(len(head)):
                cells[index].append(row[index] if index < len(row) else "")
    more = " (counting stopped)" if count > MOST_ROWS else ""
    print(f"{min(count, MOST_ROWS)} rows{more}, {len(head)} columns")
    if count > MOST_VALUES:
        print(f"columns: by the first {MOST_VALUES} rows")
    for index, name in enumerate(head):
        print(f"- {name}: {column(cells[index])}")
    if doubled:
        print(f"! {doubled} rows are there twice or more")
    if uneven:
        print(f"! {uneven} rows have too few or too many cells")


def index_of(head, name):
    if name not in head:
        sys.exit(f"there is no column {name!r} (there are {', '.join(head)})")
    return head.index(name)


def grouped(path, group, sums, where):
    head, rows = rows_of(path)
    by, what = index_of(head, group), index_of(head, sums) if sums else None
    key, _, wanted = (where or "").partition("=")
    test = index_of(head, key) if where else None
    counts, totals, left_out = Counter(), defaultdict(float), 0
    for cells in rows:
        row = cells + [""] * (len(head) - len(cells))
        if test is not None and row[test].strip() != wanted:
            continue
        counts[row[by].strip()] += 1
        if what is not None:
            value = number(row[what])
            left_out += value is None
            totals[row[by].strip()] += value or 0.0
    order = sorted(
        counts, key=lambda name: (-(totals[name] if sums else counts[name]), name)
    )
    print(f"| {group} | rows |" + (f" sum of {sums} |" if sums else ""))
    print("| --- | --- |" + (" --- |" if sums else ""))
    for name in order[:MOST_GROUPS]:
        print(
            f"| {name} | {counts[name]} |"
            + (f" {shown(totals[name])} |" if sums else "")
        )
    if len(order) > MOST_GROUPS:
        print(f"({len(order) - MOST_GROUPS} more)")
    total = f", sum {shown(sum(totals.values()))}" if sums else ""
    print(f"all: {sum(counts.values())} rows{total}")
    if left_out:
        print(f"! {left_out} cells of {sums} are no numbers and were left out")


def main():
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("paths", nargs="+", metavar="FOLDER-OR-FILE")
    parser.add_argument("--group", metavar="COLUMN")
    parser.add_argument("--sum", metavar="COLUMN")
    parser.add_argument("--where", metavar="COLUMN=VALUE")
    options = parser.parse_args()
    csv.field_size_limit(10_000_000)
    files = list(files_of(options.paths))
    if not files:
        sys.exit("there are no CSV or TSV files")
    try:
        for path in files[:MOST_FILES]:
            if options.group:
                grouped(path, options.group, options.sum, options.where)
            else:
                profile(path)
    except (OSError, csv.Error) as error:
        sys.exit(f"{path}: {error}")
    if len(files) > MOST_FILES:
        print(f"\n{len(files) - MOST_FILES} more files were not looked at")


if __name__ == "__main__":
    main()
