"""Registries that are folders: each file in one is an entry, known by the file's name.

An entry is added by adding its file, and no list repeats what the folder holds. Names are read
without importing anything; an entry is imported when it is asked for.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from types import ModuleType

from vitrial.errors import VitrialError
from vitrial.spelling import did_you_mean


@dataclass(frozen=True)
class Registry:
    """The entries of a package, a Python file or a folder each; what begins with `_` is none.

    Attributes:
        package: Such as `vitrial.data.sources`.
        defines: The names that each entry has to define.
        file: Where an entry is a folder, the file of it that defines them.
    """

    package: str
    defines: tuple[str, ...]
    file: str = ""

    def names(self) -> tuple[str, ...]:
        """The names of all entries, sorted; nothing is imported.

        Raises:
            VitrialError: Two entries have one name.
        """
        places: defaultdict[str, list[Path]] = defaultdict(list)
        for folder in map(Path, import_module(self.package).__path__):
            folders = (inside.parent for inside in folder.glob("*/__init__.py"))
            for place in (*folder.glob("*.py"), *folders):
                if not place.name.startswith("_"):
                    places[place.stem].append(place)
        for name, several in places.items():
            if len(several) > 1:
                both = " and ".join(map(str, sorted(several)))
                raise VitrialError(f"{both} are both called {name}: rename one.")
        return tuple(sorted(places))

    def entry(self, name: str) -> ModuleType:
        """The entry of a name.

        Raises:
            VitrialError: There is none of this name, it cannot be imported, or lacks something.
        """
        names = self.names()
        if name not in names:
            raise VitrialError(
                f"There is no '{name}'{did_you_mean(name, names)}: there are {', '.join(names)}."
            )
        path = ".".join(filter(None, (self.package, name, self.file)))
        try:
            module = import_module(path)
        except Exception as error:
            raise VitrialError(
                f"{path.replace('.', '/')}.py cannot be imported: {type(error).__name__}: {error}"
            ) from error
        if missing := [wanted for wanted in self.defines if not hasattr(module, wanted)]:
            raise VitrialError(f"{module.__file__} defines no {', '.join(missing)}: add it.")
        return module

    def entries(self) -> dict[str, ModuleType]:
        """All entries by name, in the order of their `ORDER`, where they define one.

        Raises:
            VitrialError: As for `entry`.
        """
        found = {name: self.entry(name) for name in self.names()}
        return dict(sorted(found.items(), key=lambda item: (getattr(item[1], "ORDER", 0), item[0])))
