"""Reading and validating what a page has as data: title, motto, analogy, promises, cards and quiz.

A file is ``study/cards/day33.yaml``. Every error names the file and the entry. YAML is read without tags, aliases
or repeated keys, to a small depth and size, so a hostile file gives one clear error and costs nothing.

A card's answer may hold a number that is computed: ``compute: {call: groundup.lm.…, with: {…}}`` names a function
of this package, and ``{value:.2f}`` in the answer stands for what it returns. Not handled: Markdown beyond `code`,
**strong** and *emphasis*.
"""

from __future__ import annotations

import functools
import importlib
import re
import string
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

FOLDER = Path(__file__).parent / "cards"

#: Bytes, depth and nodes of a file; a page needs a hundredth of it.
MOST_BYTES, MOST_DEPTH, MOST_NODES = 1_000_000, 12, 50_000


def pip_line(package: str, module: str) -> str:
    """What to say when an optional package is missing."""
    return f'[study] {module} is missing, which comes with {package}: pip install "groundup[notebooks]"'


# ------------------------------------------------------------------------------------------------------ what is read


class _Formatter(string.Formatter):
    """``{value}``, ``{value[key]}`` and ``{value.name}``, but no private attributes and no other names."""

    def get_field(self, field_name: str, args: Any, kwargs: Any) -> Any:
        if not re.fullmatch(r"value(\.[a-z]\w*|\[\w+\])*", field_name):
            raise ValueError(f"may use {{value}} and its parts, but not {{{field_name}}}")
        return super().get_field(field_name, args, kwargs)


@dataclass(frozen=True)
class Compute:
    """A named call of the library, whose value a text quotes."""

    call: str
    arguments: Mapping[str, Any]
    where: str

    @functools.cached_property
    def value(self) -> Any:
        """What the call returns; it is made once."""
        try:
            return resolve(self.call)(**self.arguments)
        except Exception as error:
            raise ValueError(f"{self.where}: compute: {self.call}: {error}") from error

    def fill(self, text: str) -> str:
        """``text`` with the value put in."""
        try:
            return _Formatter().format(text, value=self.value)
        except (ValueError, LookupError, AttributeError, TypeError) as error:
            if str(error).startswith(self.where):  # from computing it
                raise
            raise ValueError(f"{self.where}: cannot fill {text!r}: {error}") from None


def resolve(call: str) -> Callable[..., Any]:
    """The function that a dotted name inside groundup stands for.

    Raises:
        ValueError: it is not inside groundup, private, not there, or not callable.

    >>> resolve("groundup.text.statistics.measure").__name__
    'measure'
    >>> resolve("groundup.data.os.system")
    Traceback (most recent call last):
    ValueError: call must stay inside groundup, but 'groundup.data.os' leaves it
    """
    names = call.split(".")
    if names[0] != "groundup" or len(names) < 2 or not all(re.fullmatch(r"[A-Za-z]\w*", n) for n in names):
        raise ValueError(f"call must be the public name of a function inside groundup, but got {call!r}")
    found: Any = importlib.import_module("groundup")
    for i, name in enumerate(names[1:], 2):
        here = ".".join(names[:i])
        try:
            found = getattr(found, name)
        except AttributeError:
            try:
                found = importlib.import_module(here)
            except (ImportError, TypeError):
                raise ValueError(f"call names {here!r}, which does not exist") from None
        home = (
            getattr(found, "__module__", None) or getattr(found, "__name__", None) or type(found).__module__
        )
        if not isinstance(home, str) or home.split(".")[0] != "groundup":
            raise ValueError(f"call must stay inside groundup, but {here!r} leaves it")
    if not callable(found):
        raise ValueError(f"call must name a function, but {call!r} is a {type(found).__name__}")
    return found  # type: ignore[no-any-return]


@dataclass(frozen=True)
class Card:
    """A question and its answer; the answer is filled in when it is asked for, as it may have to be computed."""

    id: str
    ask: str
    text: str
    link: str
    compute: Compute | None

    @property
    def answer(self) -> str:
        """The answer, with its number if it has one."""
        return self.text if self.compute is None else self.compute.fill(self.text)


