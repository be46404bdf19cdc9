"""Draws how times are distributed, and how figures grow, as an SVG without any library."""

import math

COLORS = {"spool": "#0b6e4f", "grpc": "#c0392b", "floor": "#7f8c8d"}
NAMES = {"spool": "SpoolRPC", "grpc": "gRPC", "floor": "floor"}
WIDTH, HEIGHT, LEFT, TOP, GAP = 560, 320, 60, 40, 90


def curve(times, points=400):
    """(time, share of calls that took at most that) pairs, of evenly spaced quantiles."""
    ordered = sorted(times)
    return [(ordered[min(len(ordered) - 1, int(share * len(ordered)))], share)
            for share in (i / points for i in range(points + 1))]


def decades(values):
    """The exponents of the powers of ten that enclose them; two different ones."""
    low = min(values)
    return math.floor(math.log10(low)), math.ceil(math.log10(max(max(values), low * 1.01)))


def panel(title, times, top):
    """One diagram: the share of calls over the time, which is drawn logarithmically."""
    first, last = decades([value for values in times.values() for value in values])

    def x(value):
        return LEFT + WIDTH * (math.log10(value) - first) / (last - first)

    def y(share):
        return top + HEIGHT * (1 - share)

    parts = [f'<text x="{LEFT}" y="{top - 12}" font-weight="bold">{title}</text>']
    for exponent in range(first, last + 1):
        at = x(10.0 ** exponent)
        parts.append(f'<line x1="{at:.1f}" y1="{top}" x2="{at:.1f}" y2="{top + HEIGHT}" stroke="#ddd"/>')
        parts.append(f'<text x="{at:.1f}" y="{top + HEIGHT + 18}" text-anchor="middle">{10.0 ** exponent:g} us</text>')
    for share in (0, 0.25, 0.5, 0.75, 0.99):
        parts.append(f'<line x1="{LEFT}" y1="{y(share):.1f}" x2="{LEFT + WIDTH}" y2="{y(share):.1f}" stroke="#ddd"/>')
        parts.append(f'<text x="{LEFT - 6}" y="{y(share) + 4:.1f}" text-anchor="end">{share:.0%}</text>')
    for number, (contender, values) in enumerate(sorted(times.items())):
        line = " ".join(f"{x(time):.1f},{y(share):.1f}" for time, share in curve(values))
        parts.append(f'<polyline points="{line}" fill="none" stroke="{COLORS[contender]}" stroke-width="2"/>')
        parts.append(f'<text x="{LEFT + WIDTH - 80}" y="{top + HEIGHT - 20 - 18 * number}" '
                     f'fill="{COLORS[contender]}">{NAMES[contender]}</text>')
    return "\n".join(parts)


def short(number):
    """1000000 as 1M; sizes as they are."""
    for limit, unit in ((1e9, "G"), (1e6, "M"), (1e3, "k")):
        if number >= limit:
            return f"{number / limit:g}{unit}"
    return f"{number:g}"


def lines(title, across, up, series, top):
    """One diagram of (x, y) pairs by contender, both axes logarithmic; 0 stands a little to the left of all else."""
    positive = [point for pairs in series.values() for point, _ in pairs if point > 0]
    zero = min(positive) / 3
    left, right = math.log10(zero if any(point == 0 for pairs in series.values() for point, _ in pairs)
                             else min(positive)), math.log10(max(positive))
    low, high = decades([value for pairs in series.values() for _, value in pairs])

    def x(point):
        # (A single point stands on the left.)
        return LEFT + WIDTH * (math.log10(point if point > 0 else zero) - left) / ((right - left) or 1)

    def y(value):
        return top + HEIGHT * (high - math.log10(value)) / (high - low)

    parts = [f'<text x="{LEFT}" y="{top - 12}" font-weight="bold">{title}</text>']
    for exponent in range(low, high + 1):
        at = y(10.0 ** exponent)
        parts.append(f'<line x1="{LEFT}" y1="{at:.1f}" x2="{LEFT + WIDTH}" y2="{at:.1f}" stroke="#ddd"/>')
        parts.append(f'<text x="{LEFT - 6}" y="{at + 4:.1f}" text-anchor="end">{short(10.0 ** exponent)}</text>')
    parts.append(f'<text x="{LEFT}" y="{top + HEIGHT + 36}">{up} over {across}</text>')
    for point in sorted({point for pairs in series.values() for point, _ in pairs}):
        parts.append(f'<text x="{x(point):.1f}" y="{top + HEIGHT + 18}" text-anchor="middle">{short(point)}</text>')
    for number, (contender, pairs) in enumerate(sorted(series.items())):
        line = " ".join(f"{x(point):.1f},{y(value):.1f}" for point, value in pairs)
        parts.append(f'<polyline points="{line}" fill="none" stroke="{COLORS[contender]}" stroke-width="2"/>')
        for point, value in pairs:
            parts.append(f'<circle cx="{x(point):.1f}" cy="{y(value):.1f}" r="3" fill="{COLORS[contender]}"/>')
        parts.append(f'<text x="{LEFT + WIDTH - 80}" y="{top + 20 + 18 * number}" '
                     f'fill="{COLORS[contender]}">{NAMES[contender]}</text>')
    return "\n".join(parts)


def write_lines(path, diagrams):
    """`diagrams`: (title, across, up, {contender: [(x, y)]}); what has no points is left out."""
    drawn = [diagram for diagram in diagrams if any(diagram[3].values())]
    write_panels(path, [lambda top, diagram=diagram: lines(*diagram[:3], {
        contender: pairs for contender, pairs in diagram[3].items() if pairs}, top) for diagram in drawn])


def write_panels(path, panels):
    """One below the other; each is a function of where it begins."""
    height = TOP + len(panels) * (HEIGHT + GAP)
    with open(path, "w", encoding="utf-8") as file:
        file.write(f'<svg xmlns="http://www.w3.org/2000/svg" width="{LEFT + WIDTH + 40}" height="{height}" '
                   'font-family="sans-serif" font-size="12">\n<rect width="100%" height="100%" fill="white"/>\n')
        for number, draw in enumerate(panels):
            file.write(draw(TOP + number * (HEIGHT + GAP)) + "\n")
        file.write("</svg>\n")


def write(path, times):
    """`times`: single times in microseconds, by file system and contender."""
    write_panels(path, [lambda top, fs=fs, by_contender=by_contender: panel(
        f"Unary calls, one in flight, on {fs}: share of calls over their time", by_contender, top)
        for fs, by_contender in times.items() if by_contender])
