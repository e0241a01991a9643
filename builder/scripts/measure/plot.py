"""Draws what `bench-start` measured: for each start two bars per line, the whole image and through the index. In: the results. Out: SVG."""

from xml.sax.saxutils import escape

from results import MB, change, medians

WIDTH, LEFT, RIGHT = 900, 170, 150
BAR, GAP, GROUP, HEAD = 16, 2, 14, 58
TOP, BOTTOM = 84, 18

STYLE = """
    text { font: 14px system-ui, -apple-system, "Segoe UI", "Liberation Sans", Arial, sans-serif; fill: #1f2328; }
    .page { fill: #ffffff; }
    .title { font-size: 18px; font-weight: 600; }
    .head { font-weight: 600; }
    .faint { font-size: 13px; fill: #57606a; }
    .value { font-size: 13px; }
    .end { text-anchor: end; }
    .whole { fill: #8c959f; }
    .index { fill: #0a5ec2; }
    @media (prefers-color-scheme: dark) {
      text { fill: #e6edf3; }
      .page { fill: #0d1117; }
      .faint { fill: #9aa4af; }
      .whole { fill: #6e7781; }
      .index { fill: #58a6ff; }
    }
    @media print {
      text, .faint { fill: #000000; }
      .page { fill: #ffffff; }
      .whole { fill: #b0b0b0; }
      .index { fill: #000000; }
    }
"""


def draw(result):
    """The picture; its description says in words what the bars say."""
    longest = max(max(medians(each, "seconds")) for start in result["starts"] for each in start["lines"])
    scale = (WIDTH - LEFT - RIGHT) / longest
    parts, told, y = [], [], TOP
    for start in result["starts"]:
        title = f"{start['name']}: {start['files']:,} files of an image of {start['compressed'] / MB:.0f} MB"
        parts.append(f'<text class="head" x="20" y="{y + 20}">{escape(title)}</text>')
        fetched = f"{start['file_bytes'] / MB:,.0f} MB unpacked; {medians(start['lines'][0], 'bytes')[1] / MB:.0f} MB come through the index"
        parts.append(f'<text class="faint" x="20" y="{y + 39}">{fetched}</text>')
        y += HEAD
        for each in start["lines"]:
            line = f"{each['line']['megabytes_per_second']} MB/s, {each['line']['round_trip_ms']} ms"
            whole, lazy = medians(each, "seconds")
            parts.append(f'<text class="end" x="{LEFT - 12}" y="{y + BAR + 6}">{line}</text>')
            for way, seconds, label in (
                ("whole", whole, f"{whole:.1f} s"),
                ("index", lazy, f"{lazy:.1f} s, {change(whole, lazy)}"),
            ):
                length = max(1, seconds * scale)
                parts.append(f'<rect class="{way}" x="{LEFT}" y="{y}" width="{length:.1f}" height="{BAR}"/>')
                parts.append(f'<text class="value" x="{LEFT + length + 7:.1f}" y="{y + 13}">{label}</text>')
                y += BAR + GAP
            y += GROUP
            told.append(f"{start['name']} at {line}: {whole:.1f} s whole, {lazy:.1f} s through the index.")
    legend = (
        '<rect class="whole" x="20" y="50" width="14" height="14"/><text x="42" y="62">whole image downloaded and unpacked first</text>'
        '<rect class="index" x="385" y="50" width="14" height="14"/><text x="407" y="62">through the index</text>'
    )
    height = y + BOTTOM
    body = "\n  ".join([legend, *parts])
    return f"""<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" width="{WIDTH}" height="{height}" role="img" \
aria-labelledby="title desc">
  <title id="title">Seconds until all files of a start can be read</title>
  <desc id="desc">{escape(" ".join(told))}</desc>
  <style>{STYLE}  </style>
  <rect class="page" width="{WIDTH}" height="{height}" rx="8"/>
  <text class="title" x="20" y="32">Seconds until all files of a start can be read</text>
  {body}
</svg>
"""

