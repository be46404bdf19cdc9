"""Draws how the times of single calls are distributed, as an SVG without any library."""

import math

COLORS = {"spool": "#0b6e4f", "grpc": "#c0392b", "floor": "#7f8c8d"}
NAMES = {"spool": "SpoolRPC", "grpc": "gRPC", "floor": "floor"}
WIDTH, HEIGHT, LEFT, TOP, GAP = 560, 320, 60, 40, 90


def curve(times, points=400):
    """(time, share of calls that took at most that) pairs, of evenly spaced quantiles."""
    ordered = sorted(times)
    return [(ordered[min(len(ordered) - 1, int(share * len(ordered)))], share)
            for share in (i / points for i in range(points + 1))]


def panel(title, times, top):
    """One diagram: the share of calls over the time, which is drawn logarithmically."""
    high = max(max(values) for values in times.values())
    low = min(min(values) for values in times.values())
    first, last = math.floor(math.log10(low)), math.ceil(math.log10(max(high, low * 1.01)))

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


def write(path, times):
    """`times`: single times in microseconds, by file system and contender."""
    drawn = {fs: by_contender for fs, by_contender in times.items() if by_contender}
    height = TOP + len(drawn) * (HEIGHT + GAP)
    with open(path, "w", encoding="utf-8") as file:
        file.write(f'<svg xmlns="http://www.w3.org/2000/svg" width="{LEFT + WIDTH + 40}" height="{height}" '
                   'font-family="sans-serif" font-size="12">\n<rect width="100%" height="100%" fill="white"/>\n')
        for number, (fs, by_contender) in enumerate(drawn.items()):
            file.write(panel(f"Unary calls, one in flight, on {fs}: share of calls over their time", by_contender,
                             TOP + number * (HEIGHT + GAP)) + "\n")
        file.write("</svg>\n")
