"""A mutation that keeps DER's lengths right: without it nearly every change ends at the first length that is wrong."""

from __future__ import annotations

import random
from collections.abc import Callable
from copy import deepcopy
from dataclasses import dataclass, field

from openmid.keystore import der

CONSTRUCTED, OCTETS = 0x20, der.OCTET_STRING
DEEPEST = 24


@dataclass
class Node:
    """An element: its content is bytes, or other elements (in an OCTET STRING too, where they parse)."""

    tag: int
    content: bytes = b""
    children: list[Node] = field(default_factory=list)

    def encode(self) -> bytes:
        return der.tlv(self.tag, b"".join(child.encode() for child in self.children) if self.children else self.content)

    def walk(self) -> list[Node]:
        return [self, *(below for child in self.children for below in child.walk())]


def parse(data: bytes, depth: int = 0) -> list[Node]:
    """Every element. Raises DerError."""
    reader, found = der.Reader(data), []
    while (tag := reader.peek()) >= 0:
        whole = reader.any("an element")
        content = der.Reader(whole).element(tag, "an element").rest()
        node = Node(tag, content)
        if (tag & CONSTRUCTED or tag == OCTETS) and depth < DEEPEST:
            try:
                node.children = parse(content, depth + 1)
            except der.DerError:
                node.children = []
        found.append(node)
    return found


def mutate(data: bytes, largest: int, seed: int, plain: Callable[[bytes, int], bytes]) -> bytes:
    """One change somewhere in the tree; `plain` (libFuzzer's own) changes bytes where there is none, and now and then."""
    dice = random.Random(seed)
    try:
        tree = Node(0, children=parse(data))
    except der.DerError:
        return plain(data, largest)
    if not tree.children or dice.random() < 0.2:
        return plain(data, largest)
    change(tree, dice, plain)
    changed = b"".join(child.encode() for child in tree.children)
    return changed if len(changed) <= largest else plain(data, largest)


def change(tree: Node, dice: random.Random, plain: Callable[[bytes, int], bytes]) -> None:
    parents = [node for node in tree.walk() if node.children]
    parent = dice.choice(parents)
    donor = deepcopy(dice.choice(dice.choice(parents).children))  # a copy, for it may hold the parent
    at = dice.randrange(len(parent.children))
    node = parent.children[at]
    match dice.randrange(6):
        case 0:
            del parent.children[at]
        case 1:
            parent.children.insert(at, donor)
        case 2:
            parent.children[at] = donor
        case 3:
            parent.children[at] = Node(dice.choice((node.tag ^ 1 << dice.randrange(8), donor.tag)), node.content)
        case _:
            leaf = dice.choice([each for each in node.walk() if not each.children])
            leaf.content = plain(leaf.content, len(leaf.content) + dice.choice((0, 1, 16, 300)) or 1)
