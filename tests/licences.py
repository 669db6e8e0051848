"""Lists the licence of every installed package: `make licences`."""

from importlib import metadata

_MIT = "Permission is hereby granted, free of charge, to any person obtaining a copy"


def licences() -> list[tuple[str, str, str]]:
    """Name, version and licence of each package, by name."""
    return sorted({(each.name, each.version, _licence(each)) for each in metadata.distributions()})


def _licence(package: metadata.Distribution) -> str:
    about = package.metadata
    named = about.get("License-Expression") or next(iter((about.get("License") or "").splitlines()), "")
    classified = [
        line.rpartition(" :: ")[2] for line in about.get_all("Classifier", []) if line.startswith("License ::")
    ]
    if 0 < len(named) < 60:
        return named
    return ", ".join(classified) or ("MIT" if _MIT in _text(package) else "unknown")


def _text(package: metadata.Distribution) -> str:
    """Its licence files, for packages that name none."""
    files = [file for file in package.files or () if "licen" in str(file).lower() and "dist-info" in str(file)]
    return " ".join(" ".join(file.read_text(encoding="utf-8").split()) for file in files)


if __name__ == "__main__":
    for row in licences():
        print("{:32} {:16} {}".format(*row))
