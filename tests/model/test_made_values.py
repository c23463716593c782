"""The classes that `trioreply._model.values` makes behave as attrs' own do."""

from __future__ import annotations

import pickle
from copy import copy

import attrs
import pytest
from attrs import field

from trioreply._model import values
from trioreply._model.values import define, frozen


def _shout(text: str) -> str:
    return text.upper()


@frozen
class Ours:
    """As many kinds of fields as there are."""

    number: int
    text: str = field(default="x", repr=_shout)
    unsaid: int = field(default=0, repr=False)
    uncompared: int = field(default=0, eq=False)
    unhashed: list[int] = field(factory=list, hash=False)


@attrs.frozen
class Theirs:
    """The same, made by attrs alone."""

    number: int
    text: str = field(default="x", repr=_shout)
    unsaid: int = field(default=0, repr=False)
    uncompared: int = field(default=0, eq=False)
    unhashed: list[int] = field(factory=list, hash=False)


@frozen
class Below(Ours):
    """A value of another kind."""


@frozen
class Empty:
    """Nothing is in it."""


@define
class Changing:
    """What is in it may change."""

    inside: object = None


@frozen(eq=False, repr=False)
class Bare:
    """Neither equality nor text."""

    number: int = 0


@frozen
class Written:
    """Its methods are its own."""

    number: int

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Written)

    def __hash__(self) -> int:
        return 7

    def __repr__(self) -> str:
        return "<written>"


ARGUMENTS: list[tuple[object, ...]] = [
    (1,),
    (2,),
    (1, "y"),
    (1, "x", 5),
    (1, "x", 0, 5),
    (1, "x", 0, 0, [1]),
]


@pytest.mark.parametrize("left", ARGUMENTS, ids=str)
@pytest.mark.parametrize("right", ARGUMENTS, ids=str)
def test_equality_and_hash_are_attrs(left: tuple[int], right: tuple[int]) -> None:
    """Two values are equal, and have equal hashes, exactly if attrs' own would."""
    assert (Ours(*left) == Ours(*right)) is (Theirs(*left) == Theirs(*right))
    assert (Ours(*left) != Ours(*right)) is (Theirs(*left) != Theirs(*right))
    assert (hash(Ours(*left)) == hash(Ours(*right))) is (hash(Theirs(*left)) == hash(Theirs(*right)))


@pytest.mark.parametrize("arguments", ARGUMENTS, ids=str)
def test_text_is_attrs(arguments: tuple[int]) -> None:
    """A value shows itself as attrs' own would, twice in the same way."""
    wanted = repr(Theirs(*arguments)).replace("Theirs", "Ours")
    assert [repr(Ours(*arguments)), repr(Ours(*arguments))] == [wanted, wanted]


def test_other_kinds_differ() -> None:
    """Nothing equals a value but one of the very same class."""
    assert Ours(1) != Below(1)
    assert Below(1) == Below(1)
    assert Ours(1).__eq__(1) is NotImplemented


def test_no_fields() -> None:
    """Values without fields are equal, and have a hash and a text."""
    assert Empty() == Empty()
    assert hash(Empty()) == hash(Empty())
    assert repr(Empty()) == "Empty()"


def test_what_changes_has_no_hash() -> None:
    """What can be changed is compared, and is no key."""
    assert Changing(1) == Changing(1) != Changing(2)
    with pytest.raises(TypeError, match="unhashable"):
        hash(Changing())


def test_text_of_a_ring_ends() -> None:
    """A value that is in itself shows three dots there, as everything of Python's does."""
    ring = Changing()
    ring.inside = [ring]
    assert repr(ring) == "Changing(inside=[...])"


def test_class_in_a_function_is_named_by_itself() -> None:
    """The text of a value names its class without the function that the class was made in."""

    @frozen
    class Inner:
        """Nothing is in it."""

    assert repr(Inner()) == "Inner()"


def test_left_out() -> None:
    """Without ``eq`` a value equals only itself, and without ``repr`` it shows nothing of itself."""
    one = Bare()
    assert one == one  # noqa: PLR0124 - that is the question
    assert one != Bare()
    assert len({one, Bare()}) == 2
    assert "number" not in repr(one)


def test_own_methods_stay() -> None:
    """What a class has written itself is left alone."""
    assert Written(1) == Written(2)
    assert hash(Written(1)) == 7
    assert repr(Written(1)) == "<written>"


def test_they_are_attrs_classes() -> None:
    """Everything else of attrs works: frozen, with slots, copied, changed, pickled."""
    value = Ours(1, unhashed=[2])
    with pytest.raises(attrs.exceptions.FrozenInstanceError):
        value.number = 2  # type: ignore[misc]  # that is the question
    assert not hasattr(value, "__dict__")
    assert attrs.evolve(value, number=3) == Ours(3, unhashed=[2])
    assert copy(value) == pickle.loads(pickle.dumps(value)) == value
    assert attrs.asdict(value)["unhashed"] == [2]


def test_only_two_are_exported() -> None:
    """The module offers attrs' decorators, and nothing that attrs would not know."""
    assert set(values.__all__) == {"define", "frozen"}