@dataclass(frozen=True)
class Choice:
    """One choice of a question, whether it is right, and why."""

    text: str
    right: bool
    why: str


@dataclass(frozen=True)
class Question:
    """A question of the quiz. With a computed value, every text may quote it."""

    ask: str
    choices: tuple[Choice, ...]
    compute: Compute | None

    @property
    def filled(self) -> Question:
        """The question with its numbers put in."""
        if self.compute is None:
            return self
        fill = self.compute.fill
        return Question(
            fill(self.ask), tuple(Choice(fill(c.text), c.right, fill(c.why)) for c in self.choices), None
        )


@dataclass(frozen=True)
class Page:
    """Everything about a page that is data.

    Attributes:
        name: ``day33``.
        path: ``sprint/day33``, of the notebook.
        title: by language, ``en`` and ``zh``.
        analogy: ``idea``, ``like`` and ``breaks``.
        promises, uses: ``to`` or ``from`` a page, and ``what``; empty where there is none.
        teaches: names of ops and ideas that `groundup.explain` shows.
    """

    name: str
    path: str
    title: Mapping[str, str]
    motto: str
    analogy: Mapping[str, str]
    promises: Mapping[str, str]
    uses: Mapping[str, str]
    teaches: tuple[str, ...]
    cards: tuple[Card, ...]
    quiz: tuple[Question, ...]


def days() -> list[str]:
    """Names of the pages that have data."""
    return sorted(file.stem for file in FOLDER.glob("*.yaml"))


def page(name: str) -> Page:
    """The data of a page: ``page("day33")``.

    Raises:
        ValueError: there is no such page, or its file is wrong; says file and entry.
        ModuleNotFoundError: PyYAML is not installed.
    """
    stem = str(name).rsplit("/", 1)[-1]
    file = FOLDER / f"{stem}.yaml"
    if not re.fullmatch(r"\w+", stem) or not file.is_file():
        known = ", ".join(days()) or "none yet"
        raise ValueError(f"[study] there is no data of a page {name!r}; there is: {known}")
    stat = file.stat()
    return _cached(file, stat.st_mtime_ns, stat.st_size)


@functools.lru_cache(maxsize=64)
def _cached(file: Path, changed: int, size: int) -> Page:  # noqa: ARG001 (a changed file is read anew)
    return read(file)


def read(file: Path) -> Page:
    """Read and validate one file."""
    value = load_yaml(file)
    return _Reader(file.name).page(file.stem, value)


# ------------------------------------------------------------------------------------------------------ safe YAML


def load_yaml(file: Path) -> Any:
    """The plain data of a YAML file: mappings with text as keys, lists, text, numbers, true and false.

    Raises:
        ValueError: it is not that, too large, too deep, repeats a key, or uses aliases or tags.
    """
    try:
        import yaml
    except ModuleNotFoundError:
        raise ModuleNotFoundError(pip_line("groundup's pages", "PyYAML")) from None

    def fail(mark: Any, message: str) -> ValueError:
        return ValueError(f"[study] {file.name}, line {mark.line + 1}: {message}")

    class Loader(yaml.SafeLoader):
        """SafeLoader that lets no key be given twice."""

        def construct_mapping(self, node: Any, deep: bool = False) -> dict[Any, Any]:
            seen: set[str] = set()
            for key, _ in node.value:
                if not isinstance(key, yaml.ScalarNode) or key.tag != "tag:yaml.org,2002:str":
                    raise fail(key.start_mark, "keys must be text")
                if key.value in seen:
                    raise fail(key.start_mark, f"{key.value!r} is there twice")
                seen.add(key.value)
            return super().construct_mapping(node, deep)

    size = file.stat().st_size
    if size > MOST_BYTES:
        raise ValueError(f"[study] {file.name} must hold at most {MOST_BYTES:,} bytes, but has {size:,}")
    try:
        text = file.read_bytes().decode("utf-8")
        depth = 0
        # Events come one by one from a flat parser; the loader proper is recursive and gets only what passed.
        for nodes, event in enumerate(yaml.parse(text, Loader)):
            if isinstance(event, (yaml.MappingStartEvent, yaml.SequenceStartEvent)):
                depth += 1
            elif isinstance(event, (yaml.MappingEndEvent, yaml.SequenceEndEvent)):
                depth -= 1
            if depth > MOST_DEPTH:
                raise fail(event.start_mark, f"is nested more than {MOST_DEPTH} deep")
            if nodes > MOST_NODES:
                raise fail(event.start_mark, f"has more than {MOST_NODES:,} entries")
            if isinstance(event, yaml.AliasEvent) or getattr(event, "anchor", None):
                raise fail(event.start_mark, "uses an alias or an anchor; write the value out")
            if tag := getattr(event, "tag", None):
                raise fail(event.start_mark, f"uses a tag, {tag}; write plain values")
        return yaml.load(text, Loader)
    except UnicodeDecodeError as error:
        raise ValueError(f"[study] {file.name} must be UTF-8, but byte {error.start} is not") from None
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        problem = getattr(error, "problem", None) or str(error).splitlines()[0]
        line = f", line {mark.line + 1}" if mark is not None else ""
        raise ValueError(f"[study] {file.name}{line}: {problem}") from None
    except (ValueError, RecursionError) as error:  # such as a date that is none
        if str(error).startswith("[study]"):
            raise
        raise ValueError(f"[study] {file.name}: {error}") from None


