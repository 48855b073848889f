"""The page linter: the rules of a good page that a program can check, a small function each.

Numbers are those of the 25 rules in CONTRIBUTING's section on pages. A rule is a generator of findings on one
:class:`Subject`, registered by ``@rule``; to add one is to write the function. What asks for judgement is a reader's.
"""

from tools.press.rules import code, form, outputs, prose, study
from tools.press.rules.base import RULES, Finding, Subject, lint

__all__ = ["RULES", "Finding", "Subject", "code", "form", "lint", "outputs", "prose", "study"]
