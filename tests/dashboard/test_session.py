"""One reader's session, without a browser: clicks in, figures and an address out."""

import threading

import panel as pn
import polars as pl
import pytest
from made_cases import case, site, table
from made_records import record
from panel.io.location import Location

from mlaas_lab.dashboard import review
from mlaas_lab.dashboard.app import ELSEWHERE, Session, Site
from mlaas_lab.dashboard.live import Asking, Comparing, Reviewing


@pytest.fixture
def path(tmp_path):
    return table(tmp_path)


@pytest.fixture
def session(lab, path):
    return Session(site(lab, path), Location())


def html(session):
    return "".join(pane.object for pane in session.body.select(pn.pane.HTML))


def asked(session, page, **places):
    session._asked({"page": page, **places})


def found(session, kind):
    return session.body.select(kind)[0]


def said_by(mounted, message):
    """What the kernel's side of a mounted view sends for a message."""
    sent = []
    mounted._send_msg = sent.append
    mounted._handle_msg(message)
    return sent


def test_a_click_shows_the_page_and_writes_the_address(session):
    asked(session, "cost", target=[1])
    assert session.location.search == "?page=cost&target=good"
    assert "$0.08" in html(session)
    assert ">bad<" not in html(session)
    assert session.bar.where["said"] == "40 of 80 records"
    assert session.bar.where["target"] == [1]


def test_an_address_shows_what_it_says(lab, path):
    later = Session(site(lab, path), Location(search="?page=slices&target=bad&target=nobody"))
    assert (later.where.page, later.where.target) == ("slices", ("bad",))
    assert "cards" in html(later)
    assert "good ·" not in html(later)


def test_going_back_goes_back(session):
    asked(session, "cost")
    asked(session, "latency")
    session._asked({"search": "?page=cost&target=<b>"})
    assert session.location.search == "?page=cost"
    assert session.where.page == "cost"
    assert session.bar.where["page"] == "cost"


@pytest.mark.parametrize(
    "message",
    [
        None,
        [],
        "x",
        {},
        {"page": 7},
        {"page": "cost", "target": "good"},
        {"page": "x", "target": [99, -1, True, None, {}]},
    ],
)
def test_nonsense_from_a_page_does_no_harm(session, message):
    session._asked(message)
    assert session.where.page in ("overview", "cost")
    assert session.where.target == ()


def test_an_address_that_is_written_by_hand_counts(session):
    session.location.search = "?page=latency"
    assert session.where.page == "latency"


def test_every_page_can_be_opened(session):
    for page in session.site.pages:
        asked(session, page)
        assert session.where.page == page
        assert session.body.objects


def test_the_comparison_answers_with_the_rows_behind_a_number(session):
    asked(session, "comparison")
    (answer,) = said_by(found(session, Comparing), {"kind": "rows", "id": 1})
    assert answer["kind"] == "rows"
    assert answer["total"] == 31


def test_files_are_written_for_those_who_sit_here_alone(lab, path, tmp_path):
    export = {"kind": "export", "id": 4, "form": "csv", "section": 0}
    away = Session(Site(case=case(lab, path), alone=False), Location(search="?page=comparison"))
    (answer,) = said_by(found(away, Comparing), export)
    assert answer == {"kind": "error", "id": 4, "message": ELSEWHERE}
    here = Session(Site(case=case(lab, path)), Location(search="?page=comparison"))
    (answer,) = said_by(found(here, Comparing), export)
    assert answer["kind"] == "export"
    assert answer["paths"]


def test_a_review_is_begun_judged_and_found_again(lab, path):
    def begun():
        session = Session(site(lab, path), Location(search="?page=review"))
        (told,) = said_by(found(session, Asking), {"said": {"by": "ada", "a": 0, "b": 1, "blind": True}})
        assert told == {"told": "", "wrong": False}
        return found(session, Reviewing)

    first = begun()
    assert "good" not in str(first.now)
    (answer,) = said_by(first, {"kind": "judge", "id": 1, "at": 0, "said": "left"})
    assert answer["now"]["done"] == 1
    assert begun().now["done"] == 1
    again = Session(site(lab, path), Location(search="?page=review"))
    assert "Reviews so far" in html(again)
    assert ">ada<" in html(again)
    assert "prefer" not in html(again), "who reviews blind is told by nobody what others say"
    said_by(first, {"kind": "judge", "id": 2, "at": 1, "said": "tie"})
    asked(again, "review")
    judged = review.begun(again.case.cut(again.where))[0].table.rows
    assert judged == [("bad", "good", "ada", 2, 40)]


