"""Workbooks of the formats of spreadsheets, made of rows of values, with every digit of the numbers.

The libraries that write XLSX files round to 16 digits, so these are written here. No cell holds an infinity: they are
texts.
"""

from __future__ import annotations

import io
import math
import zipfile
from collections.abc import Mapping, Sequence
from typing import Any
from xml.sax.saxutils import escape, quoteattr

Rows = Sequence[Sequence[Any]]

MAIN = "http://schemas.openxmlformats.org/spreadsheetml/2006/main"
OFFICE = "http://schemas.openxmlformats.org/officeDocument/2006/relationships"
PACKAGE = "http://schemas.openxmlformats.org/package/2006"
RELATIONS = f'<Relationships xmlns="{PACKAGE}/relationships">{{}}</Relationships>'
TYPE = "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet.main+xml"
TYPES = f"""<Types xmlns="{PACKAGE}/content-types">
<Default Extension="xml" ContentType="application/xml"/>
<Default Extension="rels" ContentType="application/vnd.openxmlformats-package.relationships+xml"/>
<Override PartName="/xl/workbook.xml" ContentType="{TYPE}"/></Types>"""
STYLES = f"""<styleSheet xmlns="{MAIN}"><cellXfs><xf numFmtId="0"/><xf numFmtId="14"/></cellXfs></styleSheet>"""
"""The second style is that of dates."""

ODS = "application/vnd.oasis.opendocument.spreadsheet"
SPACES = " ".join(
    f'xmlns:{name}="urn:oasis:names:tc:opendocument:xmlns:{name}:1.0"'
    for name in ("office", "table", "text", "manifest")
)


class Raw(str):
    """The XML of a cell."""

    __slots__ = ()


def xlsx_bytes(sheets: Mapping[str, Rows], hidden: Sequence[str] = ()) -> bytes:
    """Return a workbook of Excel; rows are one below another from the first on."""
    numbers = range(1, len(sheets) + 1)
    states = ['state="hidden" ' if name in hidden else "" for name in sheets]
    listed = "".join(
        f'<sheet {state}name={quoteattr(name)} sheetId="{n}" r:id="r{n}"/>'
        for n, name, state in zip(numbers, sheets, states, strict=True)
    )
    members = {
        "[Content_Types].xml": TYPES,
        "_rels/.rels": RELATIONS.format(_relation("r1", "officeDocument", "xl/workbook.xml")),
        "xl/workbook.xml": f'<workbook xmlns="{MAIN}" xmlns:r="{OFFICE}"><sheets>{listed}</sheets></workbook>',
        "xl/styles.xml": STYLES,
        "xl/_rels/workbook.xml.rels": RELATIONS.format(
            "".join(_relation(f"r{n}", "worksheet", f"worksheets/sheet{n}.xml") for n in numbers)
            + _relation("s", "styles", "styles.xml")
        ),
    }
    for n, rows in zip(numbers, sheets.values(), strict=True):
        lines = "".join(f"<row>{''.join(map(_xlsx_cell, row))}</row>" for row in rows)
        members[f"xl/worksheets/sheet{n}.xml"] = f'<worksheet xmlns="{MAIN}"><sheetData>{lines}</sheetData></worksheet>'
    return _archive(members)


def _relation(key: str, kind: str, target: str) -> str:
    return f'<Relationship Id="{key}" Type="{OFFICE}/{kind}" Target="{target}"/>'


def _archive(members: Mapping[str, str]) -> bytes:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return stream.getvalue()


def _xlsx_cell(value: Any) -> str:
    if value is None:
        return "<c/>"
    if isinstance(value, Raw):
        return value
    if isinstance(value, bool):
        return f'<c t="b"><v>{int(value)}</v></c>'
    if _is_text(value):
        return f'<c t="inlineStr"><is><t xml:space="preserve">{_escaped(value)}</t></is></c>'
    return f"<c><v>{value!r}</v></c>"


def ods_bytes(rows: Rows) -> bytes:
    """Return an OpenDocument spreadsheet of one sheet."""
    lines = "".join(f"<table:table-row>{''.join(map(_ods_cell, row))}</table:table-row>" for row in rows)
    table = f'<table:table table:name="Sheet1">{lines}</table:table>'
    body = f"<office:body><office:spreadsheet>{table}</office:spreadsheet></office:body>"
    root = f'<manifest:file-entry manifest:full-path="/" manifest:media-type="{ODS}"/>'
    return _archive(
        {
            "mimetype": ODS,
            "META-INF/manifest.xml": f"<manifest:manifest {SPACES}>{root}</manifest:manifest>",
            "content.xml": f"<office:document-content {SPACES}>{body}</office:document-content>",
        }
    )


def _ods_cell(value: Any) -> str:
    if value is None:
        return "<table:table-cell/>"
    if isinstance(value, bool):
        return f'<table:table-cell office:value-type="boolean" office:boolean-value="{str(value).lower()}"/>'
    if _is_text(value):
        text = f"<text:p>{_escaped(value)}</text:p>"
        return f'<table:table-cell office:value-type="string">{text}</table:table-cell>'
    return f'<table:table-cell office:value-type="float" office:value="{value!r}"/>'


def xls_bytes(rows: Rows) -> bytes:
    """Return a workbook of Excel 97 with one sheet."""
    import xlwt

    book = xlwt.Workbook(encoding="utf-8")
    sheet = book.add_sheet("Sheet1")
    for number, row in enumerate(rows):
        for column, value in enumerate(row):
            if value is not None:
                sheet.write(number, column, str(value) if _is_text(value) else value)
    stream = io.BytesIO()
    book.save(stream)
    return stream.getvalue()


def _is_text(value: Any) -> bool:
    return isinstance(value, str) or math.isinf(value)


def _escaped(value: Any) -> str:
    """Return a text for XML, whose parsers take other line ends for usual ones."""
    return escape(str(value)).replace("\r", "&#13;").replace("\n", "&#10;")
