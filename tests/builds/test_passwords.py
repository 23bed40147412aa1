"""Registry passwords that the builder repeats are neither stored, nor shown, nor logged."""

import json
import time
from base64 import b64encode
from urllib.parse import quote

import pytest

from gateway.builds.hints import IRSA
from gateway.builds.journey import Journey
from gateway.builds.messages import WITHHELD, conceal, explain_failure
from gateway.builds.passwords import cut_secret
from gateway.errors import BuilderConnectionError, BuilderError
from gateway.records.builds import BuildRecord
from tests.builds.samples import a_build, an_upload
from tests.builds.script import ScriptedBuilder
from tests.builds.stage import Stage
from tests.builds.test_handover import taken_over
from tests.gateway import NOBODY

SECRET = 'hunter2/"sécret" <1>'
PUSHED = {"wasm_path": "s3://b/app.wasm"}


async def start(stage: Stage, password: str = "hunter2secret") -> BuildRecord:
    """A build whose registry wants a password."""
    return await stage.starts.start_build_and_push(
        workspace_id=stage.workspace_id, upload=an_upload(), username="AWS", password=password
    )


async def stored(stage: Stage) -> str:
    """All that is in the table."""
    return repr([item async for item in stage.dynamo.table.query_all(stage.everything)])


@pytest.mark.asyncio(loop_scope="session")
async def test_carry_when_the_task_repeats_the_password(stage: Stage, script: ScriptedBuilder) -> None:
    """It is cut out wherever it stands, in the error of the task and in that of a poll."""
    build = await start(stage)
    script.tasks.append((500, "no task: hunter2secret"))
    script.says("failed", result=PUSHED, error="login of AWS with hunter2secret failed: 401")
    await stage.rounds(2, seconds=31)
    assert (await stage.build(build.id)).error == f"login of AWS with *** failed: 401\n{IRSA}"
    assert "hunter2" not in await stored(stage)


@pytest.mark.asyncio(loop_scope="session")
async def test_carry_when_a_poll_repeats_the_password(
    stage: Stage, script: ScriptedBuilder, caplog: pytest.LogCaptureFixture
) -> None:
    """What keeps a build from going on is logged, and told when its time is up."""
    build = await start(stage)
    script.tasks.append((500, "no task: hunter2secret"))
    await stage.rounds(1, seconds=601)
    await stage.round()
    expected = "timed out after 10 minutes: The Builder Service answered 500: no task: ***"
    assert (await stage.build(build.id)).error == expected
    assert "no task: ***" in caplog.text
    assert "hunter2" not in caplog.text


@pytest.mark.asyncio(loop_scope="session")
async def test_carry_when_the_row_was_told_late(stage: Stage, script: ScriptedBuilder) -> None:
    """The password is known as long as the process lives that started the build."""
    with stage.unwritable_builds():
        build = await start(stage)
    script.says("failed", error="no: hunter2secret")
    await stage.rounds(3, seconds=31)
    assert (await stage.build(build.id)).error == "no: ***"


@pytest.mark.asyncio(loop_scope="session")
@pytest.mark.parametrize(
    ("failure", "error"),
    [
        ({"result": PUSHED, "error": "app.py:1:1: error: 401 for hunter2secret"}, f"{WITHHELD}\n{IRSA}"),
        ({"error": "no basic auth credentials: hunter2secret"}, f"{WITHHELD}\n{IRSA}"),
        (
            {"error": "/tmp/spin_build_1/a.py:1:1: error: no\nwith hunter2secret"},
            f"{WITHHELD}\na.py:1:1: error: no",
        ),
        ({"error": None}, WITHHELD),
    ],
)
async def test_carry_when_the_password_is_not_known_any_more(
    stage: Stage, script: ScriptedBuilder, failure: dict[str, object], error: str
) -> None:
    """Of what may repeat it nothing is shown after a take-over, but for what is said of the person's source."""
    build = await start(stage)
    after = await taken_over(stage)
    script.tasks.append((500, "no task: hunter2secret"))
    script.says("failed", **failure)
    await after.rounds(2, seconds=31)
    assert (await stage.build(build.id)).error == error
    assert "hunter2" not in await stored(stage)


