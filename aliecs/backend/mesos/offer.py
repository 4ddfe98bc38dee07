"""The offers that are here: kept, lent to whoever places tasks, and given away exactly once.

A master offers an agent in one or several pieces, which are lent together as one `Offer`. A piece
that was offered is later accepted, declined or rescinded; nothing else happens to it, and nothing
twice. What was lent and lost a piece meanwhile is broken: no task starts from it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

from attrs import define, field

from aliecs.backend.mesos.resource import Pool
from aliecs.interfaces import Offer
from aliecs.protocol import mesos_pb2

MOST_PIECES = 50_000
"""Pieces that are kept at once."""


@define(eq=False)
class Loan:
    """What one caller has of one agent. `pool` is what is left for tasks, beside the executor where
    that does not run yet."""

    agent_id: str
    pieces: tuple[mesos_pb2.Offer, ...]
    pool: Pool
    executor_id: str
    executor: mesos_pb2.ExecutorInfo
    offer: Offer
    is_broken: bool = False

    @property
    def piece_ids(self) -> list[str]:
        """The master's names of the pieces."""
        return [piece.id.value for piece in self.pieces]


MakeLoan = Callable[[str, tuple[mesos_pb2.Offer, ...]], "Loan | None"]
"""Makes a loan of all pieces of an agent; None where they do not even carry an executor."""


@define(eq=False)
class OfferBook:
    """All pieces that the master counts as ours."""

    _kept: dict[str, dict[str, mesos_pb2.Offer]] = field(factory=dict, init=False)
    """By agent id and piece id."""
    _loans: dict[str, Loan] = field(factory=dict, init=False)
    """By agent id: an agent is lent to one caller at a time."""
    _agents: dict[str, str] = field(factory=dict, init=False)
    """Piece id to agent id, of all pieces kept or lent."""

    def add(self, pieces: Iterable[mesos_pb2.Offer]) -> list[str]:
        """The master offers. Gives the ids of those that are too many to keep."""
        refused = []
        for piece in pieces:
            if len(self._agents) >= MOST_PIECES:
                refused.append(piece.id.value)
            elif piece.id.value not in self._agents:
                self._agents[piece.id.value] = piece.agent_id.value
                self._kept.setdefault(piece.agent_id.value, {})[piece.id.value] = piece
        return refused

    def rescind(self, piece_id: str) -> None:
        """The master takes a piece back."""
        agent_id = self._agents.pop(piece_id, None)
        if agent_id is None:
            return
        kept = self._kept.get(agent_id, {})
        if kept.pop(piece_id, None) is None:
            loan = self._loans[agent_id]
            loan.is_broken = True
            loan.pieces = tuple(piece for piece in loan.pieces if piece.id.value != piece_id)
        elif not kept:
            del self._kept[agent_id]

    def forget(self) -> None:
        """The subscription that the offers came by is over, and they are with it."""
        for loan in self._loans.values():
            loan.is_broken = True
            loan.pieces = ()
        self._kept.clear()
        self._loans.clear()
        self._agents.clear()

    @property
    def kept_agents(self) -> set[str]:
        """Agents with something to lend."""
        return self._kept.keys() - self._loans.keys()

    @property
    def lent_agents(self) -> set[str]:
        """Agents that somebody has."""
        return set(self._loans)

    @property
    def has_kept(self) -> bool:
        """True where there is something to decline."""
        return bool(self._kept)

    def pieces_of(self, agent_id: str) -> list[mesos_pb2.Offer]:
        """All pieces of an agent."""
        loan = self._loans.get(agent_id)
        lent = loan.pieces if loan is not None else ()
        return [*lent, *self._kept.get(agent_id, {}).values()]

    def lend(self, make: MakeLoan) -> list[Offer]:
        """Lend all that can be."""
        offers = []
        for agent_id in sorted(self.kept_agents):
            loan = make(agent_id, tuple(self._kept[agent_id].values()))
            if loan is not None:
                del self._kept[agent_id]
                self._loans[agent_id] = loan
                offers.append(loan.offer)
        return offers

    def take_back(self, offer: Offer) -> None:
        """A caller does not want it: it is kept for the next one."""
        loan = self._ended(offer)
        if loan is not None and loan.pieces:
            kept = self._kept.setdefault(loan.agent_id, {})
            kept.update({piece.id.value: piece for piece in loan.pieces})

    def redeem(self, offer: Offer) -> Loan | None:
        """A caller accepts: the pieces are to be accepted from the master. None where the loan is
        over or broken; what is left of a broken one is kept."""
        loan = self._loans.get(offer.agent_id)
        if loan is None or loan.offer.offer_id != offer.offer_id or loan.is_broken:
            self.take_back(offer)
            return None
        self._ended(offer)
        for piece in loan.pieces:
            del self._agents[piece.id.value]
        return loan

    def clear(self) -> Sequence[str]:
        """Give everything up that is kept; gives the ids of the pieces, to be declined."""
        pieces = [piece_id for kept in self._kept.values() for piece_id in kept]
        for piece_id in pieces:
            del self._agents[piece_id]
        self._kept.clear()
        return pieces

    def _ended(self, offer: Offer) -> Loan | None:
        loan = self._loans.get(offer.agent_id)
        if loan is None or loan.offer.offer_id != offer.offer_id:
            return None
        return self._loans.pop(offer.agent_id)
