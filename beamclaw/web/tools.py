"""The tool ``web_fetch``, as OpenClaw's, but that an agent cannot be sent home by it."""

from collections.abc import Awaitable, Callable
from functools import partial
from typing import Annotated, Final

import trio

import supervision
from beamclaw.config.schema import ENDLESS, WebConfig
from beamclaw.contracts import names
from beamclaw.contracts.approvals import Ask, Clear, Clearance, Deny, digest_of
from beamclaw.contracts.outside import Outside
from beamclaw.contracts.sandbox import Sandbox
from beamclaw.contracts.tools import Order, Output, ToolFailed
from beamclaw.toolkit import Range, tool
from beamclaw.web.addresses import networks
from beamclaw.web.conversations import Conversations
from beamclaw.web.dialing import Dialer
from beamclaw.web.exchange import Failed
from beamclaw.web.fetching import BAD, Bounds, Page, Way, fetch
from beamclaw.web.framing import framed
from beamclaw.web.known import Rules
from beamclaw.web.reading import Mode, Reader, Text
from beamclaw.web.targets import Policy, Refused, Target, target

# Of what a server says beside an error.
_MOST_OF_ERROR: Final = 4_000
_FETCHES: Final = "web_fetch"


class WebTools:
    """The tools of one agent.

    Args:
        tenant: Whose agent.
        config: What it may fetch, and how much of it.
        outside: Where numbers come from.
        dialer: The way out.
        sandbox: Where pages are read; None: in none.
    """

    def __init__(
        self,
        tenant: str,
        config: WebConfig,
        outside: Outside,
        dialer: Dialer,
        sandbox: Sandbox | None = None,
    ) -> None:
        self._config = config
        self._outside = outside
        self._places = trio.CapacityLimiter(config.at_once)
        self._policy = Policy(
            hosts=config.hosts,
            ports=config.ports,
            admitted=networks(config.private_networks),
            most=config.url_chars,
        )
        self._rules = Rules(self._policy, _FETCHES, config.own_chars)
        ledger = names.of_tenant(tenant, "ledger")
        self._conversations = Conversations(ledger, self._rules)
        self._way = Way(
            dialer=dialer,
            policy=self._policy,
            bounds=Bounds(
                seconds=config.seconds,
                connect_seconds=config.connect_seconds,
                redirects=config.redirects,
                bytes=config.max_bytes,
            ),
            agent=config.user_agent,
        )
        self._reader = Reader(
            tenant=tenant,
            seconds=config.read_seconds,
            memory=config.read_memory,
            sandbox=sandbox,
        )

    @tool(effect="pure", group="web", asks="by-call", untrusted=True, name=_FETCHES)
    async def web_fetch(
        self,
        order: Order,
        url: str,
        extract_mode: Mode = "markdown",
        max_chars: Annotated[int, Range(1, ENDLESS)] | None = None,
    ) -> Output:
        """Fetch a page from the internet and read its text. Scripts of it do not run.

        Args:
            order: The call.
            url: The page: https:// or http://.
            extract_mode: Whether links, headings and tables stay marked.
            max_chars: How much of its text, at most.
        """
        most = min(max_chars or ENDLESS, self._config.max_chars)
        async with self._places:
            try:
                at = target(url, self._policy)
                page = await fetch(at, self._way, self._follower(order, at))
                most = most if page.status < BAD else min(most, _MOST_OF_ERROR)
                id_ = self._outside.new_id()
                text = await self._reader.read(
                    page, mode=extract_mode, most=most, id=id_
                )
            except (Refused, Failed) as error:
                raise ToolFailed(f"{url[:500]} was not fetched: {error}") from None
        return self._said(page, text)

    def _said(self, page: Page, text: Text) -> Output:
        facts = [f"{page.status}", page.kind.form, f"{len(page.body):,} bytes"]
        if page.hops:
            facts.append(f"behind {page.hops} redirects")
        if text.cut:
            facts.append("the rest is left out")
        title = f"# {text.title}\n\n" if text.title else ""
        frame = framed(
            (title + text.text).strip() or "(nothing that could be read)",
            number=self._outside.new_id().replace("-", "")[:16],
            source=page.at.url,
        )
        is_error = page.status >= BAD
        head = "the server says that something is wrong" if is_error else "fetched"
        return Output(f"{head} ({', '.join(facts)})\n\n{frame}", is_error=is_error)

    # --- leave

    @web_fetch.clears
    async def _clear_fetch(self, order: Order, url: str) -> Clearance:
        try:
            at = target(url, self._policy)
        except Refused as error:
            return Deny(f"{url[:500]} was not fetched: {error}")
        if await self._admits(order, at):
            return Clear()
        if self._config.after_untrusted == "deny":
            return Deny(_denied(at))
        facts: dict[str, object] = {"url": at.url}
        _, mark, query = at.path.partition("?")
        details = {"host": at.authority, "url": at.url}
        if mark:
            details["sends"] = query
        return Ask(
            question=(
                f"May {order.tool} fetch from {at.authority}? Words of strangers are in "
                "the conversation, and they may want to have something sent there: all "
                f"that goes there is {at.url}"
            ),
            digest=digest_of(order.tool, facts),
            details=details,
        )

    async def _admits(self, order: Order, at: Target) -> bool:
        """Whether the conversation may go to *at* without a person."""
        if not order.tainted or self._config.after_untrusted == "allow":
            return True
        try:
            found = await self._conversations.known(order.session_key)
        except supervision.CallFailed:
            raise ToolFailed(
                "what was said in the conversation cannot be read at the moment"
            ) from None
        return found.admits(at, self._rules, order.call_id)

    def _follower(
        self, order: Order, first: Target
    ) -> Callable[[Target], Awaitable[None]]:
        return partial(self._follow, order, first.host)

    async def _follow(self, order: Order, host: str, to: Target) -> None:
        """Whether a redirect is followed: not to where nobody wanted to go.

        Raises:
            Refused: It is not.
        """
        if to.host != host and not await self._admits(order, to):
            raise Refused(
                f"it leads to another host, {to.url}. To go there, fetch that: a person "
                "is asked then"
            )


def _denied(at: Target) -> str:
    return (
        f"{at.url} is not fetched: words of strangers are in the conversation, and nobody "
        "has named that host (tools.web.after_untrusted: deny)"
    )
