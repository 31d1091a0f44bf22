"""What stands between a browser and the review: each line of docs/review.md's table, tried."""

import re
from pathlib import Path

import pytest
from starlette.testclient import TestClient

from review_page.app import STATIC
from review_page.guard import LARGEST_BODY
from review_page.server import bound_socket, listening, new_token
from tests.support.review import TOKEN, Page, reviewed, wanted

ADDRESSES = ("/api/session", "/api/cases", "/api/case/0", "/api/image/0?view=display", "/api/progress")
PLACE = {"base": 0, "event": {"kind": "place", "index": 0, "x": 10.0, "y": 10.0}}


def bare(page: Page, host: str = "127.0.0.1:8000", **headers: str) -> TestClient:
    """A client that knows only what is given."""
    return TestClient(page.client.app, base_url=f"http://{host}", headers=headers)


@pytest.mark.parametrize("address", ADDRESSES)
def test_without_the_token_or_with_another_nothing_is_told(tmp_path: Path, address: str) -> None:
    with reviewed(tmp_path) as page:
        for headers in ({}, {"X-Review-Token": ""}, {"X-Review-Token": TOKEN[:-1]}, {"Cookie": TOKEN}):
            answer = bare(page, **headers).get(address)
            assert answer.status_code == 403 and list(answer.json()) == ["error"]
        assert bare(page).get(f"{address}{'&' if '?' in address else '?'}token={TOKEN}").status_code == 403
        assert bare(page, **{"X-Review-Token": TOKEN}).get(address).status_code == 200


def test_the_page_itself_needs_no_token_and_holds_nothing_of_the_review(tmp_path: Path) -> None:
    with reviewed(tmp_path) as page:
        answer = bare(page).get("/")
        assert answer.status_code == 200 and TOKEN not in answer.text and "film0" not in answer.text


@pytest.mark.parametrize(
    "host", ["example.com", "127.0.0.1.example.com", "127.0.0.2", "0.0.0.0", "localhost.example.com:8000"]
)
def test_a_foreign_host_is_refused_even_with_the_token(tmp_path: Path, host: str) -> None:
    with reviewed(tmp_path) as page:
        assert bare(page, host, **{"X-Review-Token": TOKEN}).get("/api/cases").status_code == 400
        assert bare(page, host).get("/").status_code == 400


@pytest.mark.parametrize("host", ["127.0.0.1:8000", "localhost:1", "[::1]:8000", "localhost", "[::1]"])
def test_this_machine_is_answered_under_each_of_its_names(tmp_path: Path, host: str) -> None:
    with reviewed(tmp_path) as page:
        headers = {"X-Review-Token": TOKEN, "Host": host}
        assert page.client.get("/api/cases", headers=headers).status_code == 200


@pytest.mark.parametrize(
    "header",
    [
        {"Sec-Fetch-Site": "cross-site"},
        {"Sec-Fetch-Site": "same-site"},
        {"Origin": "http://example.com"},
        {"Origin": "null"},
        {"Origin": "http://127.0.0.1:9000"},
    ],
)
def test_another_site_cannot_write(tmp_path: Path, header: dict[str, str]) -> None:
    with reviewed(tmp_path) as page:
        assert page.client.put("/api/case/0", json=PLACE, headers=header).status_code == 403
        assert page.case(0)["revision"] == 0
        here = {"Sec-Fetch-Site": "same-origin", "Origin": "http://127.0.0.1:8000"}
        assert page.client.put("/api/case/0", json=PLACE, headers=here).status_code == 200


