"""Restatements: closed days that differ from what is known now.

detect.py finds the differences and adds them to the lake's table `restatements`: the closed days are in closes.py, the
changed events in changes.py, days of other program versions in programs.py, and the comparison in compare.py. note.py
stores what the next detection needs to know. effect.py sums up the restatements in force. metrics/ computes positions.
A person decides what is closed again.
"""

from lending_pipelines.restatements.detect import Detected, detect, is_outdated
from lending_pipelines.restatements.effect import Effect, effect

__all__ = ["Detected", "Effect", "detect", "effect", "is_outdated"]
