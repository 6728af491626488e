"""A picture of a host's network: as text, JSON, Graphviz dot and SVG. Pure."""