# ------------------------------------------------------------------------------------------------------ validation


class _Reader:
    """Turns plain data into a `Page`, or says which entry is wrong and how."""

    def __init__(self, file: str) -> None:
        self.file = file

    def fail(self, where: str, message: str) -> ValueError:
        return ValueError(f"[study] {self.file}{': ' if where else ''}{where}: {message}")

    def fields(self, where: str, value: Any, needed: str, optional: str = "") -> dict[str, Any]:
        """``value`` if it is a mapping with these keys and no other."""
        if not isinstance(value, dict):
            raise self.fail(where, f"must be a mapping, but got {_kind(value)}")
        for name in needed.split():
            if name not in value:
                raise self.fail(where, f"{name} is missing")
        for name in value:
            if name not in needed.split() and name not in optional.split():
                known = ", ".join((needed + " " + optional).split())
                raise self.fail(where, f"{name!r} is not known; there may be {known}")
        return value

    def text(self, where: str, value: Any) -> str:
        if not isinstance(value, str):
            raise self.fail(where, f"must be text, but got {_kind(value)}; put it in quotes")
        if not value.strip():
            raise self.fail(where, "must not be empty")
        return value.strip()

    def texts(self, where: str, value: Any, needed: str) -> dict[str, str]:
        fields = self.fields(where, value, needed)
        return {name: self.text(f"{where}.{name}", fields[name]) for name in needed.split()}

    def entries(self, where: str, value: Any, least: int, most: int) -> list[Any]:
        if not isinstance(value, list):
            raise self.fail(where, f"must be a list, but got {_kind(value)}")
        if not least <= len(value) <= most:
            raise self.fail(where, f"must hold {least} to {most} entries, but has {len(value)}")
        return value

    def page(self, name: str, value: Any) -> Page:
        top = self.fields("", value, "page title motto analogy", "promises uses teaches cards quiz")
        path = self.text("page", top["page"])
        if not re.fullmatch(r"[a-z]\w*(/[a-z]\w*)*", path) or path.rsplit("/", 1)[-1] != name:
            raise self.fail("page", f"must be a path that ends in {name}, but got {path!r}")
        teaches = [
            self.text(f"teaches[{i}]", one)
            for i, one in enumerate(self.entries("teaches", top.get("teaches", []), 0, 50), 1)
        ]
        links = {}
        for key, needed in (("promises", "to what"), ("uses", "from what")):
            links[key] = self.texts(key, top[key], needed) if top.get(key) is not None else {}
        cards = [
            self.card(f"cards[{i}]", card)
            for i, card in enumerate(self.entries("cards", top.get("cards", []), 0, 500), 1)
        ]
        first: dict[str, int] = {}
        for i, card in enumerate(cards, 1):
            for what, text in (("id", card.id), ("ask", card.ask)):
                before = first.setdefault(f"{what} {text}", i)
                if before != i:
                    raise self.fail(f"cards[{i}] ({card.id})", f"{what} is that of cards[{before}]")
        quiz = [
            self.question(f"quiz[{i}]", question)
            for i, question in enumerate(self.entries("quiz", top.get("quiz", []), 0, 200), 1)
        ]
        asked: dict[str, int] = {}
        for i, question in enumerate(quiz, 1):
            if asked.setdefault(question.ask, i) != i:
                raise self.fail(f"quiz[{i}]", f"asks what quiz[{asked[question.ask]}] asks")
        return Page(
            name=name,
            path=path,
            title=self.texts("title", top["title"], "en zh"),
            motto=self.text("motto", top["motto"]),
            analogy=self.texts("analogy", top["analogy"], "idea like breaks"),
            promises=links["promises"],
            uses=links["uses"],
            teaches=tuple(teaches),
            cards=tuple(cards),
            quiz=tuple(quiz),
        )

    def compute(self, where: str, value: Any) -> Compute | None:
        if value is None:
            return None
        fields = self.fields(f"{where}: compute", value, "call", "with")
        arguments = fields.get("with") or {}
        if not isinstance(arguments, dict):
            raise self.fail(f"{where}: compute.with", f"must be a mapping, but got {_kind(arguments)}")
        call = self.text(f"{where}: compute.call", fields["call"])
        if not re.fullmatch(r"groundup(\.[A-Za-z]\w*)+", call):
            raise self.fail(
                f"{where}: compute.call", f"must be a public name inside groundup, but got {call!r}"
            )
        return Compute(call, arguments, f"[study] {self.file}: {where}")

    def card(self, where: str, value: Any) -> Card:
        fields = self.fields(where, value, "id ask answer link", "compute")
        name = self.text(f"{where}: id", fields["id"])
        where = f"{where} ({name})"
        if not re.fullmatch(r"[a-z0-9]+(-[a-z0-9]+)*", name):
            raise self.fail(where, f"id must be lower-case words with hyphens, but got {name!r}")
        link = self.text(f"{where}: link", fields["link"])
        if not re.fullmatch(r"[\w./-]*#\S+|[\w./-]+", link):
            raise self.fail(where, f"link must be '#a-heading' or a page of ours, but got {link!r}")
        compute = self.compute(where, fields.get("compute"))
        answer = self.text(f"{where}: answer", fields["answer"])
        if (compute is not None) != ("{value" in answer):
            raise self.fail(where, "an answer holds {value} if, and only if, there is something to compute")
        return Card(name, self.text(f"{where}: ask", fields["ask"]), answer, link, compute)

    def question(self, where: str, value: Any) -> Question:
        fields = self.fields(where, value, "ask choices", "compute")
        compute = self.compute(where, fields.get("compute"))
        choices: list[Choice] = []
        for i, entry in enumerate(self.entries(f"{where}: choices", fields["choices"], 2, 4), 1):
            at = f"{where}: choices[{i}]"
            choice = self.fields(at, entry, "text why", "right")
            right = choice.get("right", False)
            if not isinstance(right, bool):
                raise self.fail(f"{at}: right", f"must be true or false, but got {_kind(right)}")
            texts = self.text(f"{at}: text", choice["text"]), self.text(f"{at}: why", choice["why"])
            if any(texts[0] == other.text for other in choices):
                raise self.fail(at, f"{texts[0]!r} is there twice")
            choices.append(Choice(texts[0], right, texts[1]))
        n_right = sum(choice.right for choice in choices)
        if n_right != 1:
            raise self.fail(where, f"one choice must be right, but {n_right} are")
        return Question(self.text(f"{where}: ask", fields["ask"]), tuple(choices), compute)


def _kind(value: Any) -> str:
    if value is None:
        return "nothing"
    if isinstance(value, (bool, int, float)):
        return f"{type(value).__name__} {str(value).lower() if isinstance(value, bool) else str(value)[:40]}"
    kinds: dict[type, str] = {dict: "a mapping", list: "a list", str: "text"}
    return kinds.get(type(value), f"a {type(value).__name__}")
