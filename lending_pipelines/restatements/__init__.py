"""Restatements: closed days that differ from what is known now.

detect.py finds the differences and adds them to the lake's table `restatements`: the closed days are in closes.py, the
changed events in changes.py, and the comparison in compare.py. effect.py sums up what is in force. Positions are
computed in metrics/; what is closed again is decided by a person.
"""

from lending_pipelines.restatements.detect import Detected, detect, is_outdated
from lending_pipelines.restatements.effect import Effect, effect

__all__ = ["Detected", "Effect", "detect", "effect", "is_outdated"]
