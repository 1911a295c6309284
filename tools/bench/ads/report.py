"""The table and the charts of a run, for docs/benchmarks/: plain SVG, so that a page that shows them needs nothing else."""
import json
import math
import os
import statistics

import machine
from queries import SAID

NAMES = {"henge": "Henge", "duckdb": "DuckDB", "clickhouse": "ClickHouse", "druid": "Druid"}
COLOURS = {"henge": "#0b6e4f", "duckdb": "#e0a100", "clickhouse": "#c2410c", "druid": "#3b6fb6"}
INK, FAINT = "#22272e", "#d5d9de"


def median(figures, query, system):
    t = figures["times"][query].get(system)
    return statistics.median(t) if t else None


def short(ms):
    return f"{ms:.2f}" if ms < 10 else f"{ms:.1f}" if ms < 100 else f"{ms:.0f}"


def count(n):
    for unit, by in (("M", 1e6), ("k", 1e3)):
        if n >= by:
            return f"{n / by:g} {unit}"
    return str(n)


class Svg:
    def __init__(self, width, height, title):
        self.width, self.height = width, height
        self.parts = [f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" width="{width}" height="{height}" font-family="sans-serif" font-size="12" fill="{INK}" role="img">',
                      f"<title>{title}</title>", f'<rect width="{width}" height="{height}" fill="#ffffff"/>']

    def text(self, x, y, text, anchor="start", size=12, weight="normal", fill=INK):
        self.parts.append(f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}" font-size="{size}" font-weight="{weight}" fill="{fill}">{text}</text>')

    def line(self, x1, y1, x2, y2, stroke=FAINT, width=1.0):
        self.parts.append(f'<line x1="{x1:.1f}" y1="{y1:.1f}" x2="{x2:.1f}" y2="{y2:.1f}" stroke="{stroke}" stroke-width="{width}"/>')

    def rect(self, x, y, w, h, fill):
        self.parts.append(f'<rect x="{x:.1f}" y="{y:.1f}" width="{max(w, 0.5):.1f}" height="{h:.1f}" fill="{fill}"/>')

    def path(self, points, stroke):
        self.parts.append(f'<polyline points="{" ".join(f"{x:.1f},{y:.1f}" for x, y in points)}" fill="none" stroke="{stroke}" stroke-width="2"/>')
        self.parts.extend(f'<circle cx="{x:.1f}" cy="{y:.1f}" r="3" fill="{stroke}"/>' for x, y in points)

    def write(self, path):
        with open(path, "w", encoding="utf-8") as f:
            f.write("\n".join(self.parts + ["</svg>\n"]))


class LogScale:
    """Values to places, by powers of ten; whole decades at both ends, unless the ends are to be the values'."""

    def __init__(self, values, start, end, whole=True):
        self.low, self.high = math.log10(min(values)), math.log10(max(values))
        if whole:
            self.low, self.high = math.floor(self.low), max(math.ceil(self.high), math.floor(self.low) + 1)
        elif self.high == self.low:
            self.high = self.low + 1
        self.start, self.end = start, end

    def at(self, v):
        return self.start + (math.log10(v) - self.low) / (self.high - self.low) * (self.end - self.start)

    def decades(self):
        return [10.0 ** k for k in range(self.low, self.high + 1)]


def systems_of(figures):
    return [s for s in NAMES if any(s in t for t in figures["times"].values())]


def ms_label(v):
    return f"{v:g} ms" if v < 1000 else f"{v / 1000:g} s"


