"""Reading a document as somebody who tries everything in it: each block is run against a platform, in its order.

An operation's block may be followed by its variables and by the answer (JSON with `data` or `errors`); a command's
by what it prints. Comments above a block: `file` names the file it is to be saved as, `wait` says that the answer
shown comes after a while, `deploy` names the id of a function that works, `fails` is above one that does not and
is followed by words of its error.
"""

import asyncio
import json
import subprocess
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import httpx
from graphql import OperationDefinitionNode, parse

from tests.docs.blocks import Block
from tests.docs.shown import Examples
from tests.local.walk import Walker

ADDRESS = "127.0.0.1:8000"
"""Where the documents say the gateway is."""
WAIT_S = 60
AGAIN_S = 5
COMMAND_S = 120
KEEP_ALIVE = ": ping\n\n"
"""In an event stream after 15 s without an event: a busy machine's builds take longer."""
EVENT_STREAM = {"accept": "text/event-stream"}


class Reader:
    """Somebody at a platform; `folder` is where files are saved, `run_script` runs JavaScript in its place."""

    def __init__(
        self,
        url: str,
        examples: Examples,
        folder: Path,
        *,
        languages: Sequence[str],
        run_script: Callable[[Path], str] | None = None,
    ) -> None:
        self.url = url
        self.examples = examples
        self.folder = folder
        self.places_run: list[str] = []
        self._languages = languages
        self._run_script = run_script
        self._client = httpx.AsyncClient(trust_env=False, timeout=60)
        self._watched: list[tuple[Block, asyncio.Task[Any]]] = []
        self._last: tuple[str, Any] = ("{ __typename }", {})

    async def read(self, blocks: Sequence[Block]) -> None:
        """Run every block of the reader's languages, and see the subscriptions that stayed open get something."""
        try:
            rest = list(blocks)
            while rest:
                block = rest.pop(0)
                await self._run(block, rest)
                if not rest or rest[0].heading != block.heading:
                    await self._see_events()
        finally:
            for _, event in self._watched:
                event.cancel()
            await asyncio.gather(*(event for _, event in self._watched), return_exceptions=True)
            await self._client.aclose()

    async def _run(self, block: Block, rest: list[Block]) -> None:
        if "file" in block.notes:
            (self.folder / block.notes["file"]).write_text(block.text)
        elif block.notes.keys() & {"deploy", "fails"}:
            error = self._take(rest, lambda block: block.language == "text")
            if self._runs(block):
                await self._at(block, self._deploy(block, error))
        elif block.language == "graphql":
            variables = self._take(rest, lambda block: block.language == "json" and not _is_answer(block))
            answer = self._take(rest, _is_answer)
            if self._runs(block):
                await self._at(block, self._operate(block, variables, answer))
        elif block.language in {"sh", "js"}:
            output = self._take(rest, lambda block: block.language in {"json", "text"})
            if self._runs(block):
                await self._at(block, self._execute(block, output))
        else:
            raise AssertionError(f"docs/{block.place}: this belongs to nothing that is run")

    async def _see_events(self) -> None:
        """Wait for what the section's subscriptions give.

        Nothing tells when one is in place, so that what it waits for may have been before: the section's last
        operation is sent again then.
        """
        for block, event in self._watched:
            async with asyncio.timeout(WAIT_S):
                while not (await asyncio.wait({event}, timeout=AGAIN_S))[0]:
                    await self._answer(*self._last)
            await self._at(block, event)
        self._watched.clear()

    def _runs(self, block: Block) -> bool:
        return block.language in self._languages

    @staticmethod
    def _take(rest: list[Block], belongs: Callable[[Block], bool]) -> Block | None:
        return rest.pop(0) if rest and belongs(rest[0]) else None

    async def _at(self, block: Block, running: Any) -> None:
        """Let what fails name its place in the document."""
        try:
            await running
        except (AssertionError, TimeoutError, subprocess.TimeoutExpired, httpx.HTTPError, KeyError) as error:
            what = str(error) or type(error).__name__
            raise AssertionError(f"docs/{block.place} ({block.heading}): {what}") from error
        self.places_run.append(block.place)

    async def _operate(self, block: Block, variables: Block | None, answer: Block | None) -> None:
        given = json.loads(self.examples.fill_in(variables.text)) if variables else {}
        shown = json.loads(answer.text) if answer else None
        query = self.examples.fill_in(block.text)
        (definition,) = [node for node in parse(query).definitions if isinstance(node, OperationDefinitionNode)]
        if definition.operation.value != "subscription":
            self._last = query, given
            await self._until(block, lambda: self._answer(query, given), lambda found: self._compare(shown, found))
            return
        if "buildProgress" in query:  # the one that completes
            events = await self._events(query, given, until_end=True)
            self._compare(shown, events[-1])
        else:
            watching = asyncio.create_task(self._watch(query, given, shown))
            self._watched.append((block, watching))

    def _compare(self, shown: Any, found: Any) -> None:
        if shown is None:
            assert "errors" not in found, found["errors"]
            return
        if "extensions" not in shown:
            found.pop("extensions", None)
        self.examples.compare(shown, found)

    async def _until(self, block: Block, read: Callable[[], Any], compare: Callable[[Any], None]) -> None:
        """Compare what is read; where the document says that it takes a while, again and again."""
        deadline = asyncio.get_running_loop().time() + WAIT_S
        while True:
            found = await read()
            try:
                compare(found)
            except AssertionError:
                if "wait" not in block.notes or asyncio.get_running_loop().time() > deadline:
                    raise
                await asyncio.sleep(0.3)
            else:
                return

    async def _answer(self, query: str, variables: Any) -> Any:
        """The answer to an operation; a null `file` is sent as an upload of the file last saved."""
        body = {"query": query, "variables": variables}
        address = f"{self.url}/graphql"
        if "file" in variables.get("input", {}):
            source = max(self.folder.iterdir(), key=lambda path: path.stat().st_mtime_ns)
            fields = {"operations": json.dumps(body), "map": '{"0": ["variables.input.file"]}'}
            headers = {"graphql-require-preflight": "1"}
            files = {"0": (source.name, source.read_bytes())}
            return (await self._client.post(address, data=fields, files=files, headers=headers)).json()
        return (await self._client.post(address, json=body)).json()

    async def _watch(self, query: str, variables: Any, shown: Any) -> None:
        self._compare(shown, (await self._events(query, variables, until_end=False))[0])

    async def _events(self, query: str, variables: Any, *, until_end: bool) -> list[Any]:
        """The events of a subscription: all of them, or the first."""
        body = {"query": query, "variables": variables}
        events: list[Any] = []
        async with self._client.stream(
            "POST", f"{self.url}/graphql", json=body, headers=EVENT_STREAM, timeout=None
        ) as stream:
            async for line in stream.aiter_lines():
                if line.startswith("data: {"):
                    events.append(json.loads(line.removeprefix("data: ")))
                    if not until_end:
                        break
        return events

    async def _deploy(self, block: Block, error: Block | None) -> None:
        """Deploy a function: one that works stands behind its id from then on, another fails as shown."""
        walker = Walker(self.url)
        id_ = await walker.create_function(
            block.text, environmentVariables=[{"name": "GREETING", "value": "Hello"}]
        )
        build = (await walker.deploy(id_))[-1]["build"]
        if "deploy" in block.notes:
            assert build["error"] is None, build["error"]
            self.examples.bind(block.notes["deploy"], id_)
        else:
            assert error is not None, "what it fails with is not shown"
            assert error.text.strip() in (build["error"] or ""), f"it fails with\n{build['error']}"

    async def _execute(self, block: Block, output: Block | None) -> None:
        text = self.examples.fill_in(block.text).replace(ADDRESS, self.url.removeprefix("http://"))

        async def run() -> str:
            return await asyncio.to_thread(self._run_command if block.language == "sh" else self._run_js, text)

        def compare(printed: str) -> None:
            if output is not None and output.language == "json":
                self._compare(json.loads(output.text), json.loads(printed))
            elif output is not None:
                told = printed.replace("\r\n", "\n").replace(self.url.removeprefix("http://"), ADDRESS)
                told = told.replace(KEEP_ALIVE, "")
                self.examples.compare_text(output.text.strip(), told.strip(), "what it prints")

        await self._until(block, run, compare)

    def _run_command(self, text: str) -> str:
        done = subprocess.run(
            ["bash", "-euo", "pipefail", "-c", text],
            cwd=self.folder,
            capture_output=True,
            text=True,
            timeout=COMMAND_S,
            check=False,
        )
        assert done.returncode == 0, f"exit code {done.returncode}: {done.stdout}{done.stderr}"
        return done.stdout

    def _run_js(self, text: str) -> str:
        assert self._run_script is not None, "nobody said how JavaScript is run"
        folder = self.folder / f"script-{len(self.places_run)}"
        folder.mkdir(exist_ok=True)
        (folder / "example.js").write_text(text)
        return self._run_script(folder)


def _is_answer(block: Block) -> bool:
    return block.language == "json" and block.text.lstrip("{ \n").startswith(('"data"', '"errors"'))
