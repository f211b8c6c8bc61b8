"""Java's serialisation (Object Serialization Stream Protocol), for the few classes that a JCEKS store needs.

This is a parser of bytes: it makes dictionaries, never objects of a class that the file names. Every other class, every
construct that those few do not need, and everything nested too deep is refused.
"""

from __future__ import annotations

from typing import Any, NamedTuple

from openmid.keystore.errors import Damaged, UnsupportedType
from openmid.keystore.java_data import DataReader

_NULL, _REFERENCE, _CLASS, _OBJECT, _STRING, _ARRAY, _END, _ENUM = 0x70, 0x71, 0x72, 0x73, 0x74, 0x75, 0x78, 0x7E
_SERIALIZABLE, _FIRST_HANDLE, _MAX_DEPTH, _MAX_HANDLES = 2, 0x7E0000, 8, 64
_SIZES = {"B": 1, "C": 2, "D": 8, "F": 4, "I": 4, "J": 8, "S": 2, "Z": 1}
_CLASSES = frozenset({
    "com.sun.crypto.provider.SealedObjectForKeyProtector", "javax.crypto.SealedObject", "[B",
    "javax.crypto.spec.SecretKeySpec", "java.security.KeyRep", "java.security.KeyRep$Type", "java.lang.Enum",
})  # fmt: skip


class Sealed(NamedTuple):
    """javax.crypto.SealedObject: the cipher's parameters (DER) and the ciphertext."""

    parameters: bytes
    content: bytes


class Secret(NamedTuple):
    """A secret key: Java's name of its algorithm, and its bytes."""

    algorithm: str
    key: bytes


class _Class(NamedTuple):
    name: str
    flags: int
    fields: tuple[tuple[str, str], ...]  # (type's letter, name)
    parent: _Class | None


class _Stream:
    def __init__(self, data: bytes, where: str) -> None:
        self.reader = DataReader(data, where)
        self.where = where
        self.handles: list[Any] = []
        if self.reader.take(4) != b"\xac\xed\0\5":
            raise self.damaged("it is not a serialised object")

    def damaged(self, why: str) -> Damaged:
        return Damaged(f"{self.where} is damaged: {why}")

    def _remember(self, value: Any) -> int:
        if len(self.handles) == _MAX_HANDLES:
            raise self.damaged("it has more parts than such an object has")
        self.handles.append(value)
        return len(self.handles) - 1

    def _referred(self) -> Any:
        index = self.reader.number(4) - _FIRST_HANDLE
        if not 0 <= index < len(self.handles):
            raise self.damaged("it refers to what is not there")
        return self.handles[index]

    def value(self, depth: int = 0) -> Any:
        """bytes, str, None, or a dictionary with the object's fields and its class under ""."""
        if depth > _MAX_DEPTH:
            raise self.damaged("it is nested too deep")
        tag = self.reader.number(1)
        if tag == _NULL:
            return None
        if tag == _REFERENCE:
            return self._referred()
        if tag == _STRING:
            index = self._remember("")
            self.handles[index] = self.reader.text()
            return self.handles[index]
        if tag == _ARRAY:
            return self._array(depth)
        if tag == _ENUM:
            self._description(depth)
            index = self._remember(None)
            self.handles[index] = self.value(depth + 1)
            return self.handles[index]
        if tag == _OBJECT:
            return self._object(depth)
        raise self.damaged(f"it has a part of kind {tag:#x}")

    def _array(self, depth: int) -> bytes:
        found = self._description(depth)
        if found is None or found.name != "[B":
            raise self.damaged("it has an array of something else than bytes")
        index = self._remember(b"")
        self.handles[index] = self.reader.block()
        return bytes(self.handles[index])

    def _object(self, depth: int) -> dict[str, Any]:
        found = self._description(depth)
        fields: dict[str, Any] = {}
        self._remember(fields)
        lineage: list[_Class] = []
        while found is not None:
            lineage.append(found)
            found = found.parent
        if not lineage:
            raise self.damaged("it has an object without a class")
        fields[""] = lineage[0].name
        for each in reversed(lineage):
            if each.flags != _SERIALIZABLE:
                raise self.damaged(f"the class {each.name} is serialised in a way of its own")
            for kind, name in each.fields:
                fields[name] = self.reader.take(_SIZES[kind]) if kind in _SIZES else self.value(depth + 1)
        return fields

    def _description(self, depth: int) -> _Class | None:
        if depth > _MAX_DEPTH:
            raise self.damaged("it is nested too deep")
        tag = self.reader.number(1)
        if tag == _NULL:
            return None
        if tag == _REFERENCE:
            found = self._referred()
            if not isinstance(found, _Class):
                raise self.damaged("it refers to something that is not a class")
            return found
        if tag != _CLASS:
            raise self.damaged("a class is missing")
        return self._class(depth)

    def _class(self, depth: int) -> _Class:
        name = self.reader.text()
        if name not in _CLASSES:
            raise UnsupportedType(
                f"{self.where} is an object of the Java class {name[:80]!r}, which openmid does not read",
                "convert it where it was made: keytool -importkeystore with -deststoretype PKCS12",
            )
        self.reader.take(8)  # serialVersionUID
        index = self._remember(None)
        flags, count = self.reader.number(1), self.reader.number(2)
        if count > 16:
            raise self.damaged(f"the class {name} has {count} fields")
        fields = []
        for _ in range(count):
            kind, field = self.reader.take(1).decode("latin-1"), self.reader.text()
            if kind in "[L":
                self.value(depth + 1)  # the field's type, a string
            elif kind not in _SIZES:
                raise self.damaged(f"a field has the type {kind!r}")
            fields.append((kind, field))
        if self.reader.number(1) != _END:
            raise self.damaged(f"the class {name} is annotated")
        found = _Class(name, flags, tuple(fields), self._description(depth + 1))
        self.handles[index] = found
        return found


