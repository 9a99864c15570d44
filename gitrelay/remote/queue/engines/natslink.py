"""One connection to a NATS server, used from plain code: an event loop in a thread of its own.

nats-py connects again by itself. A request that was under way when the connection broke has an unknown outcome, and so
has one that was not answered in time: both are Unreachable.
"""

from __future__ import annotations

import asyncio
import contextlib
import queue
import ssl
import threading
import time
from collections.abc import Callable, Coroutine, Iterator, Sequence
from typing import Any, Final, TypeVar

import nats
from nats.aio.client import Client
from nats.errors import NoRespondersError

from gitrelay.errors import CannotRecord, Code
from gitrelay.ground.text import plain
from gitrelay.ground.value import dataclass
from gitrelay.remote.queue.engines import natsplace
from gitrelay.remote.queue.engines.natsplace import Place
from gitrelay.remote.queue.jobs import Unreachable

ANSWER: Final = 5.0  # seconds that a request waits
_CONNECT: Final = 5.0
_BACK: Final = 1.0  # seconds that a request waits for a connection that is being made again
_AGAIN: Final = 0.25  # seconds between two tries to connect
_SLICE: Final = 0.25  # seconds: a wait looks so often whether it is to stop

_T = TypeVar("_T")


class Denied(CannotRecord):
    """The server does not let this user do what was asked."""

    code = Code.QUEUE_DENIED


class Absent(Exception):
    """Nothing on the server answers to that subject: no stream, or no JetStream."""


@dataclass(frozen=True)
class Reply:
    """A message that came back. `reply` is the subject that acknowledges it, '' for none."""

    subject: str
    data: bytes
    status: str
    reply: str


class Bell:
    """Tells of jobs as they come. It rings without a subject if the connection was made again."""

    def __init__(self) -> None:
        self._rung: queue.SimpleQueue[str] = queue.SimpleQueue()

    def ring(self, subject: str = "") -> None:
        self._rung.put(subject)

    def wait(self, seconds: float, stopped: Callable[[], bool]) -> str | None:
        """The subject of the next ring; None if none came in time, or if waiting is to stop."""
        end = time.monotonic() + seconds
        while not stopped():
            try:
                return self._rung.get(timeout=max(0.0, min(_SLICE, end - time.monotonic())))
            except queue.Empty:
                if time.monotonic() >= end:
                    break
        return None

    def left(self) -> int:
        """How many rings nobody has heard."""
        return self._rung.qsize()