@pytest.mark.asyncio(loop_scope="session")
async def test_carry_when_a_build_without_the_password_times_out(
    stage: Stage, script: ScriptedBuilder, caplog: pytest.LogCaptureFixture
) -> None:
    """What was wrong is said without the builder's words."""
    build = await start(stage)
    after = await taken_over(stage)
    script.tasks.append((500, "no task: hunter2secret"))
    await after.rounds(1, seconds=601)
    await after.round()
    expected = "timed out after 10 minutes: The Builder Service answered with an error."
    assert (await stage.build(build.id)).error == expected
    assert "hunter2" not in caplog.text


@pytest.mark.asyncio(loop_scope="session")
async def test_start_when_the_connection_breaks(stage: Stage) -> None:
    """A builder that does not answer a push says nothing about the registry."""
    stage.client.base_url = NOBODY
    with pytest.raises(BuilderConnectionError) as caught:
        await start(stage)
    assert "hint" not in caught.value.message


def test_journey_when_it_is_shown() -> None:
    """Its password is not."""
    journey = Journey(a_build(), secret="hunter2")
    assert "hunter2" not in repr(journey)


@pytest.mark.parametrize(
    ("has_credentials", "secret", "password"), [(False, "", ""), (True, "x1y2", "x1y2"), (True, "", None)]
)
def test_journey_when_credentials_came_with_the_call(
    has_credentials: bool, secret: str, password: str | None
) -> None:
    """Another process does not know them."""
    assert Journey(a_build(has_credentials=has_credentials), secret=secret).password == password


@pytest.mark.parametrize(
    "spelled",
    [
        SECRET,
        quote(SECRET),
        quote(SECRET, safe=""),
        json.dumps(SECRET),
        json.dumps(SECRET, ensure_ascii=False),
        repr(SECRET.encode()),
        b64encode(f"AWS:{SECRET}".encode()).decode(),
        b64encode(f"me:{SECRET}:".encode()).decode(),
        b64encode(f"user:{SECRET}".encode()).decode(),
    ],
)
def test_cut_secret_when_it_is_spelled_otherwise(spelled: str) -> None:
    """In URLs, quoted, and in a header, it is the same password."""
    cut = cut_secret(f"login with {spelled} failed", SECRET)
    assert "***" in cut
    assert len(cut) < len("login with *** failed") + 14
    assert "hunter2" not in cut


@pytest.mark.parametrize(
    ("words", "expected"),
    [("with hunter2sec", "with ***"), ("er2secret failed", "*** failed"), ("hu", "hu"), ("", "")],
)
def test_cut_secret_when_the_words_were_cut_off(words: str, expected: str) -> None:
    """A part of it at either end goes too."""
    assert cut_secret(words, "hunter2secret") == expected


@pytest.mark.parametrize("secret", ["ab", "a"])
def test_explain_failure_when_the_password_is_too_short(secret: str) -> None:
    """It can't be cut out of words that have it everywhere: nothing of them is shown."""
    assert explain_failure(f"a bad {secret}", secret=secret) == WITHHELD
    error = conceal(BuilderError("a bad " + secret, retryable=True), secret)
    assert (error.message, error.retryable) == ("The Builder Service answered with an error.", True)


@pytest.mark.parametrize("words", ["\x1b[31mhun\x1b[0mter2secret", "x" * 31_990 + "hunter2secret" + "y" * 60_000])
def test_explain_failure_when_the_password_is_in_pieces(words: str) -> None:
    """Neither colours nor the cut of a long error bring a part of it through."""
    assert "ter2" not in explain_failure(words, secret="hunter2secret")


def test_explain_failure_when_the_password_is_long() -> None:
    """A token of 16 KB in a megabyte takes no longer than others."""
    started = time.perf_counter()
    explain_failure("hunter2" * 150_000, secret="hunter2" * 2300)
    assert time.perf_counter() - started < 0.5
