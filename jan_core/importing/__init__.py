"""Bringing another root in: one of the Jan desktop app, of any age, or one in Jan's own format.

The foreign folder is only read. What is found there is turned into objects of the API and handed to the endpoints'
own operations (`assistants.put`, `threads.put`, `messages.put`), so that it lands wherever the chosen modules keep
things; files of models are linked or copied into the root.

- `reading`: JSON, JSON by lines and the flat YAML of a foreign file, and where in it something is wrong.
- `values`: times, names and metadata as they were written, turned into what the API knows.
- `source`: what lies where in the foreign folder.
- `assistants`, `threads`, `messages`, `images`, `models`: one kind each, turned into ours.
- `storing`: handing objects over, where nothing else is there yet.
- `report`: what was done, for a person and for a program.
- `run`: the whole.
"""
