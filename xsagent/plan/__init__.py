"""Topology x Topology -> Changes -> ordered, printable Steps, each with its undo. Pure."""
