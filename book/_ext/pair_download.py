"""Offer a chapter's paired script beside its notebook, in the theme's download menu."""

import shutil
from pathlib import Path


def setup(app):
    """Connect to Sphinx, after the theme has made its buttons."""
    app.connect("html-page-context", add_button, priority=900)
    app.connect("build-finished", copy_scripts)
    return {"parallel_read_safe": True}


def script_of(app, pagename):
    """Path of the script beside a page's notebook; it may not exist."""
    return Path(app.srcdir, f"{pagename}.py")


def add_button(app, pagename, templatename, context, doctree):
    """Put the script first in the menu of downloads."""
    if not script_of(app, pagename).is_file():
        return
    for group in context.get("header_buttons", []):
        if group.get("label") == "download-buttons":
            group["buttons"].insert(
                0,
                {
                    "type": "link",
                    "url": f"{context['pathto']('_sources', 1)}/{pagename}.py",
                    "text": ".py",
                    "tooltip": "Download script",
                    "icon": "fas fa-file-code",
                    "label": "download-script-button",
                },
            )


def copy_scripts(app, exception):
    """Lay the scripts beside the notebooks that the theme offers."""
    if exception or app.builder.name != "html":
        return
    for page in app.env.found_docs:
        if script_of(app, page).is_file():
            target = Path(app.outdir, "_sources", f"{page}.py")
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(script_of(app, page), target)
