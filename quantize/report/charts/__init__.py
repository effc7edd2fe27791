"""The charts of a report: each a function from figures to an SVG element."""