def chart(figures, path):
    """Bars of each query, one a system, on a logarithmic axis: each decade is ten times as long."""
    systems, queries = systems_of(figures), list(figures["times"])
    bar, gap, left, top, width = 11, 12, 250, 66, 900
    group = bar * len(systems) + gap
    svg = Svg(width, top + group * len(queries) + 30, "Ads queries: milliseconds by system")
    svg.text(16, 26, f"Ads queries over {count(figures['rows'])} rows: milliseconds, less is better", size=15, weight="bold")
    x = 16
    for s in systems:
        svg.rect(x, 38, 11, 11, COLOURS[s])
        svg.text(x + 16, 48, NAMES[s] + (" (over HTTP)" if s in ("henge", "druid") else " (in process)"))
        x += 175
    scale = LogScale([median(figures, q, s) for q in queries for s in systems if median(figures, q, s)], left, width - 120)
    bottom = top + group * len(queries)
    for v in scale.decades():
        svg.line(scale.at(v), top, scale.at(v), bottom)
        svg.text(scale.at(v), bottom + 16, ms_label(v), "middle", 11)
    for k, q in enumerate(queries):
        y = top + k * group + gap / 2
        svg.text(left - 10, y + bar * len(systems) / 2 + 4, SAID.get(q, q), "end")
        for n, s in enumerate(systems):
            v = median(figures, q, s)
            if v is None:
                continue
            svg.rect(left, y + n * bar, scale.at(v) - left, bar - 1.5, COLOURS[s])
            svg.text(scale.at(v) + 5, y + n * bar + 9, short(v) + (f"  ({figures['ratios'][q]:.1f}×)" if s == "henge" and q in figures["ratios"] else ""), size=10)
    svg.write(path)


