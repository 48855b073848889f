"""The press: percent-format sources in, executed notebooks out, and the rules that every page keeps.

``python -m tools.press --help`` tells what it can do. One idea a module: ``page`` reads a source, ``notebook`` gives a
notebook its lasting form, ``execute`` runs it, ``compare`` judges whether two runs agree.
"""