def test_a_decision_is_signed_with_its_evidence_and_listed(lab, path):
    session = Session(site(lab, path), Location(search="?page=decision"))
    (told,) = said_by(found(session, Asking), {"said": {"target": 1, "by": "ada", "comment": "<b>cheap</b>"}})
    assert not told["wrong"]
    assert "ada signed for good" in told["told"]
    assert "&lt;b&gt;cheap&lt;/b&gt;" in html(session)
    assert "verified" in html(session)


def test_a_decision_without_a_name_is_refused_in_one_line(lab, path):
    session = Session(site(lab, path), Location(search="?page=decision"))
    (told,) = said_by(found(session, Asking), {"said": {"target": 1, "by": " ", "comment": ""}})
    assert told["wrong"]
    assert "name of who signs" in told["told"]
    assert "Nothing is signed yet" in html(session)


def test_who_signed_in_signs_by_that_name_alone(lab, path):
    session = Session(site(lab, path), Location(search="?page=decision"), "grace")
    (told,) = said_by(found(session, Asking), {"said": {"target": 1, "by": "ada", "comment": ""}})
    assert "grace signed for good" in told["told"]


def test_a_rule_that_does_not_hold_asks_for_a_reason(lab, path):
    ruled = site(lab, path, rule="exact_match of {target} >= 0.99".replace("{target}", "good"))
    session = Session(ruled, Location(search="?page=decision"))
    assert "does not hold" in html(session) or "cannot be told" in html(session)


def test_hostile_text_is_text_on_every_page(lab, tmp_path):
    words = '<img src=x onerror="alert(1)">', "</style><script>alert(1)</script>", "\u202egnp.exe"
    rows = [
        record(t, i, words[i % 3], words[0], prompt=words[i % 3], usd="0.002") for i in range(12) for t in words[:2]
    ]
    session = Session(site(lab, table(tmp_path, rows)), Location())
    for page in session.site.pages:
        asked(session, page)
        drawn = html(session)
        assert not any(bad in drawn for bad in ("<img", "<script", "\u202e")), page


def test_sessions_share_figures_and_not_places(lab, path):
    shared = site(lab, path)
    one, other = (Session(shared, Location()) for _ in range(2))
    asked(one, "cost")
    assert other.where.page == "overview"
    assert shared.case.cut(one.where) is shared.case.cut(other.where)


def news(session):
    session.look()
    return session.bar.news.get("said", "")


def fresh(session):
    """Asks for what came since, and waits until it is read."""
    asked = threading.Event()
    session.bar.param.watch(lambda _: asked.set(), "news")
    session._asked({"fresh": True})
    assert asked.wait(30)


def test_answers_that_came_since_are_said_and_shown_to_who_asks(lab, path):
    shared = site(lab, path)
    reader, other = Session(shared, Location(search="?page=cost&target=good")), Session(shared, Location())
    seen = html(reader)
    assert news(reader) == ""
    pl.concat([pl.read_parquet(path), pl.read_parquet(path).with_columns(repeat=1)]).write_parquet(path)
    assert news(reader) == "80 new answers"
    assert html(reader) == seen, "nothing moves that somebody reads"
    fresh(reader)
    assert reader.bar.news == {"reload": True}
    again = Session(shared, Location(search="?page=cost&target=good"))
    assert again.bar.where["said"] == "80 of 160 records"
    assert news(again) == ""
    assert other.bar.content["facts"] == ["80 records"]
    assert news(other) == "80 new answers"


def test_what_others_say_and_sign_is_news_and_ones_own_words_are_not(lab, path):
    reader = Session(site(lab, path), Location(search="?page=review"), "ada")
    said_by(found(reader, Asking), {"said": {"a": 0, "b": 1, "blind": True}})
    said_by(found(reader, Reviewing), {"kind": "judge", "id": 1, "at": 0, "said": "left"})
    assert news(reader) == ""
    desk = reader.case.desks["records"]
    sitting = desk.sit(by="bob")
    sitting.judge(0, "tie")
    sitting.comment(0, "both say no")
    desk.sign(target="good", by="carol")
    assert news(reader) == "1 new verdict, 1 new comment, 1 new signature"


def test_where_records_are_gone_one_line_says_so_and_all_stays(lab, path):
    reader = Session(site(lab, path), Location(search="?page=cost"))
    path.unlink()
    fresh(reader)
    assert "records.parquet does not exist" in reader.bar.news["said"]
    asked(reader, "latency")
    assert "p50" in html(reader)
