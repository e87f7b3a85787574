"""The root on disk: which names may become paths, and how a file is written so that it survives a power cut.

Every module that keeps its data in the root goes through these files, and through no other way of writing:

- `names`, `layout`: ids as folder names, the same on every operating system; where things lie.
- `calls`, `locks`: the file calls that everything below makes; one writer at a time, among processes.
- `lock_file`: a lock of its own for what takes long, such as a pull or a run.
- `replace`, `objects`: a whole file, replaced in one step; one that holds an object, whatever an editor made of it.
- `fields`, `records`: what such a file holds, as an object of the API; those that were read, as long as they stay so.
- `lists`, with `elements`, `append`, `index`, `known`, `views`: files that hold a list, appended to in place.
- `catalogue`, `shelf`, `news`, `signature`: which folders there are, in order, without a look at all of them.
- `tombstones`, `removal`: what was deleted is hidden first, and removed afterwards, also after a crash.
- `keys`: replies kept under an `Idempotency-Key`.
- `copies`: files from elsewhere.
- `faults`, `doctor`: what goes wrong with files, as the caller of an operation, and of `jan doctor`, is told of it.
"""