def end_of_object(data: bytes, start: int, limit: int, name: str) -> int:
    """Where the object that starts at `start` ends. Raises Damaged, UnsupportedType."""
    stream = _Stream(data[start : min(limit, start + _MAX_SECRET)], name)
    stream.value()
    return start + stream.reader.position


_MAX_SECRET = 64 * 1024  # bytes: a secret key has fewer


def sealed_object(data: bytes, where: str) -> Sealed:
    """Raises Damaged, UnsupportedType."""
    found = _Stream(data, where).value()
    if not isinstance(found, dict):
        raise Damaged(f"{where} is damaged: it is not an object")
    parameters, content, algorithm = (found.get(name) for name in ("encodedParams", "encryptedContent", "sealAlg"))
    if not isinstance(parameters, bytes) or not isinstance(content, bytes):
        raise Damaged(f"{where} is damaged: the sealed object lacks its content")
    if algorithm != "PBEWithMD5AndTripleDES":
        raise UnsupportedType(f"{where} is sealed with {str(algorithm)[:40]!r}, which openmid does not know")
    return Sealed(parameters, content)


def secret_key(data: bytes, where: str) -> Secret:
    """SecretKeySpec, or KeyRep, which stands for keys of other classes. Raises Damaged, UnsupportedType."""
    found = _Stream(data, where).value()
    if not isinstance(found, dict):
        raise Damaged(f"{where} is damaged: it is not an object")
    algorithm, key = found.get("algorithm"), found.get("key", found.get("encoded"))
    if found[""] == "java.security.KeyRep" and (found.get("type") != "SECRET" or found.get("format") != "RAW"):
        raise UnsupportedType(f"{where} is not a secret key in its plain form")
    if not isinstance(algorithm, str) or not isinstance(key, bytes):
        raise Damaged(f"{where} is damaged: the key lacks its algorithm or its bytes")
    return Secret(algorithm, key)
