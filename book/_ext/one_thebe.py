"""Leave Thebe's scripts out: no page here runs code, and they name another host."""


def setup(app):
    """Connect to Sphinx, after the theme has listed its scripts."""
    app.connect("html-page-context", drop, priority=900)
    return {"parallel_read_safe": True}


def drop(app, pagename, templatename, context, doctree):
    """Remove the scripts from a page's list."""
    context["script_files"] = [
        script
        for script in context.get("script_files", [])
        if "thebe"
        not in str(getattr(script, "attributes", {}).get("body", ""))
        + str(getattr(script, "filename", ""))
    ]
