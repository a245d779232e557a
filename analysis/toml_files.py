"""TOML files as nested tables and as dotted keys."""
try:
    import tomllib
except ModuleNotFoundError:  # Python before 3.11
    import tomli as tomllib


def read_toml(path):
    """The tables of a TOML file. Errors name the file."""
    try:
        with open(path, "rb") as file:
            return tomllib.load(file)
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ValueError(f"{path}: not valid TOML: {error}") from None
    except RecursionError:
        raise ValueError(f"{path}: lists or tables lie in each other too deep") from None


def merged(under, over):
    """Tables merged key by key; whatever isn't a table in both is replaced."""
    result = dict(under)
    for name, value in over.items():
        both = isinstance(value, dict) and isinstance(result.get(name), dict)
        result[name] = merged(result[name], value) if both else value
    return result


def flat(tables, prefix=""):
    """{dotted key: value} of nested tables."""
    keys = {}
    for name, value in tables.items():
        if isinstance(value, dict):
            keys.update(flat(value, f"{prefix}{name}."))
        else:
            keys[prefix + name] = value
    return keys


def to_toml(value):
    """A value as TOML: numbers, texts, booleans, lists of them, and lists of tables (inline)."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str):
        return '"' + value.replace("\\", "\\\\").replace('"', '\\"') + '"'
    if isinstance(value, (list, tuple)):
        return "[" + ", ".join(map(to_toml, value)) + "]"
    if isinstance(value, dict):
        return "{ " + ", ".join(f"{name} = {to_toml(content)}" for name, content in value.items()) + " }"
    return repr(value)
