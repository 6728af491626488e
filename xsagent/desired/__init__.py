"""Snapshot and what was asked -> Desired: one file per concept of XAPI's networking. Pure.

After sources/ (records) and before plan/ (which compares with the host); `build.py` is the way in.
"""