@pytest.mark.parametrize("address", ["/", "/static/main.js", "/api/cases", "/api/image/0?view=display", "/x"])
def test_every_answer_has_its_headers_and_no_cookie(tmp_path: Path, address: str) -> None:
    with reviewed(tmp_path) as page:
        headers = page.client.get(address).headers
    assert headers["content-security-policy"] == (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' blob:; connect-src 'self'; "
        "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    )
    assert headers["x-content-type-options"] == "nosniff" and headers["referrer-policy"] == "no-referrer"
    assert headers["cross-origin-resource-policy"] == headers["cross-origin-opener-policy"] == "same-origin"
    assert headers["cache-control"] == "no-store"
    assert "set-cookie" not in headers and not [name for name in headers if name.startswith("access-control")]


@pytest.mark.parametrize(
    "path",
    [
        "../app.py",
        "..%2fapp.py",
        "%2e%2e/app.py",
        "..%5capp.py",
        "/etc/passwd",
        "%2fetc%2fpasswd",
        "main.js%00",
    ],
)
def test_no_path_leads_out_of_the_static_files(tmp_path: Path, path: str) -> None:
    with reviewed(tmp_path) as page:
        assert page.client.get(f"/static/{path}").status_code == 404


@pytest.mark.parametrize("number", ["99", "-1", "0x0", "..", "film0.png", "1e0"])
def test_films_go_by_numbers_of_the_list_alone(tmp_path: Path, number: str) -> None:
    with reviewed(tmp_path) as page:
        assert page.client.get(f"/api/case/{number}").status_code == 404
        assert page.client.get(f"/api/image/{number}?view=display").status_code == 404


def test_a_body_without_end_is_cut_off(tmp_path: Path) -> None:
    with reviewed(tmp_path) as page:
        large = b" " * (LARGEST_BODY + 1)
        assert page.client.put("/api/case/0", content=large).status_code == 413
        pieces = (b" " * 65536 for _ in range(6))  # no length is said
        assert page.client.put("/api/case/0", content=pieces).status_code == 413
        assert page.case(0)["revision"] == 0


@pytest.mark.parametrize("body", [b"", b"[]", b"{", b"null", b'{"base": NaN}', b"[" * 100000, b"\xff"])
def test_what_is_no_event_is_refused_in_a_sentence(tmp_path: Path, body: bytes) -> None:
    with reviewed(tmp_path) as page:
        answer = page.client.put("/api/case/0", content=body)
        assert answer.status_code == 400 and answer.json()["error"].endswith(".")


def test_what_is_written_is_for_its_owner_alone(tmp_path: Path) -> None:
    with reviewed(tmp_path) as page:
        page.done(PLACE["event"])
    files = list((tmp_path / "review/cases").iterdir())
    assert len(files) >= 2 and all(file.stat().st_mode & 0o077 == 0 for file in files)


def test_masked_names_are_in_no_answer(tmp_path: Path) -> None:
    with reviewed(tmp_path, mask_names=True) as page:
        for address in ("/api/session", "/api/cases", "/api/case/0"):
            assert "film0" not in page.client.get(address).text
        assert page.client.get("/api/cases").json()[0]["name"] == "film 1"


def test_masked_names_are_in_no_sentence_either(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    wanted(tmp_path)
    (tmp_path / "films/film9.png").write_bytes(b"none")
    with reviewed(tmp_path, mask_names=True) as page:
        page.done({"kind": "confirm", "index": 0})
        with monkeypatch.context() as full:
            full.setattr("os.fsync", _full)
            answer = page.put({"kind": "confirm", "index": 1})
        assert answer.status_code == 507 and "No space left" in answer.json()["error"]
        assert "film0" not in answer.text and "film 1" in answer.text
        assert "film9" not in page.client.get("/api/session").text
    with reviewed(tmp_path) as page:
        assert "film9.png" in page.client.get("/api/session").text


def _full(handle: int) -> None:
    raise OSError(28, "No space left on device")


def test_a_blind_reader_is_told_no_prediction_and_no_name(tmp_path: Path) -> None:
    with reviewed(tmp_path, blind=True) as page:
        case = page.case(0)
        assert all(
            row["x"] is None and row["predicted"] is None and row["u_px"] is None for row in case["landmarks"]
        )
        assert "film0" not in page.client.get("/api/cases").text
        assert page.client.post("/api/adapt", json={}).status_code == 400


def test_the_port_is_of_this_machine_alone_and_the_token_is_long() -> None:
    with bound_socket(0) as first:
        assert first.getsockname()[0] == "127.0.0.1"
        with pytest.raises(ValueError, match=f"--port {first.getsockname()[1]}: in use"):
            bound_socket(first.getsockname()[1])
    assert len(new_token()) >= 43 and new_token() != new_token()  # 256 bits in base 64


def test_a_token_ends_with_its_server_and_outlives_a_kill(tmp_path: Path) -> None:
    """A page that is open goes on after a kill; after Ctrl-C the port is the same, so that a tab finds it."""
    file = tmp_path / "server.json"
    killed = listening(file, 0)
    first, token = killed.__enter__()  # and never left
    port = first.getsockname()[1]
    first.close()
    assert file.stat().st_mode & 0o777 == 0o600
    with listening(file, 0) as (again, same):
        assert (again.getsockname()[1], same) == (port, token)
        again.close()  # as uvicorn does
    assert token not in file.read_text()
    with bound_socket(port), listening(file, 0) as (other, new):
        assert other.getsockname()[1] != port and new != token
    file.write_text("[")
    with listening(file, 0) as (_, new):
        assert new != token


def test_static_files_name_no_other_place_and_hold_no_inline_code() -> None:
    files = [file for file in STATIC.rglob("*") if file.is_file()]
    assert {"index.html", "main.js", "style.css"} <= {file.name for file in files}
    for file in files:
        text = file.read_text(encoding="utf-8").replace("http://www.w3.org/2000/svg", "")
        assert not re.search(r"https?:|//[a-z]+\.[a-z]|localStorage|sessionStorage|innerHTML|eval\(", text), (
            file
        )
    page = (STATIC / "index.html").read_text(encoding="utf-8")
    assert not re.search(r"\sstyle=|\son[a-z]+=|<script>|<style>", page)
