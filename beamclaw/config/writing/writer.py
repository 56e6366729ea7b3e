"""The one way in which the configuration file is changed.

Judged whole before anything is written, against the file as it is under a lock; the old
file is kept before the new one takes its place. Everything here blocks.
"""

import errno
import hashlib
from collections.abc import Callable, Generator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

import attrs

from beamclaw.config.document import parse
from beamclaw.config.include_files import Shelf
from beamclaw.config.including import Whole, taken_together
from beamclaw.config.loader import (
    FILE_NAME,
    Loaded,
    decoded,
    folder_of,
    load_text,
)
from beamclaw.config.problems import ConfigError
from beamclaw.config.redactor import redactor
from beamclaw.config.reference import plain
from beamclaw.config.schema import Config
from beamclaw.config.secret_reading import SecretReader
from beamclaw.config.writing import files
from beamclaw.config.writing.differing import differences
from beamclaw.config.writing.documents import (
    Change,
    Document,
    Entry,
    Order,
    Refusal,
    Written,
)
from beamclaw.config.writing.hiding import AS_WRITTEN, as_json, without_secrets
from beamclaw.config.writing.judging import (
    fresh,
    issue,
    judge,
    judge_base,
    judge_parts,
)
from beamclaw.config.writing.patching import patched, read_patch
from beamclaw.values import frozen


