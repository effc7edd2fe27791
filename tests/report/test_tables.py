from __future__ import annotations

import pytest

from quantize.report.html import html
from quantize.report.markdown import markdown
from quantize.report.schema import RunReport
from quantize.report.tables import report_tables
from quantize.report.text import summary


def test_every_row_has_as_many_words_as_the_table_has_columns(report: RunReport) -> None:
    for table in report_tables(report):
        assert table.rows, table.title
        assert {len(row) for row in table.rows} == {len(table.columns)}, table.title


def test_no_two_tables_have_one_title(report: RunReport) -> None:
    titles = [table.title for table in report_tables(report)]
    assert len(set(titles)) == len(titles)


def test_markdown_and_the_page_have_all_of_them_in_this_order(report: RunReport) -> None:
    titles = [table.title for table in report_tables(report)]
    for drawing in (markdown(report), html(report)):
        places = [drawing.index(title.replace(" (positive", "")[:20]) for title in titles]
        assert places == sorted(places)


def test_the_terminal_has_some_of_them(report: RunReport) -> None:
    tables = report_tables(report)
    text = summary(report)
    assert all(table.title in text for table in (tables.accuracy[0], tables.speed[0]))
    assert tables.search[-1].title not in text


@pytest.mark.parametrize("part", ["measurement", "resources", "flips", "search"])
def test_what_was_not_measured_leaves_its_tables_out(report: RunReport, part: str) -> None:
    empty = report.model_copy(update={part: () if part == "resources" else None})
    left = {table.title for table in report_tables(empty)}
    assert left <= {table.title for table in report_tables(report)}
    assert "Trials" in left


def test_agreement_that_is_the_criterions_metric_is_told_once(report: RunReport) -> None:
    by_agreement = report.model_copy(update={"criterion": report.criterion.model_copy(update={"metric": "agreement"})})
    (trials,) = (table for table in report_tables(by_agreement) if table.title == "Trials")
    assert trials.columns.count("agreement") == 1
    assert {len(row) for row in trials.rows} == {len(trials.columns)}