def growth_chart(runs, path):
    """Lines over the number of rows, both axes logarithmic, one small picture a query."""
    queries, across = list(runs[0]["times"]), 4
    cell_w, cell_h, top = 250, 190, 70
    down = -(-len(queries) // across)
    svg = Svg(across * cell_w + 20, top + down * cell_h + 10, "Growth of query times with the number of rows")
    svg.text(16, 26, "The same queries over more rows: milliseconds", size=15, weight="bold")
    systems, x = systems_of(runs[0]), 16
    for s in systems:
        svg.rect(x, 38, 11, 11, COLOURS[s])
        svg.text(x + 16, 48, NAMES[s])
        x += 110
    for k, q in enumerate(queries):
        x0, y0 = 16 + (k % across) * cell_w, top + (k // across) * cell_h
        values = [median(r, q, s) for r in runs for s in systems if q in r["times"] and median(r, q, s)]
        xs, ys = LogScale([r["rows"] for r in runs], x0 + 60, x0 + cell_w - 40, whole=False), LogScale(values, y0 + cell_h - 40, y0 + 24)
        svg.text(x0, y0 + 12, SAID.get(q, q), weight="bold", size=11)
        for v in ys.decades():
            svg.line(x0 + 46, ys.at(v), x0 + cell_w - 26, ys.at(v))
            svg.text(x0 + 42, ys.at(v) + 4, ms_label(v), "end", 9)
        for r in runs:
            svg.text(xs.at(r["rows"]), y0 + cell_h - 24, count(r["rows"]), "middle", 9)
        for s in systems:
            points = [(xs.at(r["rows"]), ys.at(median(r, q, s))) for r in runs if q in r["times"] and median(r, q, s)]
            svg.path(points, COLOURS[s])
    svg.write(path)


def table(figures):
    systems = systems_of(figures)
    lines = ["| query | " + " | ".join(f"{NAMES[s]} ms" for s in systems) + " | best peer / Henge | rows | bytes of JSON |", "|---|" + "--:|" * (len(systems) + 3)]
    for q in figures["times"]:
        cells = [short(v) if (v := median(figures, q, s)) is not None else "–" for s in systems]
        ratio = figures["ratios"].get(q)
        said = figures["said"][q]
        lines.append(f"| {SAID.get(q, q)} (`{q}`) | " + " | ".join(f"**{c}**" if s == "henge" else c for s, c in zip(systems, cells)) + f" | {ratio:.1f}× | {said['rows']:,} | {said['bytes']:,} |")
    ratios = list(figures["ratios"].values())
    if ratios:
        lines.append("| geometric mean | " + " | ".join("" for _ in systems) + f" | **{statistics.geometric_mean(ratios):.1f}×** | | |")
    return "\n".join(lines)


def sizes(figures):
    lines = ["| store | bytes | bytes a row | |", "|---|--:|--:|---|"]
    what = {"henge": "segments in deep storage, zstd", "duckdb": "its file", "clickhouse": "MergeTree, LZ4, sorted by advertiser, campaign, ad, hour", "druid": "segments, LZ4"}
    for s in NAMES:
        if s not in figures["loads"]:
            continue
        b = figures["loads"][s]["bytes"]
        lines.append(f"| {NAMES[s]} | {b:,} | {b / figures['rows']:.2f} | {what[s]} |")
        m = figures["loads"][s].get("memory")
        if m and m["locked"]:
            hot = figures["loads"][s].get("hot_bytes") or m["locked"]
            lines.append(f"| {NAMES[s]}, hot | {hot:,} | {hot / figures['rows']:.2f} | in locked memory, packed, not compressed |")
    return "\n".join(lines)


def memory(figures):
    first, last = figures["loads"].get("henge", {}).get("memory"), figures["memory"]
    if not first or not last:
        return ""
    hot = f", {first['peak'] / first['locked']:.3f} times the hot form's {first['locked']:,}" if first["locked"] else ""
    if hot and "idle" in first:
        hot += f" ({(first['peak'] - first['idle']) / first['locked']:.3f} without the {first['idle']:,} that a server with nothing to serve takes)"
    own = f" (of which {first['file']:,} are pages of program and library files, clean and shared)" if "file" in first else ""
    return (f"Memory of Henge's process, everything included: {first['resident']:,} bytes resident once all segments are served{own}, at most {first['peak']:,} until then{hot}; "
            f"after the queries {last['resident']:,} resident, at most {last['peak']:,}.")


def write(folder, figures):
    os.makedirs(folder, exist_ok=True)
    stem = "ads-projections" if figures.get("projections") else "ads"
    chart(figures, os.path.join(folder, f"{stem}.svg"))
    load = figures["loads"].get("henge", {})
    built = (f"\nHenge's rows were loaded by `henge index` from CSV in {load['seconds']:.0f} s, {load['cpu_seconds']:.0f} s of CPU: {figures['rows'] / load['cpu_seconds'] / 1e6:.2f} M rows/s/core."
             if "cpu_seconds" in load else "")
    with open(os.path.join(folder, f"{stem}.md"), "w", encoding="utf-8") as f:
        f.write(f"""# Ads queries: the figures{", with projections" if figures.get("projections") else ""}

Written by `tools/bench/ads/run{" --projections" if figures.get("projections") else ""} --write docs/benchmarks`; [README](README.md) says what is measured and how.

{machine.sentence(figures['machine'])}. {', '.join(v for s, v in figures['versions'].items())}. {figures['rows']:,} rows, medians of {figures['repeat']} interleaved rounds; all
systems gave the same rows and sums.{' Henge has pre-grouped views of its rows, the peers have none.' if figures.get('projections') else ''}{' Henge serves compressed, mapped segments.' if figures['cold'] else ''}

![Milliseconds by query and system]({stem}.svg)

{table(figures)}

{sizes(figures)}

{memory(figures)}
{built}
""")
    with open(os.path.join(folder, f"{stem}.json"), "w", encoding="utf-8") as f:
        json.dump(figures, f, indent=1)


def write_growth(folder, runs):
    os.makedirs(folder, exist_ok=True)
    views = bool(runs[0].get("projections"))
    stem = "growth-projections" if views else "growth"
    growth_chart(runs, os.path.join(folder, f"{stem}.svg"))
    systems = systems_of(runs[0])
    lines = ["| query | " + " | ".join(f"{NAMES[s]}, {count(r['rows'])}" for s in systems for r in runs) + " |", "|---|" + "--:|" * (len(systems) * len(runs))]
    for q in runs[0]["times"]:
        lines.append(f"| `{q}` | " + " | ".join(short(median(r, q, s)) for s in systems for r in runs) + " |")
    with open(os.path.join(folder, f"{stem}.md"), "w", encoding="utf-8") as f:
        f.write(f"# Growth: the same queries over more rows{', with projections' if views else ''}\n\nWritten by `tools/bench/ads/run --growth {','.join(str(r['rows']) for r in runs)}{' --projections' if views else ''} "
                f"--write docs/benchmarks`. Milliseconds, medians.\n\n{machine.sentence(runs[0]['machine'])}.\n\n![Growth]({stem}.svg)\n\n" + "\n".join(lines) + "\n")