@frozen(kw_only=True)
class Writer:
    """See the module.

    Attributes:
        running: What a node runs by; None: nothing runs.
        file: Of the configuration.
        data: The data folder, which keeps the history.
        variables: The environment, and *options* of the command line, which count as
            they do at a start.
        wall: Seconds since the epoch.
        secrets: Reads those that stand elsewhere.
    """

    running: Config | None
    file: Path
    data: Path
    variables: Mapping[str, str] = attrs.field(repr=False)
    options: Mapping[str, str]
    wall: Callable[[], float]
    secrets: SecretReader = attrs.field(factory=SecretReader, repr=False)

    def document(self) -> Document:
        """The file as it stands.

        Raises:
            Refusal: It cannot be read at all.
        """
        shelf = self._shelf()
        with _in_words(self.file):
            raw = files.read(self.file)
        known = redactor(self.running) if self.running else None
        try:
            text = None if raw is None else decoded(raw, self.file)
            loaded = self._load(text, shelf)
        except ConfigError as error:
            loaded, issues, warnings = None, error.problems, error.warnings
            text = None if raw is None else raw.decode("utf-8", "replace")
        else:
            issues, warnings = (), loaded.warnings
            known = redactor(loaded.config)
        shown = "" if text is None else without_secrets(text)
        if shown is not None and known is not None:
            shown = known.scrub(shown)
        tree, _ = parse(shown or "", "", AS_WRITTEN)
        return Document(
            path=str(self.file),
            exists=raw is not None,
            text=shown,
            hash=self._hash(raw, shelf),
            parsed=as_json(tree),
            values=None if loaded is None else plain(loaded.config),
            included=[str(each) for each in self._whole(text or "", shelf).files],
            issues=[issue(problem) for problem in issues],
            warnings=[issue(problem) for problem in warnings],
            waiting=self._waiting(loaded),
        )

    def load(self) -> Loaded:
        """The file as a start would take it.

        Raises:
            Refusal: It cannot be read.
            ConfigError: It cannot be used.
        """
        with _in_words(self.file):
            raw = files.read(self.file)
        text = None if raw is None else decoded(raw, self.file)
        return self._load(text, self._shelf(), again=True)

    def write(self, order: Order) -> Written:
        """Do what *order* says, or refuse it and leave everything as it is.

        Raises:
            Refusal: Why not.
        """
        shelf = self._shelf()
        with _in_words(self.file), files.locked(self.file.resolve()):
            raw = files.read(self.file)
            base = self._hash(raw, shelf)
            judge_base(order, base)
            before = "" if raw is None else _text(raw, self.file)
            after = self._after(order, before)
            judge(order, raw, base, after)
            if order.how == "patch":
                was, now = (self._whole(each, shelf).tree for each in (before, after))
                patch = read_patch(order.text)
                judge_parts(patch, order.replace, str(self.file), was, now)
            new = self._judged(after, before, shelf)
            content = after.encode()
            changes = differences(self._runs_by(before, shelf), new.config)
            written = Written(
                path=str(self.file),
                hash=self._hash(content, shelf) or "",
                changes=changes,
                left=changes,
                warnings=[issue(problem) for problem in new.warnings],
            )
            if order.dry or content == raw:
                return written
            kept = new.config.config.history
            entry = self._keep(order, raw, base, written.hash, kept)
            files.replace(self.file, content)
            return attrs.evolve(written, entry=entry)

    def history(self) -> list[Entry]:
        """What was replaced, the newest first; without the texts."""
        with _in_words(self.data):
            return [attrs.evolve(each, text="") for each in self._history.entries()]

    def changes_since(self, number: int) -> Sequence[Change]:
        """What the file of an entry said otherwise than the one that is there now.

        Raises:
            Refusal: There is no such entry, or one of the two cannot be used.
        """
        with _in_words(self.file):
            raw = files.read(self.file)
            old = self._history.entry(number).text
        now, shelf = None if raw is None else _text(raw, self.file), self._shelf()
        return differences(self._usable(old, shelf), self._usable(now, shelf))

    def _usable(self, text: str | None, shelf: Shelf) -> Config:
        try:
            return self._load(text, shelf).config
        except ConfigError as error:
            raise Refusal("invalid", str(error)) from None

    @property
    def _history(self) -> files.History:
        return files.History(self.data / files.FOLDER)

    def _shelf(self) -> Shelf:
        """For one order: what is included is the same from its beginning to its end."""
        return Shelf(folder_of(self.file))

    def _whole(self, text: str, shelf: Shelf) -> Whole:
        """The configuration *text* with what it includes, as it is written."""
        tree, _ = parse(text, str(self.file), AS_WRITTEN)
        return taken_together(tree, self.file, AS_WRITTEN, shelf)

    def _hash(self, raw: bytes | None, shelf: Shelf) -> str | None:
        """Of a file, and of those that it includes: who changes one of them changes it."""
        if raw is None:
            return None
        digest = hashlib.sha256(raw)
        whole = self._whole(raw.decode("utf-8-sig", "replace"), shelf)
        for each in whole.files:
            text = whole.texts.get(each)
            of = "" if text is None else hashlib.sha256(text.encode()).hexdigest()
            digest.update(f"\0{each}\0{of}".encode())
        return digest.hexdigest()

    def _load(self, text: str | None, shelf: Shelf, *, again: bool = False) -> Loaded:
        return load_text(
            text,
            self.file,
            self.variables,
            folder=self.data,
            options=self.options,
            secrets=self.secrets,
            again=again,
            read=shelf,
        )

    def _after(self, order: Order, before: str) -> str:
        match order.how:
            case "set":
                return order.text
            case "patch":
                return patched(before, read_patch(order.text), order.replace)
            case "rollback":
                return self._history.entry(order.entry).text

    def _judged(self, after: str, before: str, shelf: Shelf) -> Loaded:
        try:
            was = self._load(before, shelf).warnings
        except ConfigError as error:
            was = error.warnings
        try:
            new = self._load(after, shelf)
        except ConfigError as error:
            problems = error.problems
        else:
            problems = tuple(fresh(new.warnings, was))
            if not problems:
                return new
        raise Refusal(
            "invalid",
            "nothing was written: " + "; ".join(map(str, problems)),
            [issue(problem) for problem in problems],
        )

    def _runs_by(self, before: str, shelf: Shelf) -> Config:
        if self.running is not None:
            return self.running
        try:
            return self._load(before, shelf).config
        except ConfigError:
            return Config()

    def _waiting(self, loaded: Loaded | None) -> tuple[Change, ...]:
        if self.running is None or loaded is None:
            return ()
        return differences(self.running, loaded.config)

    def _keep(
        self,
        order: Order,
        raw: bytes | None,
        base: str | None,
        following: str,
        keep: int,
    ) -> int | None:
        if raw is None:
            return None
        return self._history.put(
            keep,
            at=self.wall(),
            how=order.how,
            by=order.by,
            note=order.note,
            hash=base,
            next=following,
            text=_text(raw, self.file),
        )


def default_file(data: Path) -> Path:
    """Where a configuration is written if there was none at the start."""
    return data / FILE_NAME


def _text(raw: bytes, file: Path) -> str:
    try:
        return decoded(raw, file)
    except ConfigError as error:
        raise Refusal("invalid", str(error)) from None


@contextmanager
def _in_words(path: Path) -> Generator[None]:
    try:
        yield
    except OSError as error:
        where = error.filename or path
        words = f"{where}: {error.strerror or error}"
        if error.errno == errno.ENOSPC:
            words += "; the file is as it was"
        raise Refusal("disk", words) from None
