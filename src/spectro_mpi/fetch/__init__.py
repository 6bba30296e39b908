"""Get input files from a web archive: the only room that speaks to other machines.

`search` finds the files by the listings of the archive's folders, `transfer` gets one of them,
`gathering` all, several at a time; `web` is polite. Nothing here is imported by a run.
"""
