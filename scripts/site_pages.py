"""Take into the site what its pages link to and what lies outside of ``docs``: a hook of MkDocs (``mkdocs.yml``).

``README.md`` is the first page. Links lead to the same in a checkout and in the site: one text serves both.
"""

from __future__ import annotations

import posixpath
import re
from pathlib import Path

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.exceptions import PluginError
from mkdocs.structure.files import File, Files
from mkdocs.structure.pages import Page

_ROOT = Path(__file__).resolve().parents[1]
_LINK = re.compile(r"(\]\()([^)#:\s]+)(#[^)\s]*)?(\))")
_LOADED = re.compile(
    r"""<(?:script|img|link|iframe|source|object)\b[^>]*\b(?:src|href|data)=["']?(?:https?:)?//[^>]*"""
)
_FIRST = "README.md"


def on_files(files: Files, *, config: MkDocsConfig) -> Files:
    """Add README.md as index.md, and every file of the repository that a page links to."""
    pages = [(_ROOT / _FIRST, "index.md"), *((Path(file.abs_src_path or ""), file.src_uri) for file in files)]
    while pages:
        source, uri = pages.pop()
        if source.suffix != ".md":
            continue
        text = source.read_text(encoding="utf-8")
        if files.get_file_from_path(uri) is None:
            files.append(File.generated(config, uri, content=text))
        for link in _LINK.finditer(text):
            linked = (source.parent / link[2]).resolve()
            known = _in_site(linked)
            if known is not None and linked.is_file() and files.get_file_from_path(known) is None:
                if linked.suffix == ".md":
                    pages.append((linked, known))
                else:
                    files.append(File.generated(config, known, abs_src_path=str(linked)))
    return files


def on_page_markdown(markdown: str, *, page: Page, config: MkDocsConfig, files: Files) -> str:  # noqa: ARG001
    """Return a page's text with its links as they are in the site."""
    here = page.file.src_uri
    source = _source(here)

    def there(link: re.Match[str]) -> str:
        known = _in_site((source.parent / link[2]).resolve())
        if known is None:
            return link[0]
        return f"{link[1]}{posixpath.relpath(known, posixpath.dirname(here) or '.')}{link[3] or ''}{link[4]}"

    return _LINK.sub(there, markdown)


def on_post_build(config: MkDocsConfig) -> None:
    """Refuse a site of which a page loads anything from elsewhere."""
    for page in Path(config.site_dir).rglob("*.html"):
        found = _LOADED.search(page.read_text(encoding="utf-8"))
        if found is not None:
            raise PluginError(f"{page} loads from elsewhere: {found[0]}")


def _in_site(path: Path) -> str | None:
    """Return where a file of the repository is in the site."""
    if not path.is_relative_to(_ROOT):
        return None
    name = path.relative_to(_ROOT).as_posix()
    return "index.md" if name == _FIRST else name.removeprefix("docs/")


def _source(uri: str) -> Path:
    """Return the file of a page of the site."""
    if uri == "index.md":
        return _ROOT / _FIRST
    page = _ROOT / "docs" / uri
    return page if page.is_file() else _ROOT / uri