class Link:
    """The connection, made when it is first needed. `close` ends it."""

    def __init__(self, place: Place) -> None:
        self.place = place
        self._inbox = "_INBOX"
        self._client: Client | None = None
        self._made: asyncio.AbstractEventLoop | None = None
        self._thread: threading.Thread | None = None
        self._bell: Bell | None = None
        self._trouble: asyncio.Future[None] | None = None
        self._asked = ""
        self._said = ""
        self._since = 0.0
        self._up = asyncio.Event()

    def unbroken(self) -> float:
        """Since when the connection has held without a break, in monotonic seconds; now if there is none."""
        client = self._client
        return self._since if client is not None and client.is_connected else time.monotonic()

    def request(self, subject: str, data: bytes = b"", headers: dict[str, str] | None = None) -> Reply:
        """What answers. Raises Unreachable, Denied, and Absent if nothing can answer."""
        return self._run(self._request(subject, data, headers, ANSWER, False))

    def handed_out(self, subject: str, data: bytes, limit: float) -> Reply:
        """As `request`, for an answer that has a subject of its own; it must come within `limit` seconds."""
        return self._run(self._request(subject, data, None, limit, True))

    def tell(self, subject: str, data: bytes = b"") -> None:
        """Send without an answer. Raises Unreachable if there is no connection."""
        return self._run(self._tell(subject, data))

    @contextlib.contextmanager
    def telling(self, subject: str, data: bytes, every: float) -> Iterator[None]:
        """Send it again and again, each `every` seconds, until the block ends."""
        task = asyncio.run_coroutine_threadsafe(self._tell_again(subject, data, every), self._loop)
        try:
            yield
        finally:
            task.cancel()

    @contextlib.contextmanager
    def bell(self, subjects: Sequence[str], group: str) -> Iterator[Bell]:
        """A bell for messages to `subjects`; of those who wait in the same `group`, one hears each."""
        self._bell = bell = Bell()
        made = self._run(self._subscribe(bell, subjects, group))
        try:
            yield bell
        finally:
            self._bell = None
            with contextlib.suppress(Unreachable):
                self._run(self._unsubscribe(made))

    def close(self) -> None:
        """End the connection. Never fails."""
        if self._thread is None:
            return
        with contextlib.suppress(Exception):
            asyncio.run_coroutine_threadsafe(self._end(), self._loop).result(2)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(2)
        if not self._thread.is_alive():
            self._loop.close()
        self._made = self._thread = self._client = None

    # -- in the thread ----------------------------------------------------------------------------

    @property
    def _loop(self) -> asyncio.AbstractEventLoop:
        if self._made is None:
            self._made = asyncio.new_event_loop()
        return self._made

    def _run(self, work: Coroutine[Any, Any, _T]) -> _T:
        if self._thread is None:
            self._thread = threading.Thread(target=self._loop.run_forever, name="nats", daemon=True)
            self._thread.start()
        future = asyncio.run_coroutine_threadsafe(work, self._loop)
        try:
            return future.result(_CONNECT + ANSWER + 5)
        except TimeoutError as e:
            raise self._unknown() from e
        finally:
            future.cancel()

    async def _request(
        self, subject: str, data: bytes, headers: dict[str, str] | None, limit: float, own: bool
    ) -> Reply:
        """`own`: an inbox for this request alone, in which nats-py finds an answer that keeps its own subject."""
        client = await self._connected()
        self._trouble, self._asked = self._loop.create_future(), subject
        asking = client.request(subject, data, limit, old_style=own, headers=headers)
        asked: asyncio.Future[Any] = asyncio.ensure_future(asking)
        try:
            await asyncio.wait({asked, self._trouble}, return_when=asyncio.FIRST_COMPLETED)
            if not asked.done():
                self._trouble.result()
            found = await asked
        except NoRespondersError as e:
            raise Absent(subject) from e
        except (TimeoutError, nats.errors.Error, OSError) as e:
            raise self._unknown(str(e)) from e
        finally:
            asked.cancel()
            if self._trouble.done() and not self._trouble.cancelled():
                self._trouble.exception()  # it is known
            self._trouble = None
        status = (found.headers or {}).get("Status", "")
        if status == "503":
            raise Absent(subject)
        return Reply(found.subject, bytes(found.data), str(status), str(found.reply))

    async def _tell(self, subject: str, data: bytes) -> None:
        client = await self._connected()
        try:
            await client.publish(subject, data)
            await client.flush(int(ANSWER))
        except (TimeoutError, nats.errors.Error, OSError) as e:
            raise self._unknown(str(e)) from e

    async def _tell_again(self, subject: str, data: bytes, every: float) -> None:
        while True:
            await asyncio.sleep(every)
            with contextlib.suppress(nats.errors.Error, OSError):
                if self._client is not None and self._client.is_connected:
                    await self._client.publish(subject, data)

    async def _subscribe(self, bell: Bell, subjects: Sequence[str], group: str) -> list[Any]:
        client = await self._connected()

        async def rung(message: Any) -> None:
            bell.ring(str(message.subject))

        return [await client.subscribe(subject, queue=group, cb=rung) for subject in subjects]

    async def _unsubscribe(self, made: Sequence[Any]) -> None:
        for one in made:
            with contextlib.suppress(nats.errors.Error, OSError):
                await one.unsubscribe()

    async def _end(self) -> None:
        if self._client is not None:
            await self._client.close()
        left = asyncio.all_tasks() - {asyncio.current_task()}
        for task in left:
            task.cancel()
        await asyncio.gather(*left, return_exceptions=True)

    # -- the connection ---------------------------------------------------------------------------

    async def _connected(self) -> Client:
        client = self._client
        if client is None or client.is_closed:
            return await self._connect()
        if not client.is_connected:
            try:
                await asyncio.wait_for(self._up.wait(), _BACK)
            except TimeoutError as e:
                raise self._unknown(self._said) from e
        return client

    async def _connect(self) -> Client:
        place, who = self.place, self.place.who
        client, options = Client(), dict[str, Any]()
        if place.tls or place.ca or place.cert:
            try:
                options["tls"] = _context(place)
            except OSError as e:
                raise self._unknown(f"the certificates of this side cannot be read: {e}") from e
        try:
            self._inbox = natsplace.inbox(who)
        except Exception as e:  # nkeys has errors of its own, and it may not be here
            raise self._unknown("the seed of our NKey cannot be used") from e
        if who.user:
            options |= {"user": who.user, "password": lambda: _guarded(client, place, who.password)}
        elif who.token:
            options["token"] = lambda: _guarded(client, place, who.token)
        elif who.seed:
            options["nkeys_seed_str"] = who.seed
        elif who.creds:
            options["user_credentials"] = who.creds
        self._said, self._trouble, self._asked = "", self._loop.create_future(), ""
        trying = asyncio.ensure_future(
            client.connect(
                place.url,
                name="gitrelay",
                error_cb=self._erred,
                disconnected_cb=self._broken,
                reconnected_cb=self._again,
                connect_timeout=int(_CONNECT),
                reconnect_time_wait=_AGAIN,  # type: ignore[arg-type,unused-ignore]  # seconds, for asyncio.sleep
                max_reconnect_attempts=-1,
                inbox_prefix=self._inbox,
                **options,
            )
        )
        try:
            await asyncio.wait({trying, self._trouble}, timeout=_CONNECT, return_when=asyncio.FIRST_COMPLETED)
            if not trying.done():
                raise self._unknown(self._said)
            await trying
            _guarded(client, place, "")
        except (nats.errors.Error, OSError, ValueError, ImportError) as e:
            raise self._unknown(str(e)) from e
        finally:
            trying.cancel()
            self._trouble = None
        self._client, self._since = client, time.monotonic()
        self._up.set()
        return client

    async def _erred(self, error: Exception) -> None:
        """What went wrong by itself: it is of the request under way if it names its subject, or of the connection."""
        self._said, trouble = str(error), self._trouble
        if trouble is None or trouble.done():
            return
        if not self._asked:
            trouble.set_result(None)
        elif "permissions violation" in self._said.lower():
            said = self._said.lower()  # nats-py gives it in small letters
            ours = f'"{self._asked}"'.lower() in said or self._inbox.lower() in said
            if ours:
                trouble.set_exception(_denied(self.place, self._said))

    async def _broken(self) -> None:
        self._up.clear()
        if self._trouble is not None and not self._trouble.done():
            self._trouble.set_exception(self._unknown("the connection broke"))

    async def _again(self) -> None:
        assert self._client is not None
        try:
            _guarded(self._client, self.place, "")
        except OSError:
            await self._client.close()
            return
        self._since = time.monotonic()
        self._up.set()
        if self._bell is not None:
            self._bell.ring()

    def _unknown(self, why: str = "") -> CannotRecord:
        if "authorization" in why.lower() or "authentication" in why.lower():
            return _denied(self.place, why)
        words = f": {plain(why, 200)}" if why else ""
        return Unreachable(
            f"the queue at {self.place.shown} gives no answer{words}",
            hint="check the network and the NATS server; what was asked of it may have happened",
        )


def _denied(place: Place, why: str) -> Denied:
    return Denied(
        f"{place.shown} does not let this user do that: {plain(why, 200)}",
        hint="relay.REMOTE.queueCredentials names the file that says who you are; git relay help nats",
    )


def _guarded(client: Client, place: Place, secret: str) -> str:
    """`secret`, if the connection has the TLS that the settings ask for: a false server may not offer it."""
    if place.tls and not getattr(client, "_server_info", {}).get("tls_required"):
        raise OSError("the server speaks no TLS, and the address says tls://")
    return secret


def _context(place: Place) -> ssl.SSLContext:
    context = ssl.create_default_context(cafile=place.ca or None)
    if place.cert:
        context.load_cert_chain(place.cert, place.key or None)
    return context
